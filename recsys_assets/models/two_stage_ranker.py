"""Boosted trees that rank candidates: learned by LightGBM, applied by a kernel of our own.

LightGBM learns; its trees are then plain arrays. A served model so needs neither LightGBM nor its
OpenMP threads, which do not survive a fork, and gives the same bits on any number of threads. What
the trees look at is `two_stage_features.py`.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from recsys_assets.models.kernels import kernel
from recsys_assets.models.quick_forest import QuickForest
from recsys_assets.models.topk import readonly
from recsys_assets.playlists import Float32, Float64, Int32, Int64

THREADS = 2
"""Of LightGBM's training, fixed: a histogram's sums depend on their number, not on the machine."""


@dataclass(frozen=True, eq=False)
class Trees:
    """A forest as flat arrays.

    A node is a split where it is 0 or more, else the leaf ``-1 - node``: the encoding of LightGBM.

    Attributes
    ----------
    roots
        int32[trees].
    features, thresholds, left, right
        int32, float64, int32, int32 [splits]: rows with ``feature <= threshold`` go left.
    leaves
        float64[leaves]: values, of which a row's score is the sum.
    """

    roots: Int32
    features: Int32
    thresholds: Float64
    left: Int32
    right: Int32
    leaves: Float64

    @classmethod
    def none(cls) -> "Trees":
        """Return a forest without trees."""
        empty = np.empty(0, np.int32)
        return cls(empty, empty, np.empty(0), empty, empty, np.empty(0))

    def score(self, rows: Float32) -> Float64:
        """Return float64[n], the scores of finite float32[n, features]."""
        if self._quick is not None:
            return self._quick.score(rows)
        scores = np.empty(len(rows))
        _score_rows(
            readonly(rows), readonly(self.roots), readonly(self.features),
            readonly(self.thresholds), readonly(self.left), readonly(self.right),
            readonly(self.leaves), scores,
        )  # fmt: skip
        return scores

    @cached_property
    def _quick(self) -> QuickForest | None:
        return QuickForest.of(**self.arrays())

    def joined(self, other: "Trees") -> "Trees":
        """Return a forest whose score is the sum of both forests' scores."""
        splits, leaves = len(self.features), len(self.leaves)

        def moved(nodes: Int32) -> Int32:
            return np.where(nodes >= 0, nodes + splits, nodes - leaves).astype(np.int32)

        return Trees(
            np.concatenate([self.roots, moved(other.roots)]),
            np.concatenate([self.features, other.features]),
            np.concatenate([self.thresholds, other.thresholds]),
            np.concatenate([self.left, moved(other.left)]),
            np.concatenate([self.right, moved(other.right)]),
            np.concatenate([self.leaves, other.leaves]),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the forest as named arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@kernel
def _score_rows(
    rows: Float32,
    roots: Int32,
    features: Int32,
    thresholds: Float64,
    left: Int32,
    right: Int32,
    leaves: Float64,
    out: Float64,
) -> None:
    for row in range(len(rows)):
        total = 0.0
        for root in roots:
            node = root
            while node >= 0:
                at_most = rows[row, features[node]] <= thresholds[node]
                node = left[node] if at_most else right[node]
            total += leaves[-1 - node]
        out[row] = total


def fit_trees(
    rows: Float32, labels: Int32, group_sizes: Int64, parameters: dict[str, Any], *, rounds: int
) -> Trees:
    """Learn to put each group's target first; scores have a standard deviation of 1 on `rows`.

    LambdaRank (Burges, From RankNet to LambdaRank to LambdaMART, 2010) or the logistic loss, as
    ``parameters["objective"]`` says.

    Parameters
    ----------
    rows : float32[n, features]
        Finite.
    labels : int32[n]
        1 for a target, else 0.
    group_sizes : int64[groups]
        Rows of each query, in order.
    parameters
        LightGBM's; those that decide reproducibility are added.
    rounds
        Number of trees at most.
    """
    import lightgbm  # noqa: PLC0415  (only training needs it)

    fixed = {
        "num_threads": THREADS,
        "deterministic": True,
        "force_row_wise": True,
        "use_missing": False,
        "feature_pre_filter": False,
        "label_gain": "0,1",
        "verbosity": -1,
    }
    data = lightgbm.Dataset(rows, labels, group=group_sizes)
    booster = lightgbm.train({**parameters, **fixed}, data, rounds)
    trees = _parse(booster.model_to_string())
    spread = float(trees.score(rows).std())
    return trees if spread == 0.0 else replace(trees, leaves=trees.leaves / spread)


def _parse(model: str) -> Trees:
    """Read the trees out of LightGBM's text format."""
    forest = Trees.none()
    for text in model.split("\nTree=")[1:]:
        fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

        def numbers(name: str, kind: type[np.generic], fields: dict[str, str] = fields) -> Any:  # noqa: ANN401
            return np.array(fields.get(name, "").split(), np.float64).astype(kind)

        leaves = numbers("leaf_value", np.float64)
        tree = Trees(
            roots=np.array([0 if len(leaves) > 1 else -1], np.int32),
            features=numbers("split_feature", np.int32),
            thresholds=numbers("threshold", np.float64),
            left=numbers("left_child", np.int32),
            right=numbers("right_child", np.int32),
            leaves=leaves,
        )
        forest = forest.joined(tree)
    return forest
