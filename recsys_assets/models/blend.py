"""Blend: a weighted sum of what several recommenders say, by score or by rank.

The sum, and the search of weights on playlists held out of train. Members stand in `members.py`, the
union of their candidates in `pools.py`; re-ranking by learned trees is `two_stage.py`.
"""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from recsys_assets.models.folds import FoldNumbers, folds_of, truncated
from recsys_assets.models.members import (
    QUERY_BLOCK,
    Ensemble,
    EnsembleParameters,
    Member,
    default_members,
)
from recsys_assets.models.pools import Pool
from recsys_assets.models.topk import check_queries
from recsys_assets.playlists import Bool, Catalog, Float32, Float64, Int32, Int64, PlaylistSet
from recsys_assets.progress import Progress, Ticker

PLACES = 100
"""The search maximises hit rate at this many places, the metric that candidates are selected by."""
FACTORS = (0.0, 0.25, 0.5, 0.8, 1.25, 2.0, 4.0)
"""What the search multiplies one weight by at a time."""


class BlendParameters(EnsembleParameters):
    """Hyperparameters of a weighted combination."""

    members: list[Member] = Field(
        default_factory=default_members,
        min_length=1,
        max_length=30,
        description="The recommenders that are combined: a list of family and parameters.",
    )
    combine: Literal["score", "rank"] = Field(
        default="score",
        description="Add up scores over the member's best of the query, or reciprocal ranks.",
    )
    rank_constant: float = Field(
        default=60.0, ge=0, le=10_000, description="Reciprocal ranks are 1 / (constant + rank)."
    )
    weights: list[float] = Field(
        default=[], description="One for each member, at least 0; none: fitted on a part of train."
    )
    held_out: float = Field(
        default=0.2, gt=0, le=0.5, description="Share of train on which weights are fitted."
    )
    fit_playlists: int = Field(
        default=5000,
        ge=1,
        description="Most held-out playlists on which weights are fitted, drawn at random.",
    )
    passes: int = Field(
        default=3, ge=1, le=100, description="Times that the search goes through all weights."
    )

    @field_validator("weights")
    @classmethod
    def _one_weight_each(cls, weights: list[float], info: ValidationInfo) -> list[float]:
        count = len(info.data.get("members", weights))
        if weights and (len(weights) != count or min(weights) < 0 or max(weights) == 0):
            raise ValueError(
                f"expected {count} numbers, one for each member, none below 0 and not all 0, or an "
                f"empty list; found {weights}"
            )
        return weights


