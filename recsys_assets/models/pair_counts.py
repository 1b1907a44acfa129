"""Pair counts: how many playlists hold both of two items, above a threshold.

The plain co-occurrence of the tutorials on the Million Playlist Dataset, for tracks as for artists
(artist playlists are a `PlaylistSet` too). Order and distance within the playlist do not count:
with them it is `cooccurrence.py`.
"""

import threading
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from recsys_assets.models.base import Hyperparameters
from recsys_assets.models.neighbour_kernels import EMPTY, TABLE_SLOTS, pair_rows
from recsys_assets.models.parallel import map_blocks, row_blocks, thread_count
from recsys_assets.models.postings import Postings, distinct_items
from recsys_assets.models.rows import RowParameters, RowRecommender, row_limits
from recsys_assets.playlists import Catalog, Float32, Int32, PlaylistSet
from recsys_assets.progress import Progress, Ticker


class PairCountsParameters(RowParameters):
    """Hyperparameters of pair counts."""

    measure: Literal["count", "share"] = Field(
        default="count",
        description="count: playlists with both; share: the same over the sum of either's playlists.",
    )
    threshold: float = Field(
        default=1.0, ge=0, description="Pairs whose measure is below are dropped."
    )
    max_neighbours: int = Field(
        default=400, ge=1, le=10_000, description="Neighbours kept for each item, best first."
    )
    memory_mb: int = Field(
        default=512,
        ge=1,
        le=1_000_000,
        description="MiB of all neighbours, 8 bytes each; where short, rarely played items keep fewer.",
    )
    query_items: int = Field(
        default=20, ge=1, le=10_000, description="Latest known items of a query that are used."
    )
    recency_exponent: float = Field(
        default=0.5,
        ge=0,
        le=4,
        description="The n-th latest item of a query weighs n ** -exponent.",
    )


class PairCounts(RowRecommender):
    """Items by the number of playlists shared with the query's items.

    A playlist counts a pair once, however often it repeats either. Pairs below `threshold` are
    dropped; where that leaves too few neighbours, popular items follow, so that every item always
    has as many as asked for. A query scores the mean of its latest items' rows.
    """

    family: ClassVar[str] = "pair_counts"
    parameters_type: ClassVar[type[Hyperparameters]] = PairCountsParameters
    parameters: PairCountsParameters

    def _fit(self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress) -> None:
        p = self.parameters
        sets = distinct_items(train, self.size)
        postings = Postings.of(sets, sets.items, self.size)
        others = np.repeat(sets.lengths - 1, sets.lengths).astype(np.float64)
        pairs = np.bincount(sets.items, weights=others, minlength=self.size).astype(np.int64)
        playlists = np.diff(postings.offsets)
        counts = row_limits(playlists, pairs, p.max_neighbours, p.memory_mb, self.family)
        rooms = np.concatenate([[0], np.cumsum(counts)])
        scratch = threading.local()  # kept by a thread from block to block
        ticker = Ticker(progress, "items", self.size)

        def count(block: tuple[int, int]) -> tuple[Int32, Float32]:
            low, high = block
            if not hasattr(scratch, "sums"):
                scratch.holders = np.full(TABLE_SLOTS, EMPTY, np.int32)
                scratch.held = np.zeros(TABLE_SLOTS, np.int32)
                scratch.sums = np.zeros(self.size, np.int32)
                scratch.touched = np.empty(self.size, np.int32)
                scratch.values = np.empty(self.size, np.float32)
            room = int(rooms[high] - rooms[low])
            items, weights = np.empty(room, np.int32), np.empty(room, np.float32)
            written = pair_rows(
                low, high, sets.offsets, sets.items, postings.offsets, postings.owners,
                p.measure == "share", p.threshold, scratch.holders, scratch.held, scratch.sums,
                scratch.touched, scratch.values, counts, items, weights,
            )  # fmt: skip
            ticker.done(high)
            return items[:written].copy(), weights[:written].copy()

        # Popular items come first and cost most: many small blocks even the threads out.
        rows = map_blocks(count, row_blocks(self.size, per_thread=64))
        self._row_offsets = np.concatenate([[0], np.cumsum(counts)])
        self._row_items: Int32 = np.concatenate([items for items, _ in rows])
        self._row_weights: Float32 = np.concatenate([weights for _, weights in rows])

    def _own_bytes(self, train: PlaylistSet, items: int) -> int:
        plays = len(train.items)
        # The rows twice while blocks of them are joined, and scratch of 12 bytes an item a thread.
        most = 8 * self.parameters.max_neighbours * min(items, plays)
        rows = min(self.parameters.memory_mb * 2**20, most)
        return 2 * rows + 12 * items * thread_count() + 32 * plays
