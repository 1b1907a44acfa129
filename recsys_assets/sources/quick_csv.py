"""The quick way through #nowplaying CSV files: sound records become integers at once, in memory.

Sound records are split and numbered by compiled code while the file is read; only what is odd about a
line goes through the SQL of `csv_files.py`, which alone decides what is a defect. What is kept is two
integers a row and each distinct text once. Which fields mean what is said by `nowplaying.py`.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np
import pyarrow as pa

from recsys_assets.errors import SourceError
from recsys_assets.sources import record_kernels as kernels
from recsys_assets.sources.containers import open_bytes
from recsys_assets.sources.csv_files import Columns, read_header, stage_records
from recsys_assets.sources.formats import BOM
from recsys_assets.sources.lines import MAX_LINE_BYTES, RECORD_SCHEMA, defect_of, text_of
from recsys_assets.sources.numbered import Numbered
from recsys_assets.sources.record_kernels import Bytes, Int32
from recsys_assets.sources.relation import SEQ, SEQ_PER_FILE, FileRead, Workspace
from recsys_assets.sources.staged_parts import (
    counts_of,
    insert_rows,
    read_before,
    write_rows,
)

BLOCK_BYTES: Final = 1 << 23
_ODD_BYTES: Final = 1 << 26
"""Odd lines are handed to SQL when they come to so much, and at a file's end."""

