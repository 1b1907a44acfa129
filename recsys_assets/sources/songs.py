"""The dictionary of songs: every distinct artist and title, or title and playlist, gets a number.

A row's song is looked up once, by the bytes of both fields; only a new song's artist is looked up by
itself. What makes two songs the same is said by `fields.scoped_id`. The hash table's inner loops are
in `text_kernels.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from recsys_assets.sources import text_kernels as kernels
from recsys_assets.sources.interning import Texts, free_slots, roomy_slots, stretches, with_room
from recsys_assets.sources.record_kernels import Bytes, Int32, Int64, UInt32

_SONGS_AT_ONCE: Final = 1 << 16


@dataclass(frozen=True)
class NewSongs:
    """Songs that were met for the first time, and whose artists have no number yet.

    Attributes
    ----------
    first
        Number of the first one; the others' follow.
    data, begins, ends
        int32[songs, columns]: the artist is ``data[begins[n, 1] : ends[n, 1]]``.
    """

    first: int
    data: Bytes
    begins: Int32
    ends: Int32

    def number(self, artists: Texts) -> Int32:
        """Return the numbers of the artists, -1 without one."""
        return artists.number(self.data, self.begins, self.ends, 1)


class Songs:
    """Distinct songs, numbered from 0 in order of appearance.

    Attributes
    ----------
    count
        How many there are.
    starts
        int64[>= count + 1]: where artist and title of each song stand in `pool`, one behind the
        other, times 2 ** `TITLE_BITS`, plus the length of the title.
    artists
        int32[>= count]: number of the artist; -1 - playlist for a song without one.
    pool
        Bytes.
    """

    def __init__(self) -> None:
        self.count = 0
        self.starts = np.zeros(1, np.int64)
        self.artists = np.empty(0, np.int32)
        self.pool = np.empty(0, np.uint8)
        self._slots = free_slots(0)

    @classmethod
    def of(cls, starts: Int64, artists: Int32, pool: Bytes) -> "Songs":
        """Return the songs that `held` gave; its arrays are taken over."""
        songs = cls()
        songs.count = len(artists)
        songs.starts, songs.artists, songs.pool = starts, artists, pool
        songs._slots = songs._slots[:0]  # filled when the next songs come
        return songs

    def held(self) -> tuple[Int64, Int32, Bytes]:
        """Return what `of` takes, without copying."""
        used = int(self.starts[self.count] >> kernels.TITLE_BITS)
        return self.starts[: self.count + 1], self.artists[: self.count], self.pool[:used]

    def let_go(self) -> None:
        """Give back the memory of the hash table until more songs are numbered."""
        self._slots = self._slots[:0].copy()

    def reserve(self, entries: int, size: int) -> None:
        """Make room for so many songs and bytes at once: memory that is not used costs nothing."""
        self.starts = with_room(self.starts, entries + 1)
        self.artists = with_room(self.artists, entries)
        self.pool = with_room(self.pool, size)

    def number(
        self, data: Bytes, begins: Int32, ends: Int32, playlists: Int32, artists: Texts
    ) -> Int32:
        """Return the number of every row's song; `artists` numbers those of new songs."""
        numbers, new = self.number_unnamed(data, begins, ends, playlists)
        self.name(new, new.number(artists))
        return numbers

    def number_unnamed(
        self,
        data: Bytes,
        begins: Int32,
        ends: Int32,
        playlists: Int32,
        values: UInt32 | None = None,
    ) -> tuple[Int32, NewSongs]:
        """Return the number of every row's song, and the new songs, whose artists `name` takes.

        Parameters
        ----------
        data, begins, ends
            int32[rows, columns]: the artist is ``data[begins[r, 1] : ends[r, 1]]``, the title is in
            column 2 and not empty.
        playlists
            int32[rows], the playlist of each row.
        values
            uint32[rows] from `hash_songs`, where they are there already; they are used up.
        """
        records = len(begins)
        if values is None:
            values = np.empty(records, np.uint32)
            kernels.hash_songs(data, begins, ends, records, values)
        size = int((ends[:, 1:3] - begins[:, 1:3]).sum(dtype=np.int64))
        most, before = self.count + records, self.count
        self.starts = with_room(self.starts, most + 1)
        self.artists = with_room(self.artists, most)
        self.pool = with_room(self.pool, int(self.starts[before] >> kernels.TITLE_BITS) + size)
        if not len(self._slots):
            self._slots = free_slots(most)
            kernels.fill_song_slots(self.starts, self.artists, self.pool, self.count, self._slots)
        self._slots = roomy_slots(self._slots, most)
        numbers, fresh = np.empty(records, np.int32), np.empty(records, np.int32)
        self.count = kernels.number_songs(
            data, begins, ends, playlists, values, self._slots, self.starts, self.artists,
            self.pool, before, numbers, fresh,
        )  # fmt: skip
        new = fresh[: self.count - before]
        return numbers, NewSongs(before, data, begins[new], ends[new])

    def name(self, new: NewSongs, artists: Int32) -> None:
        """Take the numbers of new songs' artists, -1 for one that has none."""
        held = self.artists[new.first : new.first + len(artists)]
        np.copyto(held, artists, where=artists >= 0)

    def append(self, other: "Songs", playlists: Int32, artists: Texts) -> Int32:
        """Number all songs of another; returns the number here of each number there.

        `playlists` are the numbers here of the playlists there.
        """
        numbers = np.empty(other.count, np.int32)
        for begin, data, begins, ends in other.parts():
            alone = other.artists[begin : begin + len(begins)]
            playlist = np.zeros(len(begins), np.int32)
            playlist[alone < 0] = playlists[-1 - alone[alone < 0]]
            numbers[begin : begin + len(begins)] = self.number(
                data, begins, ends, playlist, artists
            )
        return numbers

    def parts(self) -> Iterator[tuple[int, Bytes, Int32, Int32]]:
        """Yield stretches of songs: the first one's number, and the fields as `number` takes them."""
        for part in stretches(self.held()[0], _SONGS_AT_ONCE, kernels.TITLE_BITS):
            held = self.starts[part.start : part.stop + 1]
            places = held >> kernels.TITLE_BITS
            titles = held[:-1] & ((1 << kernels.TITLE_BITS) - 1)
            bounds = np.zeros((len(titles), 4), np.int32)
            bounds[:, 1] = places[:-1] - places[0]
            bounds[:, 3] = places[1:] - places[0]
            bounds[:, 2] = bounds[:, 3] - titles
            data = self.pool[places[0] : places[-1]]
            yield part.start, data, np.ascontiguousarray(bounds[:, :3]), bounds[:, 1:].copy()
