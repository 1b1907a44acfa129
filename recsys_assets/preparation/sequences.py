"""Playlists as sequences of dense indices.

Holds the SQL that turns cleaned rows into one row per playlist, the views that show the sequences
with names, and the function that turns a table of sequences into a `PlaylistSet`. Catalogues and the
choice of split sides are made elsewhere.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from recsys_assets import columns as c
from recsys_assets.playlists import MISSING, PlaylistSet
from recsys_assets.preparation.queries import TableQuery
from recsys_assets.preparation.split import MIN_TRACKS, in_sample, split_side

PLAYLIST_TRACKS_VIEW = "playlist_tracks"


def playlist_sequences_query(cleaned: Path, *, salt: str, sample_percent: float) -> TableQuery:
    """Return the table of playlists with three or more tracks; reads the table track_catalog.

    Columns: playlist_id, playlist_name, user_id, started_at, track_sequence and artist_sequence
    list<int32> in playing order (-1 for a missing artist), track_count int32, split.
    """
    return TableQuery(
        f"""
        SELECT {c.PLAYLIST_ID}, min({c.PLAYLIST_NAME}) AS {c.PLAYLIST_NAME},
            min({c.USER_ID}) AS {c.USER_ID}, min({c.STARTED_AT}) AS {c.STARTED_AT},
            list({c.TRACK_INDEX} ORDER BY {c.POSITION}) AS {c.TRACK_SEQUENCE},
            list({c.ARTIST_INDEX} ORDER BY {c.POSITION}) AS {c.ARTIST_SEQUENCE},
            count(*)::INTEGER AS {c.TRACK_COUNT},
            {split_side(c.PLAYLIST_ID, salt)} AS {c.SPLIT}
        FROM read_parquet($cleaned) JOIN {c.TRACK_CATALOG} USING ({c.TRACK_ID})
        WHERE {in_sample(c.PLAYLIST_ID, sample_percent)}
        GROUP BY {c.PLAYLIST_ID} HAVING count(*) >= {MIN_TRACKS}
        ORDER BY {c.PLAYLIST_ID}
        """,
        {"cleaned": str(cleaned)},
        views={
            PLAYLIST_TRACKS_VIEW: f"""
                SELECT {c.PLAYLIST_ID}, {c.PLAYLIST_NAME}, {c.SPLIT}, {c.POSITION}, {c.TRACK_ID},
                    {c.TRACK_NAME}, {c.ARTIST_ID}, {c.ARTIST_NAME}
                FROM (
                    SELECT {c.PLAYLIST_ID}, {c.PLAYLIST_NAME}, {c.SPLIT},
                        unnest({c.TRACK_SEQUENCE}) AS {c.TRACK_INDEX},
                        unnest(range({c.TRACK_COUNT})) AS {c.POSITION}
                    FROM {c.PLAYLIST_SEQUENCES}
                )
                JOIN {c.TRACK_CATALOG} USING ({c.TRACK_INDEX})
                LEFT JOIN {c.ARTIST_CATALOG} USING ({c.ARTIST_INDEX})
            """
        },
    )


def track_playlists(sequences: pa.Table) -> PlaylistSet:
    """Return the track sequences, with the playlists' names as titles."""
    return PlaylistSet.from_arrow(sequences[c.TRACK_SEQUENCE], sequences[c.PLAYLIST_NAME])


def artist_playlists(sequences: pa.Table) -> PlaylistSet:
    """Return the artist sequences without missing artists, runs of one artist taken once.

    An album played through says nothing about which artists go together, but would count for the
    artist itself at every step.
    """
    whole = PlaylistSet.from_arrow(sequences[c.ARTIST_SEQUENCE])
    known = whole.items != MISSING
    owner = np.repeat(np.arange(len(whole)), whole.lengths)[known]
    items = whole.items[known]
    keep = np.ones(len(items), bool)
    keep[1:] = (items[1:] != items[:-1]) | (owner[1:] != owner[:-1])
    offsets = np.zeros(len(whole) + 1, np.int64)
    np.cumsum(np.bincount(owner[keep], minlength=len(whole)), out=offsets[1:])
    return PlaylistSet(offsets, items[keep])