Odd = tuple[int, str, str | None]
"""Line number, text and defect."""


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
    work: Workspace, fields: Fields, columns: Columns, *, threads: int | None
) -> tuple[Numbered, list[FileRead], list[int]]:
    """Read every file of the manifest; odd lines are staged in the table ``staged``.

    Parameters
    ----------
    work
        Connection, manifest and options; no filters.
    fields, columns
        What the four fields are called, and the SQL that judges odd lines.
    threads
        At most so many at once; the result does not depend on it.

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
    with ThreadPoolExecutor(max(1, (threads or 3) - 1), thread_name_prefix="recsys") as pool:
        for number, file in enumerate(work.manifest.files):
            started = time.monotonic()
            part = work.parts.find(file)
            if part is not None:
                one = Numbered.load(part.folder)
                insert_rows(work, "staged", number, part.folder, first=number == 0)
                files.append(read_before(work, part, started))
            else:
                one = Numbered()
                reader = _FileReader(work, number, fields, columns, one, pool)
                reader.read()
                files.append(FileRead(reader.rows, reader.size, time.monotonic() - started))
                if work.parts.are_made_of(file):
                    with work.parts.adding(file, counts_of(files[-1])) as folder:
                        one.save(folder)
                        write_rows(work, "staged", number, folder)
            taken.append(len(one.playlist))
            if merged is None:
                merged = one
            else:
                merged.append(one, pool)
    if merged is None:
        raise ValueError("a manifest has at least one file")
    merged.join()
    return merged, files, taken


class _FileReader:
    """Reads one file into an empty `Numbered`, by blocks of whole lines.

    The next block is split while one is numbered.
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
        self._odd: list[Odd] = []
        self._before: dict[int, int] = {}
        self._odd_bytes = self._sound = self._staged = 0
        self.rows = self.size = 0

    def read(self) -> None:
        """Number every row that is taken."""
        playlists: list[Int32] = []
        songs: list[Int32] = []
        file = self._file
        with open_bytes(Path(file.path), file.container, file.member, file.name) as stream:
            for data, begins, ends in self._split_blocks(stream):
                playlist, song = self._number_block(data, begins, ends)
                playlists.append(playlist)
                songs.append(song)
        self._stage_odd()
        empty = np.empty(0, np.int32)
        self._numbered.playlist, self._numbered.song = self._with_odd(
            np.concatenate(playlists) if playlists else empty,
            np.concatenate(songs) if songs else empty,
        )

    # --- blocks --------------------------------------------------------------------------------
    def _split_blocks(self, stream: IO[bytes]) -> Iterator[tuple[Bytes, Int32, Int32]]:
        """Yield the fields of each block's sound records, the following block being split meanwhile."""
        ahead: Future[tuple[Bytes, Int32, Int32]] | None = None
        for line, data in self._blocks(stream):
            done = None if ahead is None else ahead.result()
            if self._odd_bytes > _ODD_BYTES:
                self._stage_odd()
            ahead = self._pool.submit(self._split, line, data)
            if done is not None:
                yield done
        if ahead is not None:
            yield ahead.result()

    def _blocks(self, stream: IO[bytes]) -> Iterator[tuple[int, bytearray]]:
        """Yield whole lines below the header, with the number of the first; ends the last line."""
        rest = bytearray()
        header, lines = True, 1
        while True:
            block = stream.read(BLOCK_BYTES)
            self.size += len(block)
            rest += block
            if not block and rest and not rest.endswith(b"\n"):
                rest += b"\n"
            if header and rest.startswith(BOM):
                del rest[: len(BOM)]
            end = rest.rfind(b"\n") + 1
            # Blocks are shorter, so only the first line or the unfinished one can be too long.
            first = rest.find(b"\n") + 1
            if max(first, len(rest) - end) > MAX_LINE_BYTES:
                lines += 0 if first > MAX_LINE_BYTES else rest.count(b"\n", 0, end)
                raise SourceError(
                    f"{self._file.name}, line {lines}: expected lines of at most "
                    f"{MAX_LINE_BYTES:,} bytes, found a longer one; is this really a CSV file?"
                )
            data, rest = rest[:end], rest[end:]
            while header and data:
                line, data = data[: data.index(b"\n") + 1], data[data.index(b"\n") + 1 :]
                lines += 1
                header = not line.strip()
            if data:
                yield lines, data
                lines += data.count(b"\n")
            if not block:
                return

    def _split(self, first_line: int, data: bytearray) -> tuple[Bytes, Int32, Int32]:
        """Split one block; notes its odd lines."""
        unsound = _hide_unsound(data)
        array = np.frombuffer(data, np.uint8)
        most = data.count(b"\n")
        begins = np.empty((most, len(self._required)), np.int32)
        ends = np.empty_like(begins)
        odd = np.empty((most, 4), np.int64)
        records, others = kernels.split_records(
            array, len(array), len(self._header), self._wanted, self._required, begins, ends, odd
        )
        for line, begin, end, before in odd[:others].tolist():
            text, defect = unsound.get(begin) or (data[begin:end].decode(), None)
            self._odd.append((first_line + line, text, defect))
            self._before[first_line + line] = self._sound + before
            self._odd_bytes += end - begin
        self._sound += records
        self.rows += records + others
        return array, begins[:records], ends[:records]

    def _number_block(self, data: Bytes, begins: Int32, ends: Int32) -> tuple[Int32, Int32]:
        numbered = self._numbered
        track = self._pool.submit(numbered.tracks.number, data, begins, ends, 2)
        user = numbered.users.number(data, begins, ends, 0)
        artist = numbered.artists.number(data, begins, ends, 1)
        name = numbered.names.number(data, begins, ends, 3)
        return numbered.add(user, artist, track.result(), name)

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

    def _with_odd(self, playlist: Int32, song: Int32) -> tuple[Int32, Int32]:
        """Put the usable ones of the odd lines between the other rows."""
        base = self._number * SEQ_PER_FILE
        chosen = ", ".join(alias for _, alias in self._fields)
        usable = self._work.connection.execute(
            f"""SELECT {SEQ} - {base}, {chosen} FROM staged
            WHERE defect IS NULL AND {SEQ} // {SEQ_PER_FILE} = {self._number} ORDER BY {SEQ}"""
        ).to_arrow_table()
        if not len(usable):
            return playlist, song
        places = [self._before[line] for line in usable.column(0).to_pylist()]
        numbered = self._numbered
        dictionaries = (numbered.users, numbered.artists, numbered.tracks, numbered.names)
        user, artist, track, name = (
            texts.number_strings(usable.column(at + 1)) for at, texts in enumerate(dictionaries)
        )
        more_playlists, more_songs = numbered.add(user, artist, track, name)
        return np.insert(playlist, places, more_playlists), np.insert(song, places, more_songs)


def _hide_unsound(data: bytearray) -> dict[int, tuple[str, str]]:
    """Put a lone quote in place of lines that are not text, so that they are odd.

    Returns
    -------
    dict
        Where such a line begins -> its text with escapes, and what is wrong with it.
    """
    hidden: dict[int, tuple[str, str]] = {}
    if defect_of(data) is None:
        return hidden
    begin = 0
    while begin < len(data):
        end = data.index(b"\n", begin) + 1
        line = bytes(data[begin:end])
        defect = defect_of(line)
        if defect is not None:
            hidden[begin] = text_of(line), defect
            data[begin : end - 1] = b'"' + b" " * (end - begin - 2)
        begin = end
    return hidden
