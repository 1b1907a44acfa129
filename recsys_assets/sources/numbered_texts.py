"""The texts behind a reader's numbers, put one behind the other: names, titles and ids.

Ids are formed from the distinct fields whenever they are written, and never held; the form is that of
the expressions in `fields.py`. Numbering is the business of `numbered.py`, files of
`quick_write.py`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from recsys_assets.sources import page_kernels as kernels
from recsys_assets.sources.interning import Texts, free_slots
from recsys_assets.sources.numbered import Numbered
from recsys_assets.sources.record_kernels import Bytes, Int32, Int64
from recsys_assets.sources.text_kernels import TITLE_BITS, first_of_title

LENGTH_BYTES: Final = 4
"""Of a plain parquet value: its length stands before it."""


@dataclass(frozen=True)
class Put:
    """Texts one behind the other.

    Attributes
    ----------
    offsets
        int64[texts + 1]: where each begins, its length included where there is one.
    content
        Their bytes.
    """

    offsets: Int64
    content: Bytes

    @classmethod
    def room(cls, texts: int, size: int) -> "Put":
        """Return room for so many texts of so many bytes at most; what is not used costs nothing."""
        return cls(np.empty(texts + 1, np.int64), np.empty(size, np.uint8))

    def filled(self) -> Bytes:
        """Return the bytes that are used."""
        return self.content[: int(self.offsets[-1])]


class NumberedTexts:
    """Texts of the numbers in a `Numbered`.

    Each method takes numbers int32[n], none of them negative, and a prefix: `LENGTH_BYTES` for plain
    parquet values, or 0.
    """

    def __init__(self, numbered: Numbered) -> None:
        self._numbered, self._songs = numbered, numbered.songs
        # Places of users' and playlists' names, by playlist.
        user, name = numbered.playlists.members()
        self._parts = (user, name, *numbered.users.held(), *numbered.names.held())
        self._sizes = numbered.users.lengths()[user] + numbered.names.lengths()[name]

    def users(self, users: Int32, prefix: int) -> Put:
        """Return names of users."""
        return _put(self._numbered.users, users, prefix)

    def artists(self, artists: Int32, prefix: int) -> Put:
        """Return names of artists."""
        return _put(self._numbered.artists, artists, prefix)

    def names(self, names: Int32, prefix: int) -> Put:
        """Return names of playlists."""
        return _put(self._numbered.names, names, prefix)

    def titles(self, songs: Int32, prefix: int) -> Put:
        """Return titles of songs."""
        starts = self._songs.starts
        ends = starts[songs + 1] >> TITLE_BITS
        begins = ends - (starts[songs] & ((1 << TITLE_BITS) - 1))
        return _put_texts(self._songs.pool, begins, ends, prefix)

    def playlist_ids(self, playlists: Int32, prefix: int) -> Put:
        """Return ids of playlists: `user|||name`."""
        most = int((2 * self._sizes[playlists] + prefix + 3).sum())
        out = Put.room(len(playlists), most)
        kernels.put_playlist_ids(playlists, *self._parts, prefix, out.content, out.offsets)
        return out

    def track_ids(self, songs: Int32, prefix: int) -> Put:
        """Return ids of tracks: `artist|||title`, or `|||title|||playlist's id`."""
        starts, artists = self._songs.starts, self._songs.artists
        places = starts[songs] >> TITLE_BITS
        sizes = 2 * ((starts[songs + 1] >> TITLE_BITS) - places) + prefix + 3
        playlists = -1 - artists[songs]
        most = int(sizes.sum() + (4 * self._sizes[playlists[playlists >= 0]] + 9).sum())
        out = Put.room(len(songs), most)
        kernels.put_song_ids(
            songs, starts, TITLE_BITS, artists, self._songs.pool, *self._parts, prefix,
            out.content, out.offsets,
        )  # fmt: skip
        return out

    def most_id_bytes(self) -> int:
        """Return the mean length of a track's id, or more."""
        count = self._songs.count
        artists, pool = self._songs.held()[1:]
        playlists = -1 - artists[artists < 0]
        alone = 9 * len(playlists) + 4 * int(self._sizes[playlists].sum())
        return LENGTH_BYTES + 3 + (2 * len(pool) + alone) // max(count, 1)

    def first_of_title(self) -> Int32:
        """Return int32[songs]: the first song with the title of each song."""
        first = np.empty(self._songs.count, np.int32)
        slots = free_slots(self._songs.count)
        first_of_title(self._songs.starts, self._songs.pool, self._songs.count, slots, first)
        return first


def _put(texts: Texts, numbers: Int32, prefix: int) -> Put:
    offsets, pool = texts.held()
    return _put_texts(pool, offsets[numbers], offsets[numbers + 1], prefix)


def _put_texts(pool: Bytes, begins: Int64, ends: Int64, prefix: int) -> Put:
    out = Put.room(len(begins), int((ends - begins).sum()) + prefix * len(begins))
    kernels.put_texts(pool, begins, ends, prefix, out.content, out.offsets)
    return out
