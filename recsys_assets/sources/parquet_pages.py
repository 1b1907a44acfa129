"""Parquet files written page by page, from columns that come as numbers and bytes already.

The library's writer hashes every value of every dictionary again, and wants all of a group in memory.
This one knows what `quick_write.py` needs and no more: flat optional columns, one stretch of rows
after the other, pages of version 1, zstd or lz4. Files are read by DuckDB, Arrow and anyone else.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recsys_assets.sources import page_kernels as kernels
from recsys_assets.sources.record_kernels import Bytes, Int32

_MAGIC: Final = b"PAR1"
_CREATOR: Final = "recsys_assets"
_ROWS_PER_PAGE: Final = 1 << 17


class Codec(NamedTuple):
    """A way to compress pages: Arrow's name of it and parquet's number."""

    name: str
    number: int


ZSTD, LZ4 = Codec("zstd", 6), Codec("lz4_raw", 7)
_POOL: Final = pa.system_memory_pool()
"""Gives back what is freed: Arrow's own pool held 30 MiB more at 12.9 million rows."""
_OPTIONAL: Final = 1
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_PLAIN, _RLE, _DELTA_BINARY_PACKED, _RLE_DICTIONARY = 0, 3, 5, 8


# --- the metadata's own format: Apache Thrift's compact protocol ---------------------------------
Struct = dict[int, "Value"]
"""Fields by id: an int is an i32, `I64` an i64, a bool a bool, others as they are."""
Value = int | bool | str | Struct | list["Value"]


_MOST_I32: Final = (1 << 31) - 1


class I64(int):
    """An integer of 64 bits."""


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _kind(value: Value) -> int:
    match value:
        case bool():
            return 1 if value else 2
        case I64():
            return 6
        case int():
            return 5
        case str():
            return 8
        case list():
            return 9
    return 12


def _packed(value: Value) -> bytes:
    match value:
        case bool():  # is in its kind
            return b""
        case int():
            if not isinstance(value, I64) and value > _MOST_I32:
                raise ValueError(f"a page of {value:,} bytes is more than parquet can hold")
            return _varint(value << 1)  # zigzag; none is negative
        case str():
            text = value.encode()
            return _varint(len(text)) + text
        case list():
            head = min(len(value), 15) << 4 | (_kind(value[0]) if value else 12)
            size = _varint(len(value)) if len(value) >= 15 else b""
            return bytes([head]) + size + b"".join(_packed(one) for one in value)
    out, last = b"", 0
    for field, one in sorted(value.items()):
        if field - last > 15:
            raise ValueError("field ids that far apart have another form")
        out += bytes([field - last << 4 | _kind(one)]) + _packed(one)
        last = field
    return out + b"\0"


# --- columns --------------------------------------------------------------------------------------
_TYPES: Final[Mapping[str, tuple[int, Struct]]] = {
    "BOOLEAN": (0, {}),
    "INTEGER": (1, {}),
    "BIGINT": (2, {}),
    "TIMESTAMP": (2, {6: 10, 10: {8: {1: False, 2: {2: {}}}}}),
    "VARCHAR": (6, {6: 0, 10: {1: {}}}),
}
"""DuckDB's name -> parquet's type, and the further fields of its schema element."""


@dataclass(frozen=True)
class Coded:
    """Texts as numbers of a dictionary's entries.

    Attributes
    ----------
    numbers
        Of a stretch of the group's rows, -1 for a null.
    entries
        How many texts the dictionary has.
    texts
        The texts as plain parquet values, each with its length before it, in 4 bytes; in pieces,
        all of which need never be in memory.
    """

    numbers: Callable[[slice], Int32]
    entries: int
    texts: Iterable[Bytes]


@dataclass(frozen=True)
class Steps:
    """Integers in small steps, without nulls; `values` gives those of a stretch of the group's rows."""

    values: Callable[[slice], Int32]


@dataclass(frozen=True)
class Plain:
    """Values of any type without nulls; `content` gives the plain form of a stretch of the rows."""

    content: Callable[[slice], Bytes]


Column = Coded | Steps | Plain | None
"""None: nulls only."""


@dataclass(frozen=True)
class Chunk:
    """One column of one group of rows, compressed: its pages with their headers."""

    pages: Sequence[pa.Buffer | bytes]
    encoding: int
    has_dictionary: bool
    size: int


def _encode(column: Column, rows: int, codec: Codec) -> Chunk:
    """Return the compressed pages of a column; may run in any thread."""
    pages: list[pa.Buffer | bytes] = []
    size = 0

    def add(kind: int, content: Iterable[Bytes], field: int, header: Struct) -> None:
        nonlocal size
        compressed, plain = _compressed(content, codec, whole=kind == _DATA_PAGE)
        head = _packed({1: kind, 2: plain, 3: compressed.size, field: header})
        pages.extend((head, compressed))
        size += len(head) + plain

    match column:
        case Coded():
            encoding = _RLE_DICTIONARY
            add(_DICTIONARY_PAGE, column.texts, 7, {1: column.entries, 2: _PLAIN})
        case Steps():
            encoding = _DELTA_BINARY_PACKED
        case _:
            encoding = _PLAIN
    for begin in range(0, rows, _ROWS_PER_PAGE):
        count = min(_ROWS_PER_PAGE, rows - begin)
        header: Struct = {1: count, 2: encoding, 3: _RLE, 4: _RLE}
        add(_DATA_PAGE, _page(column, slice(begin, begin + count), count), 5, header)
    return Chunk(pages, encoding, isinstance(column, Coded), size)


