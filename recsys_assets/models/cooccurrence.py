"""Co-occurrence: what stands near an item in playlists, sooner counted more, later ones most.

Sequential rules (Ludewig & Jannach, Evaluation of session-based recommendation algorithms, UMUAI
2018) with a window on both sides, popularity discounts and an optional second hop. Counting runs
in `neighbour_kernels.py`, ranking in `rows.py`; here stand hyperparameters, the inverted index and
threads.
"""

import itertools
import threading
from typing import ClassVar

import numpy as np
from pydantic import Field

from recsys_assets.models.base import Hyperparameters
from recsys_assets.models.neighbour_kernels import EMPTY, TABLE_SLOTS, cooccurrence_rows
from recsys_assets.models.parallel import map_blocks, thread_count
from recsys_assets.models.postings import Postings
from recsys_assets.models.rows import RowParameters, RowRecommender, row_limits
from recsys_assets.models.topk import readonly
from recsys_assets.playlists import Catalog, Float32, Int32, Int64, PlaylistSet
from recsys_assets.progress import Progress, Ticker

FIT_BLOCK_PAIRS = 2_000_000
"""Most pairs counted in one block of items (or one item's, if more): bounds a thread's buffer."""


class CooccurrenceParameters(RowParameters):
    """Hyperparameters of directional distance-weighted co-occurrence."""

    window: int = Field(
        default=30, ge=1, le=10_000, description="Positions to either side that count as near."
    )
    distance_exponent: float = Field(
        default=0.5,
        ge=0,
        le=4,
        description="A pair d positions apart weighs d ** -exponent; 0 ignores the distance.",
    )
    backward: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="Weight of what stood before an item; what came after it weighs 1.",
    )
    length_exponent: float = Field(
        default=0.25,
        ge=0,
        le=2,
        description="Pairs are divided by their playlist's length to this power: 0 counts all alike.",
    )
    query_discount: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="Weights are divided by the query item's plays to this power.",
    )
    popularity_discount: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Weights are divided by the neighbour's plays to this power.",
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
    two_hop: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="Weight of the neighbours of the best neighbours; 0 leaves them out.",
    )
    two_hop_items: int = Field(
        default=20, ge=1, le=1000, description="Best neighbours whose own neighbours are added."
    )


class Cooccurrence(RowRecommender):
    """Directional distance-weighted co-occurrence, optionally with a two-hop step.

    Item `i` at position `p` and `j` at `q` of one playlist, ``0 < |p - q| <= window``, add
    ``|p - q| ** -distance_exponent`` to the weight of `j` after `i`, times `backward` where `j`
    came first, over the playlist's length to the power of `length_exponent`. Sums are divided by
    ``plays(i) ** query_discount * plays(j) ** popularity_discount``. A query scores the mean of
    its latest items' rows, weighted by recency; the two-hop step adds `two_hop` times the mean of
    the best neighbours' rows, weighted by their scores.
    """

    family: ClassVar[str] = "cooccurrence"
    parameters_type: ClassVar[type[Hyperparameters]] = CooccurrenceParameters
    parameters: CooccurrenceParameters

    def _fit(self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress) -> None:
        p = self.parameters
        postings = Postings.of(train, train.items, self.size)
        plays = np.diff(postings.offsets)
        distances = np.arange(p.window + 1, dtype=np.float64)
        forward = np.zeros(p.window + 1)
        forward[1:] = distances[1:] ** -p.distance_exponent
        backward = forward * p.backward
        playlist_scale = np.maximum(train.lengths, 1).astype(np.float64) ** -p.length_exponent
        counts = np.maximum(plays, 1).astype(np.float64)
        row_scale, column_scale = counts**-p.query_discount, counts**-p.popularity_discount
        scales = column_scale[
            train.items
        ]  # a neighbour's, beside it: not looked up all over memory
        pairs = plays * np.minimum(2 * p.window, int(train.lengths.max()) - 1)
        blocks = _blocks_of_pairs(pairs)
        lengths = row_limits(plays, pairs, p.max_neighbours, p.memory_mb, self.family)
        rows_at_most = np.concatenate([[0], np.cumsum(lengths)])
        room = max(int(rows_at_most[high] - rows_at_most[low]) for low, high in blocks)
        scratch = threading.local()  # kept by a thread from block to block
        ticker = Ticker(progress, "items", self.size)

        def count(block: tuple[int, int]) -> tuple[Int32, Float32]:
            low, high = block
            if not hasattr(scratch, "sums"):
                scratch.holders = np.full(TABLE_SLOTS, EMPTY, np.int32)
                scratch.held, scratch.held_scales = np.zeros(TABLE_SLOTS), np.empty(TABLE_SLOTS)
                scratch.sums = np.zeros(self.size)
                scratch.touched = np.empty(self.size, np.int32)
                scratch.values = np.empty(self.size, np.float32)
                scratch.row_items = np.empty(room, np.int32)
                scratch.row_weights = np.empty(room, np.float32)
            written = cooccurrence_rows(
                low, high, readonly(train.offsets), readonly(train.items),
                postings.owners, postings.offsets, postings.positions, forward, backward,
                playlist_scale, row_scale, column_scale, scales, scratch.holders, scratch.held,
                scratch.held_scales, scratch.sums, scratch.touched, scratch.values, lengths,
                scratch.row_items, scratch.row_weights,
            )  # fmt: skip
            ticker.done(high)
            return scratch.row_items[:written].copy(), scratch.row_weights[:written].copy()

        rows = map_blocks(count, blocks)
        self._row_offsets: Int64 = np.concatenate([[0], np.cumsum(lengths)])
        self._row_items: Int32 = np.concatenate([items for items, _ in rows])
        self._row_weights: Float32 = np.concatenate([weights for _, weights in rows])

    def _own_bytes(self, train: PlaylistSet, items: int) -> int:
        plays = len(train.items)
        # The rows twice while blocks of them are joined, and scratch of 24 bytes an item a thread.
        rows = min(self.parameters.memory_mb * 2**20, 16 * self.parameters.window * plays)
        return 2 * rows + 24 * items * thread_count() + 24 * plays

    def _two_hop(self) -> tuple[float, int]:
        return self.parameters.two_hop, self.parameters.two_hop_items


def _blocks_of_pairs(pairs: Int64) -> list[tuple[int, int]]:
    """Cut items into runs of about equal work: at most `FIT_BLOCK_PAIRS` pairs, or one item."""
    ends = np.cumsum(pairs)
    limit = max(1, min(FIT_BLOCK_PAIRS, int(ends[-1]) // (4 * thread_count()) + 1))
    edges = [0]
    while edges[-1] < len(pairs):
        before = ends[edges[-1] - 1] if edges[-1] else 0
        edge = int(np.searchsorted(ends, before + limit, side="right"))
        edges.append(max(edge, edges[-1] + 1))
    return list(itertools.pairwise(edges))
