"""Sparse rows: a model that is a list of weighted neighbours for every item.

Ranking, files and the bound on memory of the families that learn such rows (`cooccurrence.py`,
`pair_counts.py`, `ease.py`). What the weights are belongs there, the kernel that adds them up in
`row_kernels.py`.
"""

from typing import TYPE_CHECKING

import numpy as np

from recsys_assets.errors import DataError
from recsys_assets.models.base import Hyperparameters, Recommender
from recsys_assets.models.parallel import map_blocks, query_blocks
from recsys_assets.models.row_kernels import rank_by_rows
from recsys_assets.models.slot_kernels import slot_shift
from recsys_assets.models.topk import check_queries, readonly
from recsys_assets.playlists import Float32, Float64, Int32, Int64, PlaylistSet

BYTES_PER_NEIGHBOUR = 8
"""An int32 index and a float32 weight."""


class RowParameters(Hyperparameters):
    """What ranking by rows needs; a family declares both fields, with its own defaults."""

    if TYPE_CHECKING:  # as fields they would come first wherever a family's fields are listed
        query_items: int
        recency_exponent: float


class RowRecommender(Recommender):
    """Ranks by the weighted mean of the rows of a query's latest items.

    Fitting sets ``_row_offsets`` int64[size + 1], ``_row_items`` int32[total] and ``_row_weights``
    float32[total], positive: each item's neighbours.
    """

    parameters: RowParameters
    _row_offsets: Int64
    _row_items: Int32
    _row_weights: Float32

    def _two_hop(self) -> tuple[float, int]:
        """Return the weight of the best neighbours' own rows, and of how many of them."""
        return 0.0, 1

    def _rank(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        check_queries(queries, self.size)
        p = self.parameters
        items = np.empty((len(queries), k), np.int32)
        scores = np.empty((len(queries), k), np.float32)
        recency: Float64 = np.arange(1, p.query_items + 1, dtype=np.float64) ** -p.recency_exponent

        def rank(block: tuple[int, int]) -> None:
            rank_by_rows(
                *block, readonly(queries.offsets), readonly(queries.items), self._row_offsets,
                self._row_items, self._row_weights, recency, *self._two_hop(),
                slot_shift(k, self.size), np.zeros(self.size), np.empty(self.size, np.int32),
                np.empty(self.size, np.float32), items, scores,
            )  # fmt: skip

        map_blocks(rank, query_blocks(len(queries)))
        return items, scores

    def _arrays(self) -> dict[str, np.ndarray]:
        return {
            "row_offsets": self._row_offsets,
            "row_items": self._row_items,
            "row_weights": self._row_weights,
        }

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        self._row_offsets = arrays["row_offsets"]
        self._row_items = arrays["row_items"]
        self._row_weights = arrays["row_weights"]


def row_limits(
    plays: Int64, pairs: Int64, max_neighbours: int, memory_mb: int, family: str
) -> Int64:
    """Return how many neighbours each item may keep, int64[items].

    Where `max_neighbours` of every item would take more than `memory_mb`, an item keeps so many for
    each of its plays, the largest whole number that fits: what stood once in one playlist says
    little, but such items are most of a large catalogue.

    Parameters
    ----------
    plays : int64[items]
        How often (or in how many playlists) each item was seen.
    pairs : int64[items]
        An upper bound on each item's neighbours.
    max_neighbours
        Most neighbours of any item.
    memory_mb
        MiB that all rows may take, 8 bytes a neighbour.

    Raises
    ------
    DataError
        If not even one neighbour for each play fits.
    """
    room = memory_mb * 2**20 // BYTES_PER_NEIGHBOUR
    most = np.minimum(pairs, max_neighbours)
    if most.sum() <= room:
        return most
    low, high = 0, max_neighbours  # low fits, high does not
    while high - low > 1:
        middle = (low + high) // 2
        if np.minimum(most, plays * middle).sum() <= room:
            low = middle
        else:
            high = middle
    if low == 0:
        needed = -(-int(np.minimum(most, plays).sum()) * BYTES_PER_NEIGHBOUR // 2**20)
        raise DataError(
            f"{family}: memory_mb = {memory_mb} holds fewer than one neighbour for each of "
            f"{int(plays.sum()):,} plays; set memory_mb to {needed} or more in the candidates file, "
            "or train on less with RECSYS_SAMPLE_PERCENT"
        )
    return np.minimum(most, plays * low)
