"""Track and artist catalogues: a dense integer index for every id, with names and counts.

Holds the SQL that makes both tables from the cleaned playlists, and the function that turns the track
table into a `Catalog`. Sequences and splits are made elsewhere.

The index falls with the number of *training* playlists, ties by id. Ordering by popularity over all
playlists would leak: rankings break ties by index, so a track seen once in training would be put
first exactly when validation or test holds it too.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys_assets import columns as c
from recsys_assets.playlists import Catalog
from recsys_assets.preparation.queries import TableQuery
from recsys_assets.preparation.split import SplitRule, sql_text
from recsys_assets.sources.coded import CodedFiles

_ROW_INDEX = "(row_number() OVER () - 1)::INTEGER"
"""Of rows already in order: ranking by a window, then ordering by it, would sort all strings twice."""


_STALE_ARTISTS = (
    f"{c.ARTIST_CATALOG} lacks artists of the cleaned playlists: it was made from other ones; "
    f"materialise {c.ARTIST_CATALOG} first"
)


def artist_catalog_query(cleaned: Path, rule: SplitRule) -> TableQuery:
    """Return the table of all artists.

    Columns: artist_index int32 (dense from 0), artist_id, artist_name, playlist_count, play_count,
    train_playlist_count int64. Rows without an artist are not counted.
    """
    return TableQuery(
        f"""
        WITH {CodedFiles.beside(cleaned).relations()},
        training AS ({rule.training_numbers()}),
        trained AS (
            SELECT {c.ARTIST_NUMBER}, count(*) AS trained
            FROM coded_rows SEMI JOIN training USING ({c.PLAYLIST_NUMBER})
            WHERE {c.FIRST_OF_ARTIST} GROUP BY {c.ARTIST_NUMBER}
        )
        SELECT {_ROW_INDEX} AS {c.ARTIST_INDEX}, * FROM (
            SELECT {c.ARTIST_ID}, {c.ARTIST_NAME}, {c.PLAYLIST_COUNT}, {c.PLAY_COUNT},
                coalesce(trained, 0) AS {c.TRAIN_PLAYLIST_COUNT}
            FROM coded_artists LEFT JOIN trained USING ({c.ARTIST_NUMBER})
            ORDER BY {c.TRAIN_PLAYLIST_COUNT} DESC, {c.ARTIST_ID}
        )
        """
    )


def track_catalog_query(cleaned: Path, rule: SplitRule) -> TableQuery:
    """Return the table of all tracks; reads the table artist_catalog.

    Columns: track_index int32 (dense from 0), track_id, track_name, artist_index int32 (-1 without
    an artist), album_index int32 (-1 without an album), playlist_count, play_count,
    train_playlist_count int64.
    """
    return TableQuery(
        f"""
        WITH {CodedFiles.beside(cleaned).relations()},
        training AS ({rule.training_numbers()}),
        trained AS (
            SELECT {c.TRACK_NUMBER}, count(*) AS trained
            FROM coded_rows SEMI JOIN training USING ({c.PLAYLIST_NUMBER})
            WHERE {c.FIRST_OF_TRACK} GROUP BY {c.TRACK_NUMBER}
        ),
        artists AS (
            SELECT {c.ARTIST_NUMBER}, {c.ARTIST_INDEX}
            FROM coded_artists JOIN {c.ARTIST_CATALOG} USING ({c.ARTIST_ID})
        ),
        albums AS (
            SELECT {c.ALBUM_ID},
                (row_number() OVER (ORDER BY {c.ALBUM_ID}) - 1)::INTEGER AS {c.ALBUM_INDEX}
            FROM (SELECT DISTINCT {c.ALBUM_ID} FROM coded_tracks WHERE {c.ALBUM_ID} IS NOT NULL)
        )
        SELECT {_ROW_INDEX} AS {c.TRACK_INDEX}, * FROM (
            SELECT {c.TRACK_ID}, {c.TRACK_NAME},
                CASE WHEN {c.ARTIST_NUMBER} < 0 THEN -1 WHEN {c.ARTIST_INDEX} IS NULL
                    THEN error({sql_text(_STALE_ARTISTS)}) ELSE {c.ARTIST_INDEX} END::INTEGER
                    AS {c.ARTIST_INDEX},
                coalesce({c.ALBUM_INDEX}, -1)::INTEGER AS {c.ALBUM_INDEX},
                {c.PLAYLIST_COUNT}, {c.PLAY_COUNT}, coalesce(trained, 0) AS {c.TRAIN_PLAYLIST_COUNT}
            FROM coded_tracks LEFT JOIN trained USING ({c.TRACK_NUMBER})
            LEFT JOIN artists USING ({c.ARTIST_NUMBER}) LEFT JOIN albums USING ({c.ALBUM_ID})
            ORDER BY {c.TRAIN_PLAYLIST_COUNT} DESC, {c.TRACK_ID}
        )
        """,
        made_from=[c.ARTIST_CATALOG],
    )


def tracks_as_catalog(track_catalog: pa.Table) -> Catalog:
    """Turn the track table (in order of its index) into the models' `Catalog`."""
    return Catalog(
        ids=_strings(track_catalog[c.TRACK_ID]),
        names=_strings(track_catalog[c.TRACK_NAME]),
        artist_index=track_catalog[c.ARTIST_INDEX].to_numpy().astype(np.int32),
        album_index=track_catalog[c.ALBUM_INDEX].to_numpy().astype(np.int32),
    )


def artists_as_catalog(artist_catalog: pa.Table) -> Catalog:
    """Turn the artist table into a `Catalog` in which every artist is an item of its own artist."""
    return Catalog(
        ids=_strings(artist_catalog[c.ARTIST_ID]),
        names=_strings(artist_catalog[c.ARTIST_NAME]),
        artist_index=np.arange(len(artist_catalog), dtype=np.int32),
    )


def _strings(column: pa.ChunkedArray) -> pa.StringArray:
    strings = pc.cast(column, pa.string())
    return pa.concat_arrays(strings.chunks) if strings.num_chunks else pa.array([], pa.string())
