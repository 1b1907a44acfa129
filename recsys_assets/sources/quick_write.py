"""Writing what the quick reader numbered: the cleaned rows, and the same rows coded as integers.

Parquet takes every column as dictionary and numbers, so that no string is handled row by row. Reading
is the business of `quick_csv.py`, texts that of `numbered_texts.py`; what the coded tables hold is
said in `coded.py`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from recsys_assets import columns as c
from recsys_assets.sources import row_kernels as kernels
from recsys_assets.sources.coded import CodedFiles
from recsys_assets.sources.numbered import Numbered
from recsys_assets.sources.numbered_texts import LENGTH_BYTES, NumberedTexts, Put
from recsys_assets.sources.parquet_pages import (
    LZ4,
    Chunk,
    Coded,
    Column,
    ParquetFile,
    Plain,
    Steps,
)
from recsys_assets.sources.record_kernels import Bytes, Int32

_ROWS_PER_GROUP: Final = 1 << 21
"""Of the cleaned rows: larger groups repeat less in their dictionaries, and take more memory."""
_FIRST_ROWS: Final = 1 << 10
"""A group of their own: who looks at the first rows need not unpack large dictionaries (0.2 s)."""
_TEXT_BYTES_PER_GROUP: Final = 1 << 30
"""Of rows of the mean length: a dictionary of 2 GiB cannot be written."""
_CODED_ROWS_PER_GROUP: Final = 1 << 19
_SONGS_AT_ONCE: Final = 1 << 18
_PLAYLISTS_AT_ONCE: Final = 1 << 16
"""DuckDB reads groups side by side: dividing 232,000 playlists took 0.16 s in one, 0.09 s in four."""
_TEXTS_AT_ONCE: Final = 1 << 15
_ROWS: Final = {
    c.PLAYLIST_NUMBER: "INTEGER",
    c.POSITION: "INTEGER",
    c.TRACK_NUMBER: "INTEGER",
    c.ARTIST_NUMBER: "INTEGER",
    c.FIRST_OF_TRACK: "BOOLEAN",
    c.FIRST_OF_ARTIST: "BOOLEAN",
}
_PLAYLISTS: Final = {
    c.PLAYLIST_NUMBER: "INTEGER",
    c.PLAYLIST_ID: "VARCHAR",
    c.PLAYLIST_NAME: "VARCHAR",
    c.USER_ID: "VARCHAR",
    c.STARTED_AT: "TIMESTAMP",
    c.TRACK_COUNT: "INTEGER",
}
_TRACKS: Final = {
    c.TRACK_NUMBER: "INTEGER",
    c.TRACK_ID: "VARCHAR",
    c.TRACK_NAME: "VARCHAR",
    c.ARTIST_NUMBER: "INTEGER",
    c.ALBUM_ID: "VARCHAR",
    c.PLAYLIST_COUNT: "BIGINT",
    c.PLAY_COUNT: "BIGINT",
}
_ARTISTS: Final = {
    c.ARTIST_NUMBER: "INTEGER",
    c.ARTIST_ID: "VARCHAR",
    c.ARTIST_NAME: "VARCHAR",
    c.PLAYLIST_COUNT: "BIGINT",
    c.PLAY_COUNT: "BIGINT",
}

_Rows = tuple[int, Sequence[Column]]
"""A group of rows: how many, and the columns."""
_Put = Callable[[Int32, int], Put]
"""A method of `NumberedTexts`."""


class NumberedRows:
    """The rows of a `Numbered`, as parquet files."""

    def __init__(self, numbered: Numbered) -> None:
        self._rows = numbered.rows
        self._user_of, self._name_of = numbered.playlists.members()
        self._artist_of = numbered.songs.held()[1]
        self._artists = numbered.artists.count
        numbered.songs.let_go()
        self._texts = NumberedTexts(numbered)
        self._starts = np.zeros(len(self._user_of) + 1, np.int64)
        self._sorted, last = True, -1
        for playlists, _ in self._rows.stretches():
            in_order = kernels.count_rows(playlists, last, self._starts)
            self._sorted, last = self._sorted and in_order, int(playlists[-1])
        np.cumsum(self._starts, out=self._starts)

    def write_cleaned(self, path: Path, pool: Executor) -> None:
        """Write the cleaned rows, in the order of the files; `pool` encodes the columns."""
        texts, first_of_title = self._texts, self._texts.first_of_title()
        songs, playlists = len(self._artist_of), len(self._user_of)
        scratch = _Scratch(max(songs, playlists, self._artists))
        seen = np.zeros(playlists, np.int32)

        def columns(part: slice) -> Iterator[Column]:
            of_song = _Group(self._rows.song(part), scratch)
            of_playlist = _Group(self._rows.playlist(part), scratch)

            def position(rows: slice) -> Int32:
                whole = slice(part.start + rows.start, part.start + rows.stop)
                places = np.empty(rows.stop - rows.start, np.int32)
                kernels.number_rows(self._rows.playlist(whole), seen, places)
                return places

            artist = of_song.texts(self._artist_of, texts.artists)
            for name in c.CLEANED_COLUMNS:
                match name:
                    case c.PLAYLIST_ID:
                        yield of_playlist.texts(None, texts.playlist_ids)
                    case c.POSITION:
                        yield Steps(position)
                    case c.TRACK_ID:
                        yield of_song.texts(None, texts.track_ids)
                    case c.TRACK_NAME:
                        yield of_song.texts(first_of_title, texts.titles)
                    case c.ARTIST_ID | c.ARTIST_NAME:
                        yield artist
                    case c.USER_ID:
                        yield of_playlist.texts(self._user_of, texts.users)
                    case c.PLAYLIST_NAME:
                        yield of_playlist.texts(self._name_of, texts.names)
                    case _:
                        yield None

        rows = min(_ROWS_PER_GROUP, max(1, _TEXT_BYTES_PER_GROUP // texts.most_id_bytes()))
        with ParquetFile(path, c.CLEANED_COLUMNS) as file:
            first = min(_FIRST_ROWS, rows, len(self._rows))
            for part in (slice(0, first), *_stretches(len(self._rows), rows, first)):
                size = part.stop - part.start
                order: list[Column] = []
                chunks: dict[Column, Future[Chunk]] = {}
                for column in columns(part):
                    if column not in chunks:
                        chunks[column] = pool.submit(file.encode, column, size)
                    order.append(column)
                file.write_group((chunks[column].result() for column in order), size)

    def write_coded(self, files: CodedFiles) -> None:
        """Write the four tables of `CodedFiles`; may run beside `write_cleaned`."""
        of_tracks = kernels.no_counts(len(self._artist_of))
        of_artists = kernels.no_counts(self._artists)
        files.folder.mkdir(parents=True, exist_ok=True)
        _write(files.rows, _ROWS, self._coded_rows(of_tracks, of_artists))
        _write(files.tracks, _TRACKS, self._coded_tracks(of_tracks))
        _write(files.artists, _ARTISTS, self._coded_artists(of_artists))
        _write(files.playlists, _PLAYLISTS, self._coded_playlists())

    def _coded_rows(self, of_tracks: Int32, of_artists: Int32) -> Iterator[_Rows]:
        """Yield the rows in order of playlist and place; counts them."""
        songs = self._songs_in_order()
        for part in _stretches(len(self._rows), _CODED_ROWS_PER_GROUP):
            size, song = part.stop - part.start, songs(part)
            playlist, place, artist = np.empty((3, size), np.int32)
            first, first_artist = np.empty((2, size), np.uint8)
            kernels.code_rows(
                part.start, song, self._artist_of, self._starts, of_tracks,
                of_artists, playlist, place, artist, first, first_artist,
            )  # fmt: skip
            yield (
                size,
                [
                    _steps(playlist),
                    _steps(place),
                    _plain(song),
                    _plain(artist),
                    _bits(first),
                    _bits(first_artist),
                ],
            )

    def _songs_in_order(self) -> Callable[[slice], Int32]:
        """Return what gives the songs of a stretch of rows in order of playlist and place."""
        if self._sorted:
            return self._rows.song
        in_order, following = np.empty(len(self._rows), np.int32), self._starts.copy()
        for playlists, songs in self._rows.stretches():
            kernels.sort_rows(songs, playlists, following, in_order)
        return lambda part: in_order[part]

    def _coded_tracks(self, of_tracks: Int32) -> Iterator[_Rows]:
        for part in _stretches(len(of_tracks), _SONGS_AT_ONCE):
            number = np.arange(part.start, part.stop, dtype=np.int32)
            yield (
                len(number),
                [
                    _steps(number),
                    _texts(number, self._texts.track_ids),
                    _texts(number, self._texts.titles),
                    _plain(np.maximum(self._artist_of[part], -1)),
                    None,
                    _plain(of_tracks[part, kernels.PLAYLISTS].astype(np.int64)),
                    _plain(of_tracks[part, kernels.ROWS].astype(np.int64)),
                ],
            )

    def _coded_artists(self, of_artists: Int32) -> Iterator[_Rows]:
        for part in _stretches(len(of_artists), _SONGS_AT_ONCE):
            number = np.arange(part.start, part.stop, dtype=np.int32)
            yield (
                len(number),
                [
                    _steps(number),
                    _texts(number, self._texts.artists),
                    _texts(number, self._texts.artists),
                    _plain(of_artists[part, kernels.PLAYLISTS].astype(np.int64)),
                    _plain(of_artists[part, kernels.ROWS].astype(np.int64)),
                ],
            )

    def _coded_playlists(self) -> Iterator[_Rows]:
        for part in _stretches(len(self._user_of), _PLAYLISTS_AT_ONCE):
            number = np.arange(part.start, part.stop, dtype=np.int32)
            yield (
                len(number),
                [
                    _steps(number),
                    _texts(number, self._texts.playlist_ids),
                    _texts(self._name_of[part], self._texts.names),
                    _texts(self._user_of[part], self._texts.users),
                    None,
                    _plain(np.diff(self._starts[part.start : part.stop + 1]).astype(np.int32)),
                ],
            )


class _Scratch:
    """Marks on numbers below `size`, all -1 between uses, and room for the marked ones."""

    def __init__(self, size: int) -> None:
        self.marks, self._marked = np.full(size, -1, np.int32), np.empty(size, np.int32)

    def marked(self, numbers: Int32) -> Int32:
        """Return the distinct numbers in their order, -1 left out; `marks` are their places there."""
        kernels.mark_values(numbers, self.marks)
        return self._marked[: kernels.number_values(self.marks, self._marked)]


class _Group:
    """A group of rows that point at songs, or at playlists.

    Parameters
    ----------
    rows
        int32[rows], what each row points at; taken over.
    scratch
        For numbers of any kind.
    """

    def __init__(self, rows: Int32, scratch: _Scratch) -> None:
        self._scratch = scratch
        self._occurring = scratch.marked(rows).copy()
        # Each row points at a place among what occurs from here on, which is near in memory.
        kernels.take(scratch.marks, rows, rows)
        self._rows = rows
        scratch.marks[self._occurring] = -1

    def texts(self, of: Int32 | None, put: _Put) -> Coded:
        """Return a column whose dictionary is what occurs in the group.

        Parameters
        ----------
        of
            The number of each song's or playlist's text, negative for null; None: its own.
        put
            The texts of numbers, a method of `NumberedTexts`.
        """
        distinct, places = self._occurring, None
        if of is not None:
            numbers = of[self._occurring]
            distinct = self._scratch.marked(numbers).copy()
            places = np.where(numbers < 0, np.int32(-1), self._scratch.marks[numbers])
            self._scratch.marks[distinct] = -1

        def numbers_of(part: slice) -> Int32:
            rows = self._rows[part]
            if places is None:
                return rows
            taken = np.empty_like(rows)
            kernels.take(places, rows, taken)
            return taken

        pieces = (
            put(distinct[part], LENGTH_BYTES).filled()
            for part in _stretches(len(distinct), _TEXTS_AT_ONCE)
        )
        return Coded(numbers_of, len(distinct), pieces)


def _plain(values: npt.NDArray[np.generic]) -> Plain:
    return Plain(lambda part: values[part].view(np.uint8))


def _steps(values: Int32) -> Steps:
    return Steps(lambda part: values[part])


def _texts(numbers: Int32, put: _Put) -> Plain:
    return Plain(lambda part: put(numbers[part], LENGTH_BYTES).filled())


def _bits(values: Bytes) -> Plain:
    return Plain(lambda part: np.packbits(values[part], bitorder="little"))


def _stretches(rows: int, size: int, first: int = 0) -> Iterator[slice]:
    """Yield stretches of so many rows, and of what remains; an empty one where there are none."""
    for begin in range(first, max(rows, 1), size):
        yield slice(begin, min(begin + size, rows))


def _write(path: Path, schema: Mapping[str, str], groups: Iterator[_Rows]) -> None:
    # Written with zstd and read three times they took 0.5 s longer, and 149 MB instead of 224.
    with ParquetFile(path, schema, LZ4) as file:
        for rows, columns in groups:
            file.write_group((file.encode(column, rows) for column in columns), rows)
