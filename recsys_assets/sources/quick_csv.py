"""The quick way through #nowplaying CSV files: sound records become integers at once.

Sound records are split and numbered by compiled code while the file is read; only what is odd about a
line goes through the SQL of `csv_files.py`, which alone decides what is a defect. What is kept is two
integers a row, in files, and each distinct text once, in memory. Which fields mean what is said by
`nowplaying.py`.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Final, cast

import numpy as np
import pyarrow as pa

from recsys_assets.errors import SourceError
from recsys_assets.sources import record_kernels as kernels
from recsys_assets.sources.byte_intrinsics import WIDE
from recsys_assets.sources.containers import open_bytes
from recsys_assets.sources.csv_files import Columns, read_header, stage_records
from recsys_assets.sources.formats import BOM
from recsys_assets.sources.lines import MAX_LINE_BYTES, RECORD_SCHEMA, defect_of, text_of
from recsys_assets.sources.numbered import Numbered
from recsys_assets.sources.record_kernels import Bytes, Int32, UInt32
from recsys_assets.sources.relation import SEQ, SEQ_PER_FILE, FileRead, Workspace
from recsys_assets.sources.row_files import RowFiles
from recsys_assets.sources.songs import NewSongs
from recsys_assets.sources.staged_parts import (
    counts_of,
    insert_rows,
    read_before,
    write_rows,
)
from recsys_assets.sources.text_kernels import hash_songs

BLOCK_BYTES: Final = 1 << 22
_NEWLINE, _QUOTE, _BLANK = b'\n" '
_MOST_RESERVED: Final = 1 << 33
_BYTES_PER_ROW: Final = 48
_BYTES_PER_SONG: Final = 8
"""Of a file's songs, for every row: room for more is made when it is needed."""
_ODD_BYTES: Final = 1 << 26
"""Odd lines are handed to SQL when they come to so much, and at a file's end."""

Odd = tuple[int, str, str | None]
"""Line number, text and defect."""

_Block = tuple[Bytes, Int32, Int32, Int32, UInt32]
"""Bytes, begins and ends of the fields, playlists, hashes of the songs: for `number_unnamed`."""


@dataclass(frozen=True)
class Fields:
    """Names of the header's fields, and the staged columns that hold them once they are judged."""

    user: tuple[str, str]
    artist: tuple[str, str]
    track: tuple[str, str]
    playlist: tuple[str, str]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter((self.user, self.artist, self.track, self.playlist))


def read_quickly(
    work: Workspace, fields: Fields, columns: Columns
) -> tuple[Numbered, list[FileRead], list[int]]:
    """Read every file of the manifest; odd lines are staged in the table ``staged``.

    Parameters
    ----------
    work
        Connection, manifest and options; no filters.
    fields, columns
        What the four fields are called, and the SQL that judges odd lines.

    Returns
    -------
    numbered : Numbered
        Every row that is taken, those of odd but usable lines at their place.
    files : list of FileRead
        What was read of each file.
    taken : list of int
        Rows of each file that are taken.

    Raises
    ------
    SourceError
        If a file cannot be read to its end.
    """
    files: list[FileRead] = []
    taken: list[int] = []
    merged: Numbered | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="recsys") as pool:
        for number, file in enumerate(work.manifest.files):
            started = time.monotonic()
            part = work.parts.find(file)
            if part is not None:
                one = Numbered.load(part.folder)
                insert_rows(work, "staged", number, part.folder, first=number == 0)
                files.append(read_before(work, part, started))
            else:
                one = Numbered(RowFiles.empty(work.scratch / "read"))
                reader = _FileReader(work, number, fields, columns, one, pool)
                reader.read()
                files.append(FileRead(reader.rows, reader.size, time.monotonic() - started))
                if work.parts.are_made_of(file):
                    with work.parts.adding(file, counts_of(files[-1])) as folder:
                        one.save(folder)
                        write_rows(work, "staged", number, folder)
            taken.append(len(one.rows))
            if merged is not None:
                merged.append(one)
                continue
            merged = one
            if len(work.manifest.files) > 1:
                merged.rows = one.rows.copied(work.scratch / "merged")
    if merged is None:
        raise ValueError("a manifest has at least one file")
    return merged, files, taken


