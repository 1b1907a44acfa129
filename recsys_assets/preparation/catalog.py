"""Track and artist catalogues: a dense integer index for every id, with names and counts.

Holds what makes both tables from the coded rows, and the functions that turn them into a `Catalog`.
Sequences and splits are made elsewhere.

The index falls with the number of *training* playlists, ties by id. Ordering by popularity over all
playlists would leak: rankings break ties by index, so a track seen once in training would be put
first exactly when validation or test holds it too.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys_assets import columns as c
from recsys_assets.errors import StorageError
from recsys_assets.models.parallel import map_blocks
from recsys_assets.playlists import MISSING, Catalog, Int32
from recsys_assets.preparation import kernels
from recsys_assets.preparation.coded_rows import (
    Strings,
    count_in_training,
    numbering,
    read_numbers,
    read_texts,
    text_bytes,
)
from recsys_assets.preparation.queries import Rows, TableQuery
from recsys_assets.preparation.split import SplitRule
from recsys_assets.preparation.tails import read_tails
from recsys_assets.sources.coded import CodedFiles

TRACK_NUMBERS_TABLE = "track_catalog_numbers"
"""Column track_number int32: which coded track each row of track_catalog is, in its order."""
_TRACKS, _NUMBERS, _TRAINED = "ordered_tracks", "ordered_numbers", "trained_artists"
_ROWS_AT_ONCE = 122_880
"""Of DuckDB's row group: it stores one when it has all of it."""

_STALE_ARTISTS = (
    f"{c.ARTIST_CATALOG} lacks artists of the cleaned playlists: it was made from other ones; "
    f"materialise {c.ARTIST_CATALOG} first"
)


def artist_catalog_query(cleaned: Path, rule: SplitRule) -> TableQuery:
    """Return the table of all artists.

    Columns: artist_index int32 (dense from 0), artist_id, artist_name, playlist_count, play_count,
    train_playlist_count int64. Rows without an artist are not counted.
    """
    coded = CodedFiles.beside(cleaned)

    def trained(connection: duckdb.DuckDBPyConnection) -> dict[str, Rows]:
        counts = count_in_training(connection, coded, rule, c.ARTIST_NUMBER)
        numbers = np.arange(len(counts), dtype=np.int32)
        return {_TRAINED: pa.table({c.ARTIST_NUMBER: numbers, "trained": counts.astype(np.int64)})}

    return TableQuery(
        f"""
        WITH {coded.relations()}
        SELECT (row_number() OVER () - 1)::INTEGER AS {c.ARTIST_INDEX}, * FROM (
            SELECT {c.ARTIST_ID}, {c.ARTIST_NAME}, {c.PLAYLIST_COUNT}, {c.PLAY_COUNT},
                trained AS {c.TRAIN_PLAYLIST_COUNT}
            FROM coded_artists JOIN {_TRAINED} USING ({c.ARTIST_NUMBER})
            ORDER BY {c.TRAIN_PLAYLIST_COUNT} DESC, {c.ARTIST_ID}
        )
        """,
        arrays=trained,
    )


def track_catalog_query(cleaned: Path, rule: SplitRule) -> TableQuery:
    """Return the table of all tracks; reads the table artist_catalog.

    Columns: track_index int32 (dense from 0), track_id, track_name, artist_index int32 (-1 without
    an artist), album_index int32 (-1 without an album), playlist_count, play_count,
    train_playlist_count int64.
    """
    coded = CodedFiles.beside(cleaned)
    return TableQuery(
        f"FROM {_TRACKS}",
        arrays=lambda connection: _ordered_tracks(connection, coded, rule),
        alongside={TRACK_NUMBERS_TABLE: f"FROM {_NUMBERS}"},
        made_from=[c.ARTIST_CATALOG],
        numbering=numbering(coded),
        # Titles and ids take this one in the end; trying the others took a third of the writing.
        compression="fsst",
        threads=2,  # 2.9 s instead of 3.7 for 2.8 million, and 35 MiB more
    )


