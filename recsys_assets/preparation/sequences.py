"""Playlists as sequences of dense indices.

Holds the SQL that turns cleaned rows into one row per playlist, the views that show the sequences
with names, and the function that turns a table of sequences into a `PlaylistSet`. Catalogues and the
choice of split sides are made elsewhere.
"""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys_assets import columns as c
from recsys_assets.errors import StorageError
from recsys_assets.playlists import MISSING, Int32, PlaylistSet
from recsys_assets.preparation.queries import TableQuery
from recsys_assets.preparation.split import SplitRule
from recsys_assets.sources.coded import CodedFiles

PLAYLIST_TRACKS_VIEW = "playlist_tracks"
_LISTS = "sequence_lists"


def playlist_sequences_query(cleaned: Path, rule: SplitRule) -> TableQuery:
    """Return the table of playlists with three or more tracks; reads the table track_catalog.

    Columns: playlist_id, playlist_name, user_id, started_at, track_sequence and artist_sequence
    list<int32> in playing order (-1 for a missing artist), track_count int32, split.
    """
    return TableQuery(
        f"""
        WITH {CodedFiles.beside(cleaned).relations()},
        used AS (SELECT {c.PLAYLIST_NUMBER}, {rule.side()} AS {c.SPLIT}
            FROM ({rule.used_playlists()}))
        SELECT {c.PLAYLIST_ID}, {c.PLAYLIST_NAME}, {c.USER_ID}, {c.STARTED_AT},
            {c.TRACK_SEQUENCE}, {c.ARTIST_SEQUENCE}, {c.TRACK_COUNT}, {c.SPLIT}
        FROM coded_playlists JOIN used USING ({c.PLAYLIST_NUMBER})
        JOIN {_LISTS} USING ({c.PLAYLIST_NUMBER})
        ORDER BY {c.PLAYLIST_ID}
        """,
        made_from=[c.TRACK_CATALOG, c.ARTIST_CATALOG],
        arrays=lambda connection: {_LISTS: _lists(connection, CodedFiles.beside(cleaned))},
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


def _lists(connection: duckdb.DuckDBPyConnection, coded: CodedFiles) -> pa.Table:
    """Return playlist_number with the lists of track and artist indices.

    The coded rows are in order already, so that the lists are slices of two arrays. Grouping and
    sorting the same 12.9 million rows in SQL took a quarter of the whole preparation.
    """
    index = connection.execute(
        f"""WITH {coded.relations()}
        SELECT {c.TRACK_INDEX}, {c.ARTIST_INDEX}
        FROM coded_tracks JOIN {c.TRACK_CATALOG} USING ({c.TRACK_ID}) ORDER BY {c.TRACK_NUMBER}"""
    ).fetchnumpy()
    missing = pq.read_metadata(coded.tracks).num_rows - len(index[c.TRACK_INDEX])
    if missing:
        raise StorageError(
            f"{c.TRACK_CATALOG} lacks {missing:,} tracks of the cleaned playlists: it was made from "
            f"other ones; materialise {c.ARTIST_CATALOG} and {c.TRACK_CATALOG} first"
        )
    playlists = pq.read_table(coded.playlists, columns=[c.PLAYLIST_NUMBER, c.TRACK_COUNT])
    offsets = np.zeros(len(playlists) + 1, np.int32)
    np.cumsum(playlists[c.TRACK_COUNT].to_numpy(), out=offsets[1:])
    tracks = pq.read_table(coded.rows, columns=[c.TRACK_NUMBER])[c.TRACK_NUMBER].to_numpy()

    def lists(of_track: Int32) -> pa.ListArray:
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(of_track[tracks]))

    return pa.table(
        {
            c.PLAYLIST_NUMBER: playlists[c.PLAYLIST_NUMBER],
            c.TRACK_SEQUENCE: lists(np.asarray(index[c.TRACK_INDEX], np.int32)),
            c.ARTIST_SEQUENCE: lists(np.asarray(index[c.ARTIST_INDEX], np.int32)),
        }
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
