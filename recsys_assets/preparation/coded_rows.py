"""Reading the coded files without SQL: columns as arrays, and counts over training playlists.

The files are read one row group at a time, so that what is in memory is what was asked for and
little else. What the files hold is said in `sources/coded.py`; what is made of them in `catalog.py`
and `sequences.py`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys_assets import columns as c
from recsys_assets.playlists import Int32, Int64
from recsys_assets.preparation import kernels
from recsys_assets.preparation.split import SplitRule
from recsys_assets.sources.coded import CodedFiles

Bytes = kernels.Bytes
Strings: TypeAlias = pa.StringArray | pa.LargeStringArray


def numbering(coded: CodedFiles) -> str:
    """Return a hash of which track has which number: of the file of coded tracks."""
    with coded.tracks.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    for rows in groups(coded.rows, [c.PLAYLIST_NUMBER, number, first]):
        playlists, items, is_first = (
            column.to_numpy(zero_copy_only=False) for column in rows.columns
        )
        kernels.count_items(playlists, items, is_first, chosen, counts)
    return counts


def read_numbers(path: Path, column: str) -> Int32:
    """Return a column of whole numbers without nulls as int32[rows]."""
    numbers = np.empty(pq.read_metadata(path).num_rows, np.int32)
    done = 0
    for rows in groups(path, [column]):
        numbers[done : done + len(rows)] = rows.column(0).to_numpy()
        done += len(rows)
    return numbers


def read_texts(path: Path, column: str) -> Strings:
    """Return a column of strings as one array, with offsets as small as will do."""
    room = TextRoom.of(path, column)
    for rows in groups(path, [column]):
        room.add(pc.cast(rows.column(0), pa.large_string()))
    return room.filled()


class TextRoom:
    """Room for texts that come a group at a time; what is not written to takes no memory.

    Attributes
    ----------
    rows
        How many have come.
    """

    def __init__(self, rows: int, size: int) -> None:
        self.rows = self._size = 0
        self._data, self._offsets = np.empty(size, np.uint8), np.zeros(rows + 1, np.int64)
        self._valid = np.ones(rows, np.bool_)

    @classmethod
    def of(cls, path: Path, column: str) -> "TextRoom":
        """Return room for a column of a parquet file, or some rows of it."""
        metadata = pq.read_metadata(path)
        place = metadata.schema.names.index(column)
        # Enough unless texts repeat within a dictionary.
        size = sum(
            metadata.row_group(group).column(place).total_uncompressed_size
            for group in range(metadata.num_row_groups)
        )
        return cls(metadata.num_rows, size)

    def add(self, texts: pa.LargeStringArray) -> None:
        """Take texts, which may be null."""
        data, part = text_bytes(texts)
        begin, end, size = self.rows, self.rows + len(texts), self._size
        self._offsets[begin + 1 : end + 1] = part[1:] + (size - part[0])
        if texts.null_count:
            self._valid[begin:end] = texts.is_valid().to_numpy(zero_copy_only=False)
        more = int(part[-1] - part[0])
        if size + more > len(self._data):
            larger = np.empty(max(2 * len(self._data), size + more), np.uint8)
            larger[:size] = self._data[:size]
            self._data = larger
        self._data[size : size + more] = data[part[0] : part[-1]]
        self.rows, self._size = end, size + more

    def filled(self) -> Strings:
        """Return the texts that have come; takes the room away."""
        valid, offsets = self._valid[: self.rows], self._offsets[: self.rows + 1]
        mask = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
        kind, places = (
            (pa.StringArray, offsets.astype(np.int32))
            if self._size <= np.iinfo(np.int32).max
            else (pa.LargeStringArray, offsets)
        )
        return kind.from_buffers(self.rows, pa.py_buffer(places), pa.py_buffer(self._data), mask)


def text_bytes(texts: Strings) -> tuple[Bytes, Int32 | Int64]:
    """Return the bytes of all texts, and where each begins there and the last one ends."""
    _, offsets, data = texts.buffers()
    wide = pa.types.is_large_string(texts.type)
    places: Int32 | Int64 = (
        np.frombuffer(offsets, np.int64) if wide else np.frombuffer(offsets, np.int32)
    )[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8), places


def groups(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the columns, in the order asked for, of one row group after the other."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=list(columns)).select(list(columns))
            yield from rows.combine_chunks().to_batches()
