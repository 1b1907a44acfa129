"""Rows as numbers, with what the numbers stand for: of one file, or of several in their order.

Files are numbered each by itself and joined by their distinct texts, so that what was made of one file
can be stored and taken again. Which rows there are is decided by `quick_csv.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_assets.sources.interning import Pairs, Texts
from recsys_assets.sources.record_kernels import Bytes, Int32, UInt32
from recsys_assets.sources.row_files import RowFiles
from recsys_assets.sources.songs import Songs


@dataclass
class Numbered:
    """Rows as numbers, in the order of the files; texts and pairs by number.

    Numbers are in order of first appearance, whether rows were numbered as one file or as several.

    Attributes
    ----------
    users, artists, names
        The distinct texts of three fields; titles are in `songs`.
    playlists
        Pairs of user and name.
    songs
        Artist and title; without an artist, title and playlist.
    rows
        Numbers into `playlists` and `songs`.
    """

    rows: RowFiles

    users: Texts = field(default_factory=Texts)
    artists: Texts = field(default_factory=Texts)
    names: Texts = field(default_factory=Texts)
    playlists: Pairs = field(default_factory=Pairs)
    songs: Songs = field(default_factory=Songs)

    def add(
        self, data: Bytes, begins: Int32, ends: Int32, values: UInt32 | None = None
    ) -> tuple[Int32, Int32]:
        """Number rows; returns playlist and song of each.

        Parameters
        ----------
        data, begins, ends
            User, artist, title and name of row `r` are ``data[begins[r, c] : ends[r, c]]``.
        values
            uint32[rows] from `hash_songs`, where they are there already; they are used up.
        """
        playlist = self.playlists_of(data, begins, ends)
        song, new = self.songs.number_unnamed(data, begins, ends, playlist, values)
        self.songs.name(new, new.number(self.artists))
        return playlist, song

    def playlists_of(self, data: Bytes, begins: Int32, ends: Int32) -> Int32:
        """Return the playlist of each row; the songs may be numbered at the same time."""
        user = self.users.number(data, begins, ends, 0)
        name = self.names.number(data, begins, ends, 3)
        return self.playlists.number(user, name)

    def append(self, other: "Numbered") -> None:
        """Put the rows of the next file behind these."""
        users, names = self.users.append(other.users), self.names.append(other.names)
        user, name = other.playlists.members()
        playlists = self.playlists.number(users[user], names[name])
        songs = self.songs.append(other.songs, playlists, self.artists)
        for playlist, song in other.rows.stretches():
            self.rows.append(playlists[playlist], songs[song])

    def save(self, folder: Path) -> None:
        """Write the rows of one file, and what their numbers stand for, into a folder."""
        for name, array in self._arrays():
            np.save(folder / f"{name}.npy", array)
        self.rows.copied(folder)

    @classmethod
    def load(cls, folder: Path) -> "Numbered":
        """Take back what `save` wrote; the rows stay in the folder."""

        def stored(name: str) -> npt.NDArray[Any]:
            array: npt.NDArray[Any] = np.load(folder / f"{name}.npy")
            return array

        users, artists, names = (
            Texts.of(stored(f"{name}.offsets"), stored(f"{name}.pool")) for name in _TEXTS
        )
        songs = Songs.of(stored("songs.starts"), stored("songs.artists"), stored("songs.pool"))
        playlists = Pairs.of(stored("playlists"))
        return cls(RowFiles(folder), users, artists, names, playlists, songs)

    def _arrays(self) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
        yield "playlists", self.playlists.held()
        for name in _TEXTS:
            texts: Texts = getattr(self, name)
            yield f"{name}.offsets", texts.held()[0]
            yield f"{name}.pool", texts.held()[1]
        starts, artists, pool = self.songs.held()
        yield "songs.starts", starts
        yield "songs.artists", artists
        yield "songs.pool", pool


_TEXTS = ("users", "artists", "names")
