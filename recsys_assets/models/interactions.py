"""Playlist x item interactions for models trained on examples: positives, held-out ones, negatives.

numpy only, so that it is tested without PyTorch. What learns from the examples is in
`collaborative.py`; the matrix of the factor families that need no negatives is in `factors.py`.
"""

from dataclasses import dataclass

import numpy as np

from recsys_assets.playlists import Bool, Int64, PlaylistSet


@dataclass(frozen=True, eq=False)
class Interactions:
    """Which playlist holds which item, in order of playlist and item.

    Attributes
    ----------
    sets
        Every playlist's items, each once and ascending, in ``[0, items)``.
    items
        How many items there are.
    """

    sets: PlaylistSet
    items: int

    @property
    def owners(self) -> Int64:
        """int64[total]: the playlist of each interaction."""
        return np.repeat(np.arange(len(self.sets), dtype=np.int64), self.sets.lengths)

    def hold_out(self, share: float, rng: np.random.Generator) -> Bool:
        """Choose interactions to measure on.

        Returns
        -------
        bool[total]
            True for the nearest whole number to `share` of them, at least one and never all; none
            where there is but one.
        """
        total = len(self.sets.items)
        count = min(max(1, round(share * total)), total - 1)
        held = np.zeros(total, bool)
        held[rng.permutation(total)[:count]] = True
        return held

    def negatives(self, owners: Int64, rng: np.random.Generator) -> tuple[Int64, Int64]:
        """Draw, for each of `owners`, an item that its playlist does not hold, all equally likely.

        Nothing is drawn and thrown away: of a playlist's missing items in order, number `r` is
        ``r`` plus the number of its items `p_j` (the j-th, from 0) with ``p_j - j <= r``.

        Parameters
        ----------
        owners
            int64[n], playlists.

        Returns
        -------
        owners, items : int64[m], m <= n
            Without the playlists that hold every item.
        """
        missing = self.items - self.sets.lengths
        owners = owners[missing[owners] > 0]
        drawn = rng.integers(0, missing[owners])
        places = np.arange(len(self.sets.items)) - np.repeat(
            self.sets.offsets[:-1], self.sets.lengths
        )
        # One ascending array for all playlists: a playlist's keys lie between its multiples.
        keys = self.owners * (self.items + 1) + self.sets.items - places
        found = np.searchsorted(keys, owners * (self.items + 1) + drawn, side="right")
        return owners, drawn + found - self.sets.offsets[owners]