class _FileReader:
    """Reads one file into an empty `Numbered`, by blocks of whole lines.

    While the songs of one block are numbered, another thread numbers the artists of the block
    before, then reads the next one, splits it and numbers its playlists.
    """

    def __init__(
        self,
        work: Workspace,
        number: int,
        fields: Fields,
        columns: Columns,
        numbered: Numbered,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._work, self._number, self._columns = work, number, columns
        self._file = work.manifest.files[number]
        self._fields, self._numbered, self._pool = fields, numbered, pool
        self._header = read_header(self._file)
        names = [name for name, _ in fields]
        self._wanted = np.array(
            [names.index(one) if one in names else -1 for one in self._header], np.int32
        )
        self._required = np.array([name != fields.artist[0] for name in names], np.uint8)
        self._quotes = np.empty(2 * len(self._header), np.int64)
        self._scratch = [_Scratch(0, len(names)), _Scratch(0, len(names))]
        self._odd: list[Odd] = []
        self._before: dict[int, int] = {}
        self._odd_bytes = self._sound = self._staged = 0
        self.rows = self.size = 0

    def read(self) -> None:
        """Number every row that is taken."""
        file, numbered = self._file, self._numbered
        # Songs for which there is room from the start: arrays that grow are copied.
        rows = min(file.bytes, _MOST_RESERVED) // _BYTES_PER_ROW
        numbered.songs.reserve(rows, _BYTES_PER_SONG * rows)
        with open_bytes(Path(file.path), file.container, file.member, file.name) as stream:
            blocks = self._blocks(stream)
            # New songs of the latest block, and of the one before: whose artists are being numbered.
            latest: NewSongs | None = None
            named: NewSongs | None = None
            ahead = self._pool.submit(self._following, blocks, None)
            while True:
                artists, block = ahead.result()
                if named is not None and artists is not None:
                    numbered.songs.name(named, artists)
                named = latest
                if block is None:
                    break
                if self._odd_bytes > _ODD_BYTES:
                    self._stage_odd()
                ahead = self._pool.submit(self._following, blocks, named)
                data, begins, ends, playlist, values = block
                song, latest = numbered.songs.number_unnamed(data, begins, ends, playlist, values)
                numbered.rows.append(playlist, song)
            if named is not None:
                numbered.songs.name(named, named.number(numbered.artists))
        self._stage_odd()
        self._insert_odd()

    # --- blocks --------------------------------------------------------------------------------
    def _following(
        self, blocks: Iterator[_Block], before: NewSongs | None
    ) -> tuple[Int32 | None, _Block | None]:
        """Number the artists of the block before the latest, then read and split the next one.

        In this order: the next one takes the memory of the other.
        """
        artists = None if before is None else before.number(self._numbered.artists)
        return artists, next(blocks, None)

    def _blocks(self, stream: IO[bytes]) -> Iterator[_Block]:
        """Yield the sound records of each block of whole lines below the header.

        A block's memory is used again for the one after the next.
        """
        buffers = [bytearray(), bytearray()]
        rest = bytearray()
        header, lines = True, 1
        while True:
            room = len(rest) + BLOCK_BYTES
            if len(buffers[0]) < room + 1 + WIDE:
                buffers[0] = bytearray(room + 1 + WIDE)
            buffer = buffers[0]
            begin, size = 0, len(rest)
            buffer[:size] = rest
            with memoryview(buffer) as view:
                got = cast("BufferedIOBase", stream).readinto(view[size:room])
            self.size += got
            size += got
            if not got and size and buffer[size - 1] != _NEWLINE:
                buffer[size] = _NEWLINE
                size += 1
            if header and buffer.startswith(BOM, 0, size):
                begin = len(BOM)
            end = max(buffer.rfind(b"\n", begin, size) + 1, begin)
            # Blocks are shorter, so only the first line or the unfinished one can be too long.
            first = max(buffer.find(b"\n", begin, size) + 1 - begin, 0)
            if max(first, size - end) > MAX_LINE_BYTES:
                lines += 0 if first > MAX_LINE_BYTES else buffer.count(b"\n", begin, end)
                raise SourceError(
                    f"{self._file.name}, line {lines}: expected lines of at most "
                    f"{MAX_LINE_BYTES:,} bytes, found a longer one; is this really a CSV file?"
                )
            rest = buffer[end:size]
            while header and begin < end:
                stop = buffer.index(b"\n", begin) + 1
                header = not buffer[begin:stop].strip()
                begin, lines = stop, lines + 1
            if begin < end:
                array = np.frombuffer(buffer, np.uint8)[begin:]
                block, count = self._split(lines, array, end - begin)
                lines += count
                yield block
                buffers.reverse()
            if not got:
                return

    def _split(self, first_line: int, data: Bytes, size: int) -> tuple[_Block, int]:
        """Split one block; notes its odd lines, and returns how many lines there are."""
        unsound = _hide_unsound(data[:size])
        self._scratch.reverse()
        if self._scratch[0].size < size:
            self._scratch[0] = _Scratch(size, len(self._required))
        scratch = self._scratch[0]
        lines, records, others = kernels.split_records(
            data, size, len(self._header), self._wanted, self._required, self._quotes,
            scratch.begins, scratch.ends, scratch.odd,
        )  # fmt: skip
        for line, begin, end, before in scratch.odd[:others].tolist():
            text, defect = unsound.get(begin) or (data[begin:end].tobytes().decode(), None)
            self._odd.append((first_line + line, text, defect))
            self._before[first_line + line] = self._sound + before
            self._odd_bytes += end - begin
        begins, ends = scratch.begins[:records], scratch.ends[:records]
        values = scratch.values[:records]
        hash_songs(data, begins, ends, records, values)
        self._sound += records
        self.rows += records + others
        playlists = self._numbered.playlists_of(data, begins, ends)
        return (data, begins, ends, playlists, values), lines

    # --- odd lines -----------------------------------------------------------------------------
    def _stage_odd(self) -> None:
        base = self._number * SEQ_PER_FILE
        lines, texts, defects = zip(*self._odd, strict=True) if self._odd else ((), (), ())
        batch = pa.record_batch(
            [
                pa.array([base + line for line in lines], pa.int64()),
                pa.array(texts, pa.string()),
                pa.array(defects, pa.string()),
            ],
            schema=RECORD_SCHEMA,
        )
        stage_records(
            self._work,
            "staged",
            self._header,
            self._columns,
            pa.Table.from_batches([batch]).to_reader(),
            first=self._number == self._staged == 0,
        )
        self._odd, self._odd_bytes, self._staged = [], 0, self._staged + 1

    def _insert_odd(self) -> None:
        """Put the usable ones of the odd lines between the other rows."""
        base = self._number * SEQ_PER_FILE
        chosen = ", ".join(alias for _, alias in self._fields)
        usable = self._work.connection.execute(
            f"""SELECT {SEQ} - {base}, {chosen} FROM staged
            WHERE defect IS NULL AND {SEQ} // {SEQ_PER_FILE} = {self._number} ORDER BY {SEQ}"""
        ).to_arrow_table()
        if not len(usable):
            return
        places = [self._before[line] for line in usable.column(0).to_pylist()]
        fields = [
            (text or "").encode()
            for row in zip(*(one.to_pylist() for one in usable.columns[1:]), strict=True)
            for text in row
        ]
        bounds = np.cumsum([0, *(len(text) for text in fields)]).astype(np.int32)
        more = self._numbered.add(
            np.frombuffer(b"".join(fields), np.uint8),
            bounds[:-1].reshape(-1, 4),
            bounds[1:].reshape(-1, 4),
        )
        self._numbered.rows = self._numbered.rows.with_more(
            self._work.scratch / "read-odd", np.array(places, np.int64), *more
        )


class _Scratch:
    """Where a block's fields are put; used again for the block after the next."""

    def __init__(self, size: int, columns: int) -> None:
        """Make room for the lines of so many bytes; one that is not blank has two at least."""
        self.size = size
        lines = size // 2 + 1
        self.begins = np.empty((lines, columns), np.int32)
        self.ends = np.empty((lines, columns), np.int32)
        self.values = np.empty(lines, np.uint32)
        self.odd = np.empty((lines, 4), np.int64)


def _is_text(data: Bytes) -> bool:
    """Tell whether bytes are UTF-8 without a NUL byte, much faster than by decoding them."""
    offsets = np.array([0, len(data)], np.int32)
    text = pa.StringArray.from_buffers(1, pa.py_buffer(offsets), pa.py_buffer(data))
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return bool(data.min() > 0)


def _hide_unsound(data: Bytes) -> dict[int, tuple[str, str]]:
    """Put a lone quote in place of lines that are not text, so that they are odd.

    Returns
    -------
    dict
        Where such a line begins -> its text with escapes, and what is wrong with it.
    """
    hidden: dict[int, tuple[str, str]] = {}
    if _is_text(data):
        return hidden
    content = data.tobytes()
    begin = 0
    while begin < len(content):
        end = content.index(b"\n", begin) + 1
        line = content[begin:end]
        defect = defect_of(line)
        if defect is not None:
            hidden[begin] = text_of(line), defect
            data[begin], data[begin + 1 : end - 1] = _QUOTE, _BLANK
        begin = end
    return hidden
