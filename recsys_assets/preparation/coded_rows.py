"""Reading the coded files without SQL: columns as arrays, and counts over training playlists.

The files are read one row group at a time, so that what is in memory is what was asked for and
little else. What the files hold is said in `sources/coded.py`; what is made of them in `catalog.py`
and `sequences.py`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys_assets import columns as c
from recsys_assets.playlists import Int32
from recsys_assets.preparation import kernels
from recsys_assets.preparation.split import SplitRule
from recsys_assets.sources.coded import CodedFiles


def numbering(coded: CodedFiles) -> str:
    """Return a hash of which track has which number: of the file of coded tracks."""
    with coded.tracks.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def count_in_training(
    connection: duckdb.DuckDBPyConnection, coded: CodedFiles, rule: SplitRule, number: str
) -> Int32:
    """Return how many training playlists hold each track or artist.

    Parameters
    ----------
    connection
        Where the rule is evaluated.
    number
        `TRACK_NUMBER` or `ARTIST_NUMBER`.

    Returns
    -------
    int32[tracks] or int32[artists]
    """
    path, first = {
        c.TRACK_NUMBER: (coded.tracks, c.FIRST_OF_TRACK),
        c.ARTIST_NUMBER: (coded.artists, c.FIRST_OF_ARTIST),
    }[number]
    training = connection.execute(
        f"WITH {coded.relations()} {rule.training_numbers()}"
    ).fetchnumpy()[c.PLAYLIST_NUMBER]
    chosen = np.zeros(pq.read_metadata(coded.playlists).num_rows, np.bool_)
    chosen[training] = True
    counts = np.zeros(pq.read_metadata(path).num_rows, np.int32)
    for rows in _groups(coded.rows, [c.PLAYLIST_NUMBER, number, first]):
        playlists, items, is_first = (
            column.to_numpy(zero_copy_only=False) for column in rows.columns
        )
        kernels.count_items(playlists, items, is_first, chosen, counts)
    return counts


def read_numbers(path: Path, column: str) -> Int32:
    """Return a column of whole numbers without nulls as int32[rows]."""
    numbers = np.empty(pq.read_metadata(path).num_rows, np.int32)
    done = 0
    for rows in _groups(path, [column]):
        numbers[done : done + len(rows)] = rows.column(0).to_numpy()
        done += len(rows)
    return numbers


def read_texts(path: Path, column: str) -> pa.StringArray | pa.LargeStringArray:
    """Return a column of strings as one array, with offsets as small as will do."""
    metadata = pq.read_metadata(path)
    place = metadata.schema.names.index(column)
    # Enough unless texts repeat within a dictionary; what is not written to takes no memory.
    room = sum(
        metadata.row_group(group).column(place).total_uncompressed_size
        for group in range(metadata.num_row_groups)
    )
    data, offsets = np.empty(room, np.uint8), np.zeros(metadata.num_rows + 1, np.int64)
    valid = np.ones(metadata.num_rows, np.bool_)
    done = size = 0
    for rows in _groups(path, [column]):
        texts = pc.cast(rows.column(0), pa.large_string())
        _, ends, bytes_ = texts.buffers()
        part = np.frombuffer(ends, np.int64)[texts.offset : texts.offset + len(texts) + 1]
        offsets[done + 1 : done + len(texts) + 1] = part[1:] + (size - part[0])
        if texts.null_count:
            valid[done : done + len(texts)] = texts.is_valid().to_numpy(zero_copy_only=False)
        more = int(part[-1] - part[0])
        if size + more > len(data):
            larger = np.empty(max(2 * len(data), size + more), np.uint8)
            larger[:size] = data[:size]
            data = larger
        if more:
            data[size : size + more] = np.frombuffer(bytes_, np.uint8)[part[0] : part[-1]]
        done, size = done + len(texts), size + more
    mask = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    kind, places = (
        (pa.StringArray, offsets.astype(np.int32))
        if size <= np.iinfo(np.int32).max
        else (pa.LargeStringArray, offsets)
    )
    return kind.from_buffers(metadata.num_rows, pa.py_buffer(places), pa.py_buffer(data), mask)


def _groups(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the columns, in the order asked for, of one row group after the other."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=list(columns)).select(list(columns))
            yield from rows.combine_chunks().to_batches()
