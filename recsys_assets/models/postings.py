"""The inverted index of a playlist set: where every item (or its artist) stands.

Shared by the families that look playlists up by what they hold. The weights that a family gives to
what it finds, and the kernels that walk the index, belong elsewhere.
"""

from dataclasses import dataclass

import numpy as np

from recsys_assets.models.kernels import kernel
from recsys_assets.models.topk import readonly
from recsys_assets.playlists import MISSING, Int32, Int64, PlaylistSet


@dataclass(frozen=True, eq=False)
class Postings:
    """Positions by key.

    Attributes
    ----------
    offsets
        int64[keys + 1]; key `x` stands at ``positions[offsets[x]:offsets[x + 1]]``.
    positions
        int64[total]; positions in the playlists' items, ascending for each key.
    owners
        int32[total]; the playlist that each of `positions` belongs to. Kept beside them: looking a
        playlist up by position is a cache miss for every posting.
    """

    offsets: Int64
    positions: Int64
    owners: Int32

    @classmethod
    def of(cls, playlists: PlaylistSet, keys: Int32, size: int) -> "Postings":
        """Index `playlists` by `keys`, int32[total], one for each position, below `size`.

        Positions whose key is `MISSING` are left out.
        """
        counts = np.bincount(keys[keys != MISSING], minlength=size)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        positions, owners = np.empty(offsets[-1], np.int64), np.empty(offsets[-1], np.int32)
        _place(readonly(playlists.offsets), readonly(keys), offsets[:-1].copy(), positions, owners)
        return cls(offsets, positions, owners)

    def playlist_counts(self) -> Int64:
        """int64[keys]: how many playlists hold each key."""
        of = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        first = np.ones(len(of), bool)
        first[1:] = (of[1:] != of[:-1]) | (self.owners[1:] != self.owners[:-1])
        return np.bincount(of[first], minlength=len(self.offsets) - 1)


def distinct_items(playlists: PlaylistSet, size: int) -> PlaylistSet:
    """Return the playlists with each item once, in order of index."""
    owner = np.repeat(np.arange(len(playlists), dtype=np.int64), playlists.lengths)
    pairs = np.sort(owner * size + playlists.items)
    first = np.ones(len(pairs), bool)
    first[1:] = pairs[1:] != pairs[:-1]
    kept = pairs[first]
    counts = np.bincount(kept // size, minlength=len(playlists))
    return PlaylistSet(np.concatenate([[0], np.cumsum(counts)]), (kept % size).astype(np.int32))


@kernel
def _place(
    playlist_offsets: Int64, keys: Int32, ends: Int64, positions: Int64, owners: Int32
) -> None:
    """Write every position, and its playlist, where its key's postings end so far, `ends`.

    A counting sort: of 9 million positions it takes a sixth of the time of a comparing one.
    """
    for owner in range(len(playlist_offsets) - 1):
        for at in range(playlist_offsets[owner], playlist_offsets[owner + 1]):
            key = keys[at]
            if key != MISSING:
                positions[ends[key]], owners[ends[key]] = at, owner
                ends[key] += 1
