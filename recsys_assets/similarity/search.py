"""How the neighbours are found: exact products, or an index whose recall is measured in the run.

Models that rank by vectors (`Recommender.similar` hands its search to them) can be asked either way;
others answer by themselves. The index is in `models/inverted_lists.py`, exact ranking in
`models/topk.py`, going through the items in `nearest.py`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from recsys_assets.models.inverted_lists import InvertedLists
from recsys_assets.models.topk import Search, top_k_dense
from recsys_assets.playlists import MISSING, Float32, Int32, Int64
from recsys_assets.progress import Progress, silent
from recsys_assets.similarity.nearest import SimilarItems

Method = Literal["auto", "exact", "approximate"]

EXACT_PRODUCTS = 10**12
"""Multiplications up to which auto stays exact: 15 s on two cores."""
LISTS = 2
"""Lists of the index, times the root of the number of vectors."""
MOST_LOOKED_AT = 0.5
"""Share of the vectors looked at from which on an index saves nothing."""
SAMPLE = 1000
"""Items whose exact neighbours the index is calibrated on, and as many others it is measured on."""


@dataclass(frozen=True)
class Plan:
    """How neighbours will be found, and what was measured of it.

    Attributes
    ----------
    search
        For `nearest_items`.
    method
        ``"own"`` (the model has no vectors to search), ``"exact"`` or ``"approximate"``.
    recall
        Share of the exact neighbours that the index found for a sample of items, ties counted as
        found; 1 but for ``"approximate"``.
    looked_at
        Share of the vectors that is looked at for an item.
    """

    search: Search = top_k_dense
    method: Literal["own", "exact", "approximate"] = "exact"
    recall: float = 1.0
    looked_at: float = 1.0


def plan_search(
    model: SimilarItems,
    items: Int32,
    neighbours: int,
    *,
    method: Method,
    recall: float,
    seed: int,
    progress: Progress = silent,
) -> Plan:
    """Choose how to find `neighbours` neighbours of each of `items`.

    The index is calibrated on a sample to miss half of what `recall` allows, and measured on another
    one; while that is below `recall`, it looks at twice as many lists. Where it would have to look at
    half of the vectors, search is exact, also where it was asked to be approximate.

    Parameters
    ----------
    items
        int32[m]: the items whose neighbours are wanted.
    method
        ``"auto"`` is exact up to `EXACT_PRODUCTS`, then approximate.
    recall
        Least share of the exact neighbours that may be found, below 1.
    seed
        Of the samples and of the index.
    """
    asked = _Asked()
    model.similar(items[:1], neighbours, asked)
    if asked.vectors is None:
        return Plan(method="own")
    products = len(items) * asked.vectors.size
    if method == "exact" or (method == "auto" and products <= EXACT_PRODUCTS):
        return Plan()
    shuffled = np.random.default_rng(seed).permutation(items)
    model.similar(shuffled[:SAMPLE], neighbours, learn := _Asked())
    model.similar(shuffled[-SAMPLE:], neighbours, test := _Asked())
    if not learn.queries.any():
        return Plan()
    index = InvertedLists(
        asked.vectors, max(round(LISTS * len(asked.vectors) ** 0.5), 1), seed=seed
    )
    looked_at = index.calibrate(*learn.answered(), (1 + recall) / 2)
    reached = test.recall_of(index)
    while reached < recall and looked_at <= MOST_LOOKED_AT:
        looked_at = index.look_at(2 * index.probes, test.queries)
        reached = test.recall_of(index)
    text = (
        f"similarity: {len(index.vectors):,} vectors in {len(index.centroids):,} lists, of which an "
        f"item looks at {index.probes:,} ({looked_at:.1%} of the vectors); recall {reached:.4f} "
        f"against exact search of {len(test.queries):,} items"
    )
    if looked_at > MOST_LOOKED_AT:
        progress(f"{text}: that saves nothing, so the search is exact")
        return Plan()
    progress(text)
    return Plan(index.search, "approximate", reached, looked_at)


class _Asked:
    """An exact search that remembers what it was asked and what it answered."""

    queries: Float32
    exclude_offsets: Int64
    exclude_rows: Int32
    rows: Int32
    scores: Float32

    def __init__(self) -> None:
        self.vectors: Float32 | None = None

    def __call__(
        self,
        queries: Float32,
        vectors: Float32,
        exclude_offsets: Int64,
        exclude_rows: Int32,
        k: int,
    ) -> tuple[Int32, Float32]:
        self.queries, self.vectors = queries, vectors
        self.exclude_offsets, self.exclude_rows = exclude_offsets, exclude_rows
        self.rows, self.scores = top_k_dense(queries, vectors, exclude_offsets, exclude_rows, k)
        return self.rows, self.scores

    def answered(self) -> tuple[Float32, Int32]:
        """Return the queries that have a vector other than 0, and their answers."""
        some = self.queries.any(axis=1)
        return self.queries[some], self.rows[some]

    def recall_of(self, index: InvertedLists) -> float:
        """Return the share of the answers that an index gives, or others that score no less."""
        _, scores = index.search(
            self.queries,
            index.vectors,
            self.exclude_offsets,
            self.exclude_rows,
            self.scores.shape[1],
        )
        wanted = self.rows != MISSING
        worst = np.where(wanted, self.scores, np.inf).min(axis=1, keepdims=True)
        found = np.minimum((scores >= worst).sum(axis=1), wanted.sum(axis=1)).sum()
        return float(found / max(wanted.sum(), 1))
