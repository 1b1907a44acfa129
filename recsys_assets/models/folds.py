"""Playlists held out inside training, for what ensembles fit: folds, cuts and numbers of items.

Used by `blend` and `two_stage` to make queries and targets that their members have not seen. What is
fitted on them is those families' own business.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from recsys_assets.models.base import items_by_popularity
from recsys_assets.playlists import Catalog, Int32, Int64, PlaylistSet


@dataclass(frozen=True, eq=False)
class FoldNumbers:
    """Items numbered as a catalogue made for the rest of a fold alone would number them.

    An item's index falls with the number of training playlists that hold it, and rankings break
    ties by index. With the catalogue's own numbers, the one of a tie that the held-out fold holds
    as well would stand first, and what is fitted would learn to trust the order of ties.

    Attributes
    ----------
    order
        int32[size]; the catalogue's item of each new number.
    numbers
        int32[size]; the new number of each item of the catalogue.
    """

    order: Int32
    numbers: Int32

    @classmethod
    def of(cls, rest: PlaylistSet, size: int, rng: np.random.Generator) -> "FoldNumbers":
        """Number items by their playlists in `rest`, ties at random."""
        shuffled = rng.permutation(size).astype(np.int32)
        old = np.argsort(shuffled).astype(np.int32)
        seen = items_by_popularity(PlaylistSet(rest.offsets, shuffled[rest.items]), size)
        unseen = np.ones(size, bool)
        unseen[seen] = False
        order = old[np.concatenate([seen, np.flatnonzero(unseen)])]
        return cls(order, np.argsort(order).astype(np.int32))

    def playlists(self, playlists: PlaylistSet) -> PlaylistSet:
        """Return playlists without `MISSING` items in the new numbers."""
        return PlaylistSet(playlists.offsets, self.numbers[playlists.items], playlists.titles)

    def catalog(self, catalog: Catalog) -> Catalog:
        """Return the catalogue in the new order."""
        order = pa.array(self.order)
        return Catalog(
            catalog.ids.take(order),
            catalog.names.take(order),
            catalog.artist_index[self.order],
            catalog.album_index[self.order],
        )


def folds_of(count: int, folds: int, rng: np.random.Generator) -> Int64:
    """Return int64[count]: the fold of each playlist, sizes within one of each other."""
    return rng.permutation(np.arange(count) % max(1, min(folds, count)))


def truncated(playlists: PlaylistSet, rows: Int64, lengths: Int64) -> tuple[PlaylistSet, Int32]:
    """Return the first `lengths[i]` items of playlist `rows[i]`, and the item that follows.

    Parameters
    ----------
    rows, lengths : int64[n]
        ``lengths[i]`` is less than the playlist's length.

    Returns
    -------
    queries : PlaylistSet
        n playlists, with their titles.
    targets : int32[n]
    """
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    starts = playlists.offsets[rows]
    source = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    titles = None if playlists.titles is None else playlists.titles.take(pa.array(rows))
    queries = PlaylistSet(offsets, playlists.items[source], titles)
    return queries, playlists.items[starts + lengths]
