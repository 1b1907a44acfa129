"""The inverted index of a playlist set: where every item (or its artist) stands.

Shared by the families that look playlists up by what they hold. The weights that a family gives to
what it finds, and the kernels that walk the index, belong elsewhere.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from recsys_assets.models import word2vec_vectors
from recsys_assets.models.kernels import kernel
from recsys_assets.models.topk import readonly
from recsys_assets.models.word2vec_vectors import prefetch_to_read
from recsys_assets.playlists import MISSING, Int32, Int64, PlaylistSet

PLAYLIST, PLACE, TIMES = 0, 1, 2
"""Columns of `Runs.rows`."""
AHEAD = 16
"""Places ahead whose keys are fetched into the caches: each is a wait for the memory at full size."""


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


@dataclass(frozen=True, eq=False)
class Runs:
    """Playlists by key: one row for all of a playlist's places of a key.

    Attributes
    ----------
    offsets
        int64[keys + 1]; key `x` has ``rows[offsets[x]:offsets[x + 1]]``.
    rows
        int32[runs, 3]: `PLAYLIST`, ascending for each key, the last `PLACE` of the key in it, from
        0, and how many `TIMES` it is there. Together, since they are read together.
    plays
        int64[keys]: sums of `TIMES`.
    """

    offsets: Int64
    rows: Int32
    plays: Int64

    @classmethod
    def of(cls, playlists: PlaylistSet, keys: Int32, size: int) -> "Runs":
        """Index `playlists` by `keys`, as `Postings.of` does."""
        plays = np.bincount(keys[keys != MISSING], minlength=size)
        counts, latest = np.zeros(size, np.int64), np.full(size, MISSING, np.int32)
        _count_runs(readonly(playlists.offsets), readonly(keys), latest, counts)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        rows = np.empty((offsets[-1], 3), np.int32)
        latest[:] = MISSING
        _place_runs(readonly(playlists.offsets), readonly(keys), latest, offsets[:-1].copy(), rows)
        return cls(offsets, rows, plays)


def distinct_items(playlists: PlaylistSet, size: int) -> PlaylistSet:
    """Return the playlists with each item once, in order of index."""
    owner = np.repeat(np.arange(len(playlists), dtype=np.int64), playlists.lengths)
    pairs = np.sort(owner * size + playlists.items)
    first = np.ones(len(pairs), bool)
    first[1:] = pairs[1:] != pairs[:-1]
    kept = pairs[first]
    counts = np.bincount(kept // size, minlength=len(playlists))
    return PlaylistSet(np.concatenate([[0], np.cumsum(counts)]), (kept % size).astype(np.int32))


@partial(kernel, helpers=(word2vec_vectors,))
def _place(
    playlist_offsets: Int64, keys: Int32, ends: Int64, positions: Int64, owners: Int32
) -> None:
    """Write every position, and its playlist, where its key's postings end so far, `ends`.

    A counting sort: of 9 million positions it takes a sixth of the time of a comparing one.
    """
    for owner in range(len(playlist_offsets) - 1):
        for at in range(playlist_offsets[owner], playlist_offsets[owner + 1]):
            if at + 2 * AHEAD < len(keys) and keys[at + 2 * AHEAD] != MISSING:
                prefetch_to_read(ends, keys[at + 2 * AHEAD])
            if at + AHEAD < len(keys) and keys[at + AHEAD] != MISSING:
                prefetch_to_read(positions, ends[keys[at + AHEAD]])
                prefetch_to_read(owners, ends[keys[at + AHEAD]])
            key = keys[at]
            if key != MISSING:
                positions[ends[key]], owners[ends[key]] = at, owner
                ends[key] += 1


@partial(kernel, helpers=(word2vec_vectors,))
def _count_runs(playlist_offsets: Int64, keys: Int32, latest: Int32, counts: Int64) -> None:
    """Count the playlists that hold each key; `latest` is int32[keys] scratch, all MISSING."""
    for owner in range(len(playlist_offsets) - 1):
        for at in range(playlist_offsets[owner], playlist_offsets[owner + 1]):
            if at + AHEAD < len(keys) and keys[at + AHEAD] != MISSING:
                prefetch_to_read(latest, keys[at + AHEAD])
                prefetch_to_read(counts, keys[at + AHEAD])
            key = keys[at]
            if key != MISSING and latest[key] != owner:
                latest[key] = owner
                counts[key] += 1


@partial(kernel, helpers=(word2vec_vectors,))
def _place_runs(
    playlist_offsets: Int64, keys: Int32, latest: Int32, ends: Int64, rows: Int32
) -> None:
    """Fill `rows` from where those of each key end so far, `ends`; scratch as of `_count_runs`."""
    for owner in range(len(playlist_offsets) - 1):
        first = playlist_offsets[owner]
        for at in range(first, playlist_offsets[owner + 1]):
            if at + 2 * AHEAD < len(keys) and keys[at + 2 * AHEAD] != MISSING:
                prefetch_to_read(latest, keys[at + 2 * AHEAD])
                prefetch_to_read(ends, keys[at + 2 * AHEAD])
            if at + AHEAD < len(keys) and keys[at + AHEAD] != MISSING:
                prefetch_to_read(rows, ends[keys[at + AHEAD]])
            key = keys[at]
            if key == MISSING:
                continue
            if latest[key] != owner:
                latest[key] = owner
                rows[ends[key], PLAYLIST], rows[ends[key], TIMES] = owner, 0
                ends[key] += 1
            rows[ends[key] - 1, PLACE] = at - first
            rows[ends[key] - 1, TIMES] += 1
