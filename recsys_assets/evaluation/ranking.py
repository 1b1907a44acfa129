"""Running a model over held-out queries, block by block.

Full ranking over the whole training catalogue, never against sampled negatives (Krichene & Rendle,
On sampled metrics for item recommendation, KDD 2020). What is made of the answers is in `metrics.py`.
"""

import time
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow.compute as pc

from recsys_assets.evaluation.metrics import RANKED_ITEMS, target_ranks
from recsys_assets.playlists import Bool, Float32, Float64, Int8, Int32, Int64, PlaylistSet
from recsys_assets.progress import Progress, Ticker, silent

BLOCK = 2048


class Ranker(Protocol):
    """What evaluation needs of a model."""

    def recommend(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        """Return items int32[n, k] and scores float32[n, k]."""

    def known_items(self) -> Bool:
        """Return bool[catalogue]: the items that the model learned something of."""


@runtime_checkable
class TieredRanker(Ranker, Protocol):
    """A model that also tells what each answer is made of (`models/tiers.py`)."""

    def answer(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32, Int8]:
        """Return items and scores, and the tier of each query's answer, int8[n]."""


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
    tiers
        int8[n]: the tier of each answer; None of a model that does not tell.
    """

    items: Int32
    target_ranks: Int32
    seconds: float
    tiers: Int8 | None

    @property
    def hits(self) -> Float64:
        """float64[n]: 1 where the target is among the recommendations, else 0."""
        return (self.target_ranks > 0).astype(np.float64)


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
    k
        Items per query. A model with a smaller catalogue fills its rows with `MISSING`, so that no
        `k` is too large.
    block
        Queries at a time: bounds the model's working memory. The answers take 4 k bytes per query
        (17 MB for 41,500 queries).
    progress
        Told of the queries done, every few seconds.

    Raises
    ------
    ValueError
        If there is not one target for each query.
    """
    if len(queries) != len(targets):
        raise ValueError(f"{len(queries)} queries but {len(targets)} targets")
    items = np.empty((len(queries), k), np.int32)
    tiers = np.empty(len(queries), np.int8) if isinstance(model, TieredRanker) else None
    order = _by_title(queries)
    ticker = Ticker(progress, "queries ranked", len(queries))
    seconds = 0.0
    for first in range(0, len(queries), block):
        last = min(first + block, len(queries))
        rows = slice(first, last) if order is None else order[first:last]
        asked = queries.slice(first, last) if order is None else queries.take(order[first:last])
        start = time.perf_counter()
        if isinstance(model, TieredRanker) and tiers is not None:
            items[rows], _, tiers[rows] = model.answer(asked, k)
        else:
            items[rows], _ = model.recommend(asked, k)
        seconds += time.perf_counter() - start
        ticker.done(last)
    return Ranked(items, target_ranks(items, targets), seconds, tiers)


def _by_title(queries: PlaylistSet) -> Int64 | None:
    """Return int64[n]: the queries in an order that has those of one title side by side.

    A model that answers from titles then makes the list of most titles in one block only, not in
    every one: of 45,670 playlists 23 blocks held 12,900 different titles, all together 3,000.
    """
    if queries.titles is None or len(queries) == 0:
        return None
    lower = pc.utf8_lower(queries.titles)
    # Equal titles keep their order: pyarrow's sort does not promise to.
    codes = pc.rank(lower, sort_keys="ascending", tiebreaker="dense")
    return np.argsort(codes.to_numpy(zero_copy_only=False), kind="stable")
