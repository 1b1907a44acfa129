"""EASE: a linear model from items to items in closed form, on the most frequent items.

Steck, Embarrassingly shallow autoencoders for sparse data (WWW 2019). The inverse of an item-item
matrix sets the limit: memory grows with the square of the items, time with the cube. The kernel
that counts is in `factor_kernels.py`, ranking by rows in `rows.py`.
"""

from typing import ClassVar

import numpy as np
from pydantic import Field

from recsys_assets.models.base import Hyperparameters
from recsys_assets.models.factor_kernels import count_pairs
from recsys_assets.models.factors import one_blas_thread
from recsys_assets.models.postings import distinct_items
from recsys_assets.models.rows import RowParameters, RowRecommender
from recsys_assets.playlists import (
    Bool,
    Catalog,
    Float32,
    Float64,
    Int32,
    Int64,
    PlaylistSet,
)
from recsys_assets.progress import Progress


class EaseParameters(RowParameters):
    """Hyperparameters of EASE."""

    memory_mb: int = Field(
        default=256,
        ge=1,
        le=1_000_000,
        description="MiB of the item-item matrix: n items take 8 n * n bytes, 256 hold 5,792.",
    )
    regularization: float = Field(
        default=100.0, gt=0, le=1e9, description="Added to the diagonal of the pair counts."
    )
    max_neighbours: int = Field(
        default=400, ge=1, le=10_000, description="Neighbours kept for each item, best first."
    )
    query_items: int = Field(
        default=100, ge=1, le=10_000, description="Latest known items of a query that are used."
    )
    recency_exponent: float = Field(
        default=0.5,
        ge=0,
        le=4,
        description="The n-th latest item of a query weighs n ** -exponent.",
    )


class Ease(RowRecommender):
    """Weighted mean of the query's rows in EASE's item-item matrix.

    As many of the most frequent items as `memory_mb` holds; of others the model has no opinion.
    Of each row the largest positive weights are kept. While it fits, BLAS is held to one thread,
    so the bits do not depend on the cores; they do on the BLAS library and the kind of processor.
    """

    family: ClassVar[str] = "ease"
    parameters_type: ClassVar[type[Hyperparameters]] = EaseParameters
    parameters: EaseParameters

    def _fit(self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress) -> None:
        p = self.parameters
        chosen = np.sort(self.popular[: items_that_fit(p.memory_mb)])
        progress(f"ease: {len(chosen):,} of {len(self.popular):,} items")
        weights = ease_weights(_counts(distinct_items(train, self.size), chosen), p.regularization)
        lengths = np.zeros(self.size, np.int64)
        columns, values = [], []
        for row, item in enumerate(chosen):
            best = _largest(weights[row], p.max_neighbours)
            lengths[item] = len(best)
            columns.append(chosen[best])
            values.append(weights[row, best].astype(np.float32))
        self._items: Int32 = chosen
        self._row_offsets: Int64 = np.concatenate([[0], np.cumsum(lengths)])
        self._row_items: Int32 = np.concatenate(columns)
        self._row_weights: Float32 = np.concatenate(values)

    def _own_bytes(self, train: PlaylistSet, items: int) -> int:
        plays = len(train.items)
        return min(self.parameters.memory_mb * 2**20, 8 * items * items) + 40 * plays

    def known_items(self) -> Bool:
        """bool[size]: the items that are in the matrix."""
        known = np.zeros(self.size, bool)
        known[self._items] = True
        return known

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"items": self._items, **super()._arrays()}

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        self._items = arrays["items"]
        super()._restore(arrays)


def items_that_fit(memory_mb: int) -> int:
    """Return the largest n with 8 n * n bytes in `memory_mb` MiB (the matrix is inverted in place)."""
    return int(np.sqrt(memory_mb * 2**20 / 8))


def ease_weights(gram: Float64, regularization: float) -> Float64:
    """Return EASE's weights ``-P[i, j] / P[j, j]``, 0 on the diagonal, P the regularised inverse.

    Parameters
    ----------
    gram : float64[n, n]
        How many playlists hold both of two items; overwritten by the result.

    Returns
    -------
    float64[n, n]
        Row `i` holds what item `i` says for every other.
    """
    from scipy.linalg import lapack  # noqa: PLC0415  (only fitting needs it)

    size = len(gram)
    gram[np.diag_indices(size)] += regularization
    # gram.T is Fortran-ordered, so LAPACK works in place; its upper triangle is gram's lower one.
    with one_blas_thread():
        factor, failed = lapack.dpotrf(gram.T, lower=0, overwrite_a=1, clean=0)
        if failed:
            raise ArithmeticError(f"LAPACK dpotrf failed with {failed}: the matrix is not definite")
        inverse, failed = lapack.dpotri(factor, lower=0, overwrite_c=1)
        if failed:
            raise ArithmeticError(f"LAPACK dpotri failed with {failed}")
    weights: Float64 = inverse.T
    diagonal = -weights.diagonal()
    for row in range(size):  # row by row: mirroring at once would take a second matrix
        weights[row, row + 1 :] = weights[row + 1 :, row]
    for row in range(size):
        weights[row] /= diagonal
        weights[row, row] = 0.0
    return weights


def _counts(sets: PlaylistSet, chosen: Int32) -> Float64:
    """Return float64[n, n]: how many sets hold both of two of the chosen items (ascending)."""
    place = np.searchsorted(chosen, sets.items)
    keep = chosen[np.minimum(place, len(chosen) - 1)] == sets.items
    offsets = np.concatenate([[0], np.cumsum(keep)])[sets.offsets]
    gram = np.zeros((len(chosen), len(chosen)))
    count_pairs(offsets, place[keep].astype(np.int32), gram)
    return gram


def _largest(values: Float64, count: int) -> Int64:
    """Return where the largest positive values are, best first, ties by place."""
    positive = np.flatnonzero(values > 0)
    if len(positive) > count:
        cut = np.partition(values[positive], len(positive) - count)[len(positive) - count]
        positive = positive[values[positive] >= cut]
    best: Int64 = positive[np.argsort(-values[positive], kind="stable")][:count]
    return best
