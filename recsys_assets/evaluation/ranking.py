"""Running a model over held-out queries, block by block.

Full ranking over the whole training catalogue, never against sampled negatives (Krichene & Rendle,
On sampled metrics for item recommendation, KDD 2020). What is made of the answers is in `metrics.py`.
"""

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from recsys_assets.evaluation.metrics import RANKED_ITEMS, target_ranks
from recsys_assets.playlists import Bool, Float32, Int32, PlaylistSet
from recsys_assets.progress import Progress, Ticker, silent

BLOCK = 2048


class Ranker(Protocol):
    """What evaluation needs of a model."""

    def recommend(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        """Return items int32[n, k] and scores float32[n, k]."""

    def known_items(self) -> Bool:
        """Return bool[catalogue]: the items that the model learned something of."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """A model's answers to all queries.

    Attributes
    ----------
    items
        int32[n, k]: the recommendations, best first, `MISSING` where the catalogue has no more.
    target_ranks
        int32[n]: the target's place from 1, or 0.
    seconds
        Time that the model took.
    """

    items: Int32
    target_ranks: Int32
    seconds: float


def evaluate_ranking(
    model: Ranker,
    queries: PlaylistSet,
    targets: Int32,
    *,
    k: int = RANKED_ITEMS,
    block: int = BLOCK,
    progress: Progress = silent,
) -> Ranked:
    """Ask the model for `k` items for every query.

    Parameters
    ----------
    queries, targets
        n playlists without their last item, and int32[n] of those last items.
    block
        Queries at a time: bounds the model's working memory.
    """
    items = np.empty((len(queries), k), np.int32)
    ticker = Ticker(progress, "queries ranked", len(queries))
    start = time.perf_counter()
    for first in range(0, len(queries), block):
        last = min(first + block, len(queries))
        items[first:last], _ = model.recommend(queries.slice(first, last), k)
        ticker.done(last)
    seconds = time.perf_counter() - start
    return Ranked(items, target_ranks(items, targets), seconds)
