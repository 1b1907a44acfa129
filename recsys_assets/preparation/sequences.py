"""Playlists as sequences of dense indices.

Holds what turns the coded rows into one row per playlist, the views that show the sequences
with names, and the function that turns a table of sequences into a `PlaylistSet`. Catalogues and the
choice of split sides are made elsewhere.
"""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys_assets import columns as c
from recsys_assets.errors import StorageError
from recsys_assets.playlists import MISSING, Int32, Int64, PlaylistSet
from recsys_assets.preparation import kernels
from recsys_assets.preparation.catalog import TRACK_NUMBERS_TABLE
from recsys_assets.preparation.coded_rows import numbering, read_numbers
from recsys_assets.preparation.lineage import recorded_numbering
from recsys_assets.preparation.queries import TableQuery
from recsys_assets.preparation.split import SplitRule
from recsys_assets.sources.coded import CodedFiles

PLAYLIST_TRACKS_VIEW = "playlist_tracks"
_SEQUENCES = "ordered_sequences"
_PLAYLISTS_AT_ONCE = 8_192
_ROWS_AT_ONCE = 1 << 19

_STALE_TRACKS = (
    f"{c.TRACK_CATALOG} was made from other cleaned playlists than those that are there now; "
    f"materialise {c.ARTIST_CATALOG} and {c.TRACK_CATALOG} first"
)


def playlist_sequences_query(cleaned: Path, rule: SplitRule) -> TableQuery:
    """Return the table of playlists with three or more tracks; reads the table track_catalog.

    Columns: playlist_id, playlist_name, user_id, started_at, track_sequence and artist_sequence
    list<int32> in playing order (-1 for a missing artist), track_count int32, split.
    """
    return TableQuery(
        f"FROM {_SEQUENCES}",
        made_from=[c.TRACK_CATALOG, c.ARTIST_CATALOG],
        arrays=lambda connection: {
            _SEQUENCES: _ordered_sequences(connection, CodedFiles.beside(cleaned), rule)
        },
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


def _ordered_sequences(
    connection: duckdb.DuckDBPyConnection, coded: CodedFiles, rule: SplitRule
) -> pa.RecordBatchReader:
    """Return the rows of playlist_sequences by id, a stretch at a time.

    The coded rows are in order already, so that the lists are slices of two arrays. Grouping and
    sorting the same 12.9 million rows in SQL took a quarter of the whole preparation.
    """
    used = connection.execute(
        f"""
        WITH {coded.relations()},
        used AS (SELECT {c.PLAYLIST_NUMBER}, {rule.side()} AS {c.SPLIT}
            FROM ({rule.used_playlists()}))
        SELECT {c.PLAYLIST_NUMBER}, {c.PLAYLIST_ID}, {c.PLAYLIST_NAME}, {c.USER_ID}, {c.STARTED_AT},
            {c.TRACK_COUNT}, {c.SPLIT}
        FROM coded_playlists JOIN used USING ({c.PLAYLIST_NUMBER}) ORDER BY {c.PLAYLIST_ID}
        """
    ).to_arrow_table()
    if recorded_numbering(connection, c.TRACK_CATALOG) != numbering(coded):
        raise StorageError(_STALE_TRACKS)
    starts = np.zeros(pq.read_metadata(coded.playlists).num_rows + 1, np.int64)
    np.cumsum(read_numbers(coded.playlists, c.TRACK_COUNT), out=starts[1:])
    lists_of_tracks = _lists(
        _track_indices(connection, coded),
        starts,
        used[c.PLAYLIST_NUMBER].to_numpy(),
        used[c.TRACK_COUNT].to_numpy(),
    )
    artist_index = _column(connection, c.TRACK_CATALOG, c.ARTIST_INDEX)
    schema = pa.schema(
        [
            *(used.schema.field(name) for name in _BEFORE_LISTS),
            (c.TRACK_SEQUENCE, pa.list_(pa.int32())),
            (c.ARTIST_SEQUENCE, pa.list_(pa.int32())),
            *(used.schema.field(name) for name in _AFTER_LISTS),
        ]
    )

    begins = range(0, len(used), _PLAYLISTS_AT_ONCE)

    def stretch(begin: int) -> Iterator[pa.RecordBatch]:
        part = used.slice(begin, _PLAYLISTS_AT_ONCE)
        offsets, items = lists_of_tracks.pop()
        lists = {
            c.TRACK_SEQUENCE: pa.ListArray.from_arrays(pa.array(offsets), pa.array(items)),
            c.ARTIST_SEQUENCE: pa.ListArray.from_arrays(
                pa.array(offsets), pa.array(artist_index[items])
            ),
        }
        columns = [lists[name] if name in lists else part[name] for name in schema.names]
        yield from pa.table(columns, schema=schema).combine_chunks().to_batches()

    return pa.RecordBatchReader.from_batches(
        schema,
        (batch for begin in begins for batch in stretch(begin)),
    )


_BEFORE_LISTS = (c.PLAYLIST_ID, c.PLAYLIST_NAME, c.USER_ID, c.STARTED_AT)
_AFTER_LISTS = (c.TRACK_COUNT, c.SPLIT)


def _track_indices(connection: duckdb.DuckDBPyConnection, coded: CodedFiles) -> Int32:
    """Return the track index of each coded row."""
    order = _column(connection, TRACK_NUMBERS_TABLE, c.TRACK_NUMBER)
    index = np.empty(len(order), np.int32)
    index[order] = np.arange(len(order), dtype=np.int32)
    del order
    tracks = read_numbers(coded.rows, c.TRACK_NUMBER)
    for begin in range(0, len(tracks), _ROWS_AT_ONCE):
        part = tracks[begin : begin + _ROWS_AT_ONCE]
        part[:] = index[part]
    return tracks


def _lists(
    tracks: Int32, starts: Int64, playlists: Int32, counts: Int32
) -> list[tuple[Int32, Int32]]:
    """Return offsets and items of the playlists' lists, by stretches, the last one first.

    Taken from the end, each is let go when it is stored.
    """
    taken = []
    for begin in reversed(range(0, len(playlists), _PLAYLISTS_AT_ONCE)):
        part = slice(begin, begin + _PLAYLISTS_AT_ONCE)
        offsets = np.zeros(len(playlists[part]) + 1, np.int32)
        np.cumsum(counts[part], out=offsets[1:])
        items = np.empty(offsets[-1], np.int32)
        kernels.take_lists(tracks, starts, playlists[part], offsets, items)
        taken.append((offsets, items))
    return taken


def _column(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> Int32:
    """Return a column of whole numbers without nulls, in the table's order."""
    return np.asarray(
        connection.execute(f"SELECT {column} FROM {table}").fetchnumpy()[column], np.int32
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
