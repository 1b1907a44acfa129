"""Rows as numbers in two files: what is known of every row, and need never be in memory at once.

Playlist and song of 12.9 million rows are 98 MiB. They are appended to while a file is read and read
again by stretches, in any thread. What the numbers stand for is in `numbered.py`.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from recsys_assets.errors import StorageError
from recsys_assets.sources.record_kernels import Int32

ROWS_AT_ONCE: Final = 1 << 19
_PLAYLIST, _SONG = "playlist.int32", "song.int32"
_WIDTH: Final = 4


class RowFiles:
    """Playlist and song of every row.

    Parameters
    ----------
    folder
        Where the two files are.
    """

    def __init__(self, folder: Path) -> None:
        self._playlist, self._song = folder / _PLAYLIST, folder / _SONG

    @classmethod
    def empty(cls, folder: Path) -> "RowFiles":
        """Return files without rows, in a folder that is made if needed."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = cls(folder)
        for path in (rows._playlist, rows._song):
            path.write_bytes(b"")
        return rows

    def __len__(self) -> int:
        """Return how many rows there are."""
        return self._song.stat().st_size // _WIDTH

    def append(self, playlist: Int32, song: Int32) -> None:
        """Put rows behind the others."""
        for path, numbers in ((self._playlist, playlist), (self._song, song)):
            with path.open("ab") as file:
                numbers.tofile(file)

    def playlist(self, part: slice) -> Int32:
        """Return the playlists of a stretch of rows.

        Raises
        ------
        StorageError
            If the file holds fewer.
        """
        return _read(self._playlist, part)

    def song(self, part: slice) -> Int32:
        """Return the songs of a stretch of rows."""
        return _read(self._song, part)

    def stretches(self) -> Iterator[tuple[Int32, Int32]]:
        """Yield playlists and songs, so many rows at a time."""
        rows = len(self)
        for begin in range(0, rows, ROWS_AT_ONCE):
            part = slice(begin, min(begin + ROWS_AT_ONCE, rows))
            yield self.playlist(part), self.song(part)

    def copied(self, folder: Path) -> "RowFiles":
        """Return a copy in another folder, which is made if needed."""
        folder.mkdir(parents=True, exist_ok=True)
        copy = RowFiles(folder)
        shutil.copyfile(self._playlist, copy._playlist)
        shutil.copyfile(self._song, copy._song)
        return copy

    def with_more(self, folder: Path, places: Int32, playlist: Int32, song: Int32) -> "RowFiles":
        """Return files in another folder with further rows between these, as `numpy.insert` does.

        `places` do not fall.
        """
        rows, begin, done = RowFiles.empty(folder), 0, 0
        for playlists, songs in self.stretches():
            begin += len(songs)
            # Those at the end of a stretch come before the next one's first row.
            until = int(np.searchsorted(places, begin, side="right"))
            here = places[done:until] - (begin - len(songs))
            rows.append(
                np.insert(playlists, here, playlist[done:until]),
                np.insert(songs, here, song[done:until]),
            )
            done = until
        rows.append(playlist[done:], song[done:])
        return rows


def _read(path: Path, part: slice) -> Int32:
    numbers = np.fromfile(path, np.int32, part.stop - part.start, offset=_WIDTH * part.start)
    if len(numbers) != part.stop - part.start:
        raise StorageError(
            f"{path}: expected {part.stop:,} numbers, found {part.start + len(numbers):,}; something "
            "else wrote to it or removed it. Run again"
        )
    return numbers
