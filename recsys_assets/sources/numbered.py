"""Rows as numbers, with what the numbers stand for: of one file, or of several in their order.

Files are numbered each by itself and joined by their distinct texts, so that what was made of one file
can be stored and taken again. Which rows there are is decided by `quick_csv.py`.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_assets.sources.interning import Pairs, Texts
from recsys_assets.sources.record_kernels import Int32


@dataclass
class Numbered:
    """Rows as numbers, in the order of the files; texts and pairs by number.

    Numbers are in order of first appearance, whether rows were numbered as one file or as several.

    Attributes
    ----------
    users, artists, tracks, names
        The distinct texts of the four fields.
    playlists
        Pairs of user and name.
    songs
        Pairs of artist and track; without an artist (-1 - playlist, track).
    playlist, song
        int32[rows], numbers into `playlists` and `songs`; after `append` and until `join` those of
        the first file.
    """

    users: Texts = field(default_factory=Texts)
    artists: Texts = field(default_factory=Texts)
    tracks: Texts = field(default_factory=Texts)
    names: Texts = field(default_factory=Texts)
    playlists: Pairs = field(default_factory=Pairs)
    songs: Pairs = field(default_factory=Pairs)
    playlist: Int32 = field(default_factory=lambda: np.empty(0, np.int32))
    song: Int32 = field(default_factory=lambda: np.empty(0, np.int32))
    _more: list[tuple[Int32, Int32]] = field(default_factory=list)

    def add(self, user: Int32, artist: Int32, track: Int32, name: Int32) -> tuple[Int32, Int32]:
        """Number the pairs of numbered fields; returns playlist and song of every row."""
        playlist = self.playlists.number(user, name)
        alone = artist < 0
        return playlist, self.songs.number(np.where(alone, -1 - playlist, artist), track)

    def append(self, other: "Numbered", pool: ThreadPoolExecutor) -> None:
        """Put the rows of the next file behind these; `join` makes them one."""
        tracks = pool.submit(self.tracks.append, other.tracks)
        users, names = self.users.append(other.users), self.names.append(other.names)
        artists = self.artists.append(other.artists)
        user, name = other.playlists.members()
        playlists = self.playlists.number(users[user], names[name])
        artist, track = other.songs.members()
        alone = artist < 0
        artist[alone] = -1 - playlists[-1 - artist[alone]]
        artist[~alone] = artists[artist[~alone]]
        songs = self.songs.number(artist, tracks.result()[track])
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

        loaded = cls(playlist=stored("playlist"), song=stored("song"))
        for name in _TEXTS:
            hashes, offsets, pool = (stored(f"{name}.{key}") for key in _HELD)
            setattr(loaded, name, Texts.of(hashes, offsets, pool))
        for name in _PAIRS:
            setattr(loaded, name, Pairs.of(stored(name)))
        return loaded

    def _arrays(self) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
        yield "playlist", self.playlist
        yield "song", self.song
        for name in _TEXTS:
            texts: Texts = getattr(self, name)
            for key, array in texts.held().items():
                yield f"{name}.{key}", array
        for name in _PAIRS:
            pairs: Pairs = getattr(self, name)
            yield name, pairs.held()


_TEXTS = ("users", "artists", "tracks", "names")
_HELD = ("hashes", "offsets", "pool")
_PAIRS = ("playlists", "songs")