class Blend(Ensemble):
    """The members' candidates, ranked by the weighted sum of their scores or reciprocal ranks.

    Scores are divided by the member's best score for the query, and count from 0 up; CombSUM (Fox &
    Shaw, Combination of multiple searches, TREC-2, 1994). By rank: reciprocal rank fusion (Cormack,
    Clarke & Buettcher, SIGIR 2009). Weights that are not given are fitted: members learn from a
    part of train, and a coordinate search maximises the hit rate at 100 on the last tracks of the
    rest, the mean reciprocal rank deciding ties; members are then refitted on all of train.
    """

    family: ClassVar[str] = "blend"
    parameters_type: ClassVar[type[EnsembleParameters]] = BlendParameters
    parameters: BlendParameters

    def _fit(self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress) -> None:
        if self.parameters.weights:
            self._weights = np.array(self.parameters.weights)
        else:
            self._weights = self._fitted_weights(train, catalog, seed=seed, progress=progress)
        progress(f"weights: {', '.join(f'{weight:g}' for weight in self._weights)}")
        self._members = self._fitted_members(train, catalog, seed=seed, progress=progress)

    def _fitted_weights(
        self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress
    ) -> Float64:
        """Return the best weights found on playlists held out of `train`."""
        weights = np.ones(len(self.parameters.members))
        rng = np.random.default_rng(seed)
        fold = folds_of(len(train), round(1 / self.parameters.held_out), rng)
        rest = train.take(np.flatnonzero(fold != 0))
        held = np.flatnonzero((fold == 0) & (train.lengths > 1))
        if len(weights) == 1 or len(held) == 0 or len(rest.items) == 0:
            progress("weights: nothing to fit them on, all count alike")
            return weights
        numbers = FoldNumbers.of(rest, self.size, rng)
        if len(held) > self.parameters.fit_playlists:
            held = np.sort(rng.choice(held, self.parameters.fit_playlists, replace=False))
        queries, targets = truncated(train, held, train.lengths[held] - 1)
        queries, targets = numbers.playlists(queries), numbers.numbers[targets]
        members = self.kept.part(
            "members of the rest",
            (seed, self.parameters.held_out, self.parameters.members),
            lambda: self._fit_members(
                numbers.playlists(rest), numbers.catalog(catalog), seed=seed, progress=progress
            ),
        )
        pools, hits = [], []
        ticker = Ticker(progress, "held-out queries ranked", len(queries))
        for low in range(0, len(queries), QUERY_BLOCK):
            pool = self._pool(
                members, queries.slice(low, low + QUERY_BLOCK), self.parameters.per_member
            )
            hit = pool.items == targets[low : low + QUERY_BLOCK][pool.owners]
            held_rows = np.bincount(pool.owners[hit], minlength=len(pool.offsets) - 1) > 0
            keep = held_rows[pool.owners]
            pools.append(pool.where(keep))
            hits.append(hit[keep])
            ticker.done(low + len(pool.offsets) - 1)

        def quality(candidate: Float64) -> tuple[int, float]:
            ranks = np.concatenate(
                [
                    _target_ranks(pool, self._values(pool, candidate), hit)
                    for pool, hit in zip(pools, hits, strict=True)
                ]
            )
            return int((ranks <= PLACES).sum()), float((1.0 / ranks).sum())

        best = quality(weights)
        for _ in range(self.parameters.passes):
            before = best
            for member in range(len(weights)):
                for factor in FACTORS:
                    candidate = weights.copy()
                    candidate[member] = (weights[member] or weights.max()) * factor
                    if candidate.any() and (found := quality(candidate)) > best:
                        best, weights = found, candidate
            if best == before:
                break
        scaled: Float64 = weights / weights.max()
        return scaled

    def _values(self, pool: Pool, weights: Float64) -> Float32:
        """Return the float32[rows] scores of a pool: sums in the members' order."""
        if self.parameters.combine == "rank":
            parts = pool.reciprocal_ranks(self.parameters.rank_constant)
        else:
            parts = pool.relative.astype(np.float64)
        values = np.zeros(len(parts))
        for member, weight in enumerate(weights):
            values += weight * parts[:, member]
        return values.astype(np.float32)

    def _rank(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        check_queries(queries, self.size)
        proposed = max(self.parameters.per_member, k)
        return self._best_of_pools(
            queries, k, proposed, 0, lambda _, pool: self._values(pool, self._weights)
        )

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"weights": self._weights, **self._member_arrays()}

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        self._weights = arrays["weights"]
        self._restore_members(arrays)


def _target_ranks(pool: Pool, values: Float32, hit: Bool) -> Float64:
    """Return the place of each query's target (`hit`) in its pool, ties by the smaller index."""
    owners = pool.owners
    of_target = np.full(len(pool.offsets) - 1, np.inf, np.float32)
    item_of_target = np.full(len(pool.offsets) - 1, -1, np.int32)
    of_target[owners[hit]] = values[hit]
    item_of_target[owners[hit]] = pool.items[hit]
    ahead = (values > of_target[owners]) | (
        (values == of_target[owners]) & (pool.items < item_of_target[owners])
    )
    counts: Int64 = np.bincount(owners[ahead], minlength=len(of_target))
    return 1.0 + counts[owners[hit]].astype(np.float64)