def _ordered_tracks(
    connection: duckdb.DuckDBPyConnection, coded: CodedFiles, rule: SplitRule
) -> dict[str, Rows]:
    """Return the rows of track_catalog, a stretch at a time, and their numbers.

    In SQL the sort by count and id of 2.8 million tracks, and of all their columns with them, set
    the peak memory of the whole preparation.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="recsys") as pool:
        reading = pool.submit(read_texts, coded.tracks, c.TRACK_ID)
        trained = count_in_training(connection, coded, rule, c.TRACK_NUMBER)
        ids = reading.result()
        reading_names = pool.submit(read_tails, coded.tracks, c.TRACK_NAME, ids)
        order = order_by_count_and_id(trained, ids)
        names = reading_names.result()
    numbers = [
        _stretches(_artist_indices(connection, coded), order),
        _stretches(_album_indices(connection, coded), order),
        _stretches(read_numbers(coded.tracks, c.PLAYLIST_COUNT), order),
        _stretches(read_numbers(coded.tracks, c.PLAY_COUNT), order),
        _stretches(trained, order),
    ]
    del trained

    def stretch(begin: int) -> pa.RecordBatch:
        part = order[begin : begin + _ROWS_AT_ONCE]
        return pa.record_batch(
            [
                pa.array(np.arange(begin, begin + len(part), dtype=np.int32)),
                pc.cast(ids.take(pa.array(part)), pa.large_string()),
                names.take(part),
                *(
                    pa.array(stretches.pop()).cast(kind)
                    for stretches, kind in zip(numbers, _TRACK_SCHEMA.types[3:], strict=True)
                ),
            ],
            schema=_TRACK_SCHEMA,
        )

    rows = pa.RecordBatchReader.from_batches(
        _TRACK_SCHEMA, (stretch(begin) for begin in range(0, len(order), _ROWS_AT_ONCE))
    )
    return {_TRACKS: rows, _NUMBERS: pa.table({c.TRACK_NUMBER: order})}


def _stretches(values: Int32, order: Int32) -> list[npt.NDArray[np.integer[Any]]]:
    """Return ``values[order]`` by stretches, the last one first, in integers as small as will do.

    Taken from the end, each is let go when it is stored.
    """
    if len(values) == 0:
        return []
    least, most = np.min_scalar_type(values.min()), np.min_scalar_type(values.max())
    small = np.promote_types(least, most)  # of 57 MiB for 2.8 million remain 31
    if small.itemsize < values.itemsize:  # -1 and 70,000 would take int64
        values = values.astype(small)
    begins = range(0, len(order), _ROWS_AT_ONCE)
    return [values[order[begin : begin + _ROWS_AT_ONCE]] for begin in reversed(begins)]


_TRACK_SCHEMA = pa.schema(
    [
        (c.TRACK_INDEX, pa.int32()),
        (c.TRACK_ID, pa.large_string()),
        (c.TRACK_NAME, pa.large_string()),
        (c.ARTIST_INDEX, pa.int32()),
        (c.ALBUM_INDEX, pa.int32()),
        (c.PLAYLIST_COUNT, pa.int64()),
        (c.PLAY_COUNT, pa.int64()),
        (c.TRAIN_PLAYLIST_COUNT, pa.int64()),
    ]
)


def order_by_count_and_id(counts: Int32, ids: Strings) -> Int32:
    """Return the items by falling count, those of one count by the bytes of their ids.

    Parameters
    ----------
    counts
        int32[items], 0 or more.
    ids
        Distinct ids without nulls, as long as `counts`.

    Returns
    -------
    int32[items]
    """
    order = np.empty(len(counts), np.int32)
    if len(order) == 0:
        return order
    starts = np.zeros(int(counts.max()) + 2, np.int64)
    kernels.bucket_by_count(counts, starts, order)
    texts, places = text_bytes(ids)
    words = np.empty(len(order), np.uint64)
    buckets = [one for one in itertools.pairwise(starts.tolist()) if one[1] - one[0] > 1]
    map_blocks(
        lambda bucket: kernels.sort_texts(texts, places, order, words, *bucket),
        sorted(buckets, key=lambda bucket: bucket[0] - bucket[1]),  # the largest first
    )
    return order


def _artist_indices(connection: duckdb.DuckDBPyConnection, coded: CodedFiles) -> Int32:
    """Return the artist index of each coded track, -1 where it has none."""
    found = connection.execute(
        f"""WITH {coded.relations()}
        SELECT {c.ARTIST_NUMBER}, {c.ARTIST_INDEX}
        FROM coded_artists JOIN {c.ARTIST_CATALOG} USING ({c.ARTIST_ID})"""
    ).fetchnumpy()
    unknown = -2
    index = np.full(pq.read_metadata(coded.artists).num_rows + 1, unknown, np.int32)
    index[found[c.ARTIST_NUMBER]] = found[c.ARTIST_INDEX]
    index[-1] = MISSING  # a track's number is -1 without an artist
    of_track: Int32 = index[read_numbers(coded.tracks, c.ARTIST_NUMBER)]
    if (of_track == unknown).any():
        raise StorageError(_STALE_ARTISTS)
    return of_track


def _album_indices(connection: duckdb.DuckDBPyConnection, coded: CodedFiles) -> Int32:
    """Return of each coded track its album's place among all of them by id, -1 without an album."""
    albums = f"WITH {coded.relations()} SELECT {c.ALBUM_ID} FROM coded_tracks"
    if not connection.execute(f"{albums} WHERE {c.ALBUM_ID} IS NOT NULL LIMIT 1").fetchall():
        return np.broadcast_to(np.int32(MISSING), pq.read_metadata(coded.tracks).num_rows)
    found = read_texts(coded.tracks, c.ALBUM_ID).dictionary_encode()
    place = np.empty(len(found.dictionary) + 1, np.int32)
    place[pc.sort_indices(found.dictionary).to_numpy()] = np.arange(len(found.dictionary))
    place[-1] = MISSING
    indices: Int32 = place[pc.fill_null(found.indices, -1).to_numpy()]
    return indices


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
