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
    playlist, song
        int32[rows], numbers into `playlists` and `songs`; after `append` and until `join` those of
        the first file.
    """

    users: Texts = field(default_factory=Texts)
    artists: Texts = field(default_factory=Texts)
    names: Texts = field(default_factory=Texts)
    playlists: Pairs = field(default_factory=Pairs)
    songs: Songs = field(default_factory=Songs)
    playlist: Int32 = field(default_factory=lambda: np.empty(0, np.int32))
    song: Int32 = field(default_factory=lambda: np.empty(0, np.int32))
    _more: list[tuple[Int32, Int32]] = field(default_factory=list)

    def add(
        self, data: Bytes, begins: Int32, ends: Int32, values: UInt32 | None = None
    ) -> tuple[Int32, Int32]:
        """Number rows; returns playlist and song of each.

        Parameters
        ----------
        data, begins, ends
            User, artist, title and name of row `r` are ``data[begins[r, c] : ends[r, c]]``.
        values
            uint32[rows] from `hash_songs`, where they are there already.
        """
        user = self.users.number(data, begins, ends, 0)
        name = self.names.number(data, begins, ends, 3)
        playlist = self.playlists.number(user, name)
        return playlist, self.songs.number(data, begins, ends, playlist, self.artists, values)

    def append(self, other: "Numbered") -> None:
        """Put the rows of the next file behind these; `join` makes them one."""
        users, names = self.users.append(other.users), self.names.append(other.names)
        user, name = other.playlists.members()
        playlists = self.playlists.number(users[user], names[name])
        songs = self.songs.append(other.songs, playlists, self.artists)
        self._more.append((playlists[other.playlist], songs[other.song]))

    def join(self) -> None:
        """Make one array of the rows of all files."""
        if self._more:
            playlists, songs = zip(*self._more, strict=True)
            self.playlist = np.concatenate([self.playlist, *playlists])
            self.song = np.concatenate([self.song, *songs])
            self._more = []

    def save(self, folder: Path) -> None:
        """Write the rows of one file, and what their numbers stand for, into a folder."""
        for name, array in self._arrays():
            np.save(folder / f"{name}.npy", array)

    @classmethod
    def load(cls, folder: Path) -> "Numbered":
        """Take back what `save` wrote."""

        def stored(name: str) -> npt.NDArray[Any]:
            array: npt.NDArray[Any] = np.load(folder / f"{name}.npy")
            return array

        users, artists, names = (
            Texts.of(stored(f"{name}.offsets"), stored(f"{name}.pool")) for name in _TEXTS
        )
        songs = Songs.of(stored("songs.starts"), stored("songs.artists"), stored("songs.pool"))
        playlists = Pairs.of(stored("playlists"))
        return cls(users, artists, names, playlists, songs, stored("playlist"), stored("song"))

    def _arrays(self) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
        yield "playlist", self.playlist
        yield "song", self.song
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