def _compressed(content: Iterable[Bytes], codec: Codec, *, whole: bool) -> tuple[pa.Buffer, int]:
    """Return compressed bytes, and how many they were; not `whole`, piece by piece if possible."""
    if whole or codec is LZ4:  # of which Arrow has no stream
        plain = np.concatenate([np.empty(0, np.uint8), *content])
        return pa.Codec(codec.name).compress(pa.py_buffer(plain), memory_pool=_POOL), len(plain)
    target, size = pa.BufferOutputStream(_POOL), 0
    with pa.CompressedOutputStream(target, codec.name) as stream:
        for piece in content:
            stream.write(piece)
            size += len(piece)
    return target.getvalue(), size


def _page(column: Column, part: slice, count: int) -> Iterator[Bytes]:
    """Yield what a data page is made of: which values there are, and the values."""
    if column is None:
        yield from _levels(0, count)
        return
    if isinstance(column, Coded):
        numbers = column.numbers(part)
        known = numbers >= 0
        complete = bool(known.all())
        yield from _levels(1 if complete else known, count)
        width = max(1, (column.entries - 1).bit_length())
        yield np.array([width], np.uint8)
        yield _runs(numbers if complete else numbers[known], width)
        return
    yield from _levels(1, count)
    if isinstance(column, Plain):
        yield column.content(part)
        return
    out = np.empty(8 * count + 2048, np.uint8)
    yield out[: kernels.put_deltas(column.values(part), out)]


def _levels(known: npt.NDArray[np.bool_] | int, count: int) -> Iterator[Bytes]:
    """Yield which values are there (1) and which are null (0), after the size of that."""
    if isinstance(known, int):
        runs = np.frombuffer(_varint(count << 1) + bytes([known]), np.uint8)
    else:
        runs = _runs(known.astype(np.int32), 1)
    yield np.frombuffer(len(runs).to_bytes(4, "little"), np.uint8)
    yield runs


def _runs(numbers: Int32, width: int) -> Bytes:
    out = np.empty(len(numbers) * width // 8 + len(numbers) + 64, np.uint8)
    return out[: kernels.put_runs(numbers, width, out)]


# --- files ----------------------------------------------------------------------------------------
class ParquetFile:
    """A parquet file that is written group by group; complete when the context ends without error.

    Parameters
    ----------
    path
        Where; an existing file is replaced.
    columns
        Name -> DuckDB's name of the type, a key of `_TYPES`.
    codec
        How pages are compressed: `ZSTD` for files that are kept and given away, `LZ4` for those that
        are read again at once.
    """

    def __init__(self, path: Path, columns: Mapping[str, str], codec: Codec = ZSTD) -> None:
        self._columns, self._codec = columns, codec
        self._groups: list[Value] = []
        self._rows = 0
        self._file: IO[bytes] = path.open("wb")
        self._file.write(_MAGIC)

    def __enter__(self) -> "ParquetFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._file as file:
            if error is None:
                footer = _packed(self._metadata())
                file.write(footer + len(footer).to_bytes(4, "little") + _MAGIC)

    def encode(self, column: Column, rows: int) -> Chunk:
        """Return a column's pages for `write_group`; may run in any thread."""
        return _encode(column, rows, self._codec)

    def write_group(self, chunks: Iterator[Chunk], rows: int) -> None:
        """Write a group of rows: one chunk for each column, in order."""
        columns: list[Value] = []
        total = 0
        for (name, kind), chunk in zip(self._columns.items(), chunks, strict=True):
            begin = self._file.tell()
            for page in chunk.pages:
                self._file.write(page)
            after_dictionary = sum(len(page) for page in chunk.pages[:2])
            meta: Struct = {
                1: _TYPES[kind][0],
                2: [_RLE, chunk.encoding, *([_PLAIN] if chunk.has_dictionary else [])],
                3: [name],
                4: self._codec.number,
                5: I64(rows),
                6: I64(chunk.size),
                7: I64(self._file.tell() - begin),
                9: I64(begin + (after_dictionary if chunk.has_dictionary else 0)),
            }
            if chunk.has_dictionary:
                meta[11] = I64(begin)
            columns.append({2: I64(0), 3: meta})
            total += chunk.size
        self._groups.append({1: columns, 2: I64(total), 3: I64(rows)})
        self._rows += rows

    def _metadata(self) -> Struct:
        root: Value = {4: "schema", 5: len(self._columns)}
        leaves: list[Value] = [
            {1: _TYPES[kind][0], 3: _OPTIONAL, 4: name, **_TYPES[kind][1]}
            for name, kind in self._columns.items()
        ]
        return {1: 2, 2: [root, *leaves], 3: I64(self._rows), 4: self._groups, 6: _CREATOR}
