"""The user's filters on artists and playlist lengths, alike for every format.

Marks sound rows as left out, with a reason; artist filters come first, then playlists are counted
on what remains. Rows left out this way are no defects.
"""

from recsys_assets import columns as c
from recsys_assets.sources.relation import SEQ, Staged, Workspace

FILTERED = "filtered"
"""Table of the rows left out: `seq` and `reason`."""


def apply_filters(work: Workspace, staged: Staged) -> None:
    """Fill the table `FILTERED` from the rows without defect.

    `top_artists` takes the most mentioned artists, ties by the smaller id; a mention is a row. A
    row without artist is of none of them and is left out by either artist filter.
    """
    options, connection = work.options, work.connection
    connection.execute(f"CREATE TEMP TABLE {FILTERED} ({SEQ} BIGINT, reason VARCHAR)")
    artist = staged.columns.get(c.ARTIST_ID, "NULL::VARCHAR")
    playlist = ", ".join(staged.playlist)
    sound = (
        f"(SELECT *, {artist} AS artist_key FROM {staged.table} "
        f"WHERE {staged.defect} IS NULL AND {SEQ} NOT IN (SELECT {SEQ} FROM {FILTERED}))"
    )
    artists = f"(SELECT artist_key, count(*) AS mentions FROM {sound} GROUP BY artist_key)"
    if options.min_artist_mentions is not None:
        connection.execute(f"""
            INSERT INTO {FILTERED}
            SELECT {SEQ}, CASE WHEN artist_key IS NULL THEN 'filter on artists: no artist'
                ELSE 'filter on artists: {options.min_artist_mentions} mentions or fewer' END
            FROM {sound} WHERE artist_key IS NULL OR artist_key IN (
                SELECT artist_key FROM {artists}
                WHERE artist_key IS NOT NULL AND mentions <= {options.min_artist_mentions})""")
    if options.top_artists is not None:
        connection.execute(f"""
            INSERT INTO {FILTERED}
            SELECT {SEQ}, CASE WHEN artist_key IS NULL THEN 'filter on artists: no artist'
                ELSE 'filter on artists: not among the {options.top_artists} most mentioned' END
            FROM {sound} WHERE artist_key IS NULL OR artist_key NOT IN (
                SELECT artist_key FROM {artists} WHERE artist_key IS NOT NULL
                ORDER BY mentions DESC, artist_key LIMIT {options.top_artists})""")
    if options.min_playlist_tracks is not None:
        connection.execute(f"""
            INSERT INTO {FILTERED}
            SELECT {SEQ}, 'filter on playlists: {options.min_playlist_tracks} tracks or fewer'
            FROM {sound}
            QUALIFY count(*) OVER (PARTITION BY {playlist}) <= {options.min_playlist_tracks}""")
