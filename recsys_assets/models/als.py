"""Alternating least squares: implicit feedback, and the explicit form that a tutorial uses.

Implicit: Hu, Koren & Volinsky (ICDM 2008), with the `implicit` library, imported only to fit; tuned
well it keeps up with far newer models (Rendle et al., RecSys 2022). Explicit: Zhou et al., ALS-WR
(AAIM 2008), as in Spark's MLlib, on counts. Queries of both are folded in by one least-squares
solve each, so that new playlists need no training; kernels are in `factor_kernels.py`.
"""

from functools import partial
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from recsys_assets.models.base import Hyperparameters
from recsys_assets.models.factor_kernels import solve_rows
from recsys_assets.models.factors import (
    FactorRecommender,
    KnownItems,
    Vocabulary,
    checked_finite,
    one_blas_thread,
)
from recsys_assets.models.parallel import map_blocks, row_blocks, thread_count
from recsys_assets.models.topk import readonly
from recsys_assets.playlists import Catalog, Float32, Float64, Int32, Int64, PlaylistSet
from recsys_assets.progress import Progress


class AlsParameters(Hyperparameters):
    """Hyperparameters of alternating least squares."""

    feedback: Literal["implicit", "explicit"] = Field(
        default="implicit",
        description="implicit: absence counts against an item; explicit: fits observed counts only.",
    )
    factors: int = Field(default=128, ge=1, le=1000, description="Dimensions of a vector.")
    iterations: int = Field(default=12, ge=1, le=1000, description="Passes over both sides.")
    regularization: float = Field(
        default=0.05,
        gt=0,
        le=1e6,
        description="Ridge; explicit multiplies it by the number of a row's observations.",
    )
    alpha: float = Field(
        default=10.0,
        gt=0,
        le=1e6,
        description="implicit: what is in a playlist counts 1 + alpha, what is not counts 1.",
    )
    min_playlists: int = Field(
        default=2, ge=1, description="Items in fewer training playlists get no vector."
    )
    max_items: int = Field(
        default=300_000,
        ge=1,
        description="Only so many of the most frequent items get a vector, of 4 bytes a factor.",
    )
    recency_exponent: float = Field(
        default=0.9,
        ge=0,
        le=4,
        description="implicit: the n-th latest item of a query weighs n ** -exponent, mean 1.",
    )


class Als(FactorRecommender):
    """Dot products of folded-in queries with the item factors of alternating least squares.

    The same seed and input give the same bits, whatever the number of threads: every row is solved
    by itself, and BLAS is held to one thread while the model fits. They do depend on the BLAS
    library and on the kind of processor. Explicit feedback fits what is there and never learns
    from absence: where every count is 1 it has next to nothing to learn.
    """

    family: ClassVar[str] = "als"
    parameters_type: ClassVar[type[Hyperparameters]] = AlsParameters
    parameters: AlsParameters

    def _fit(self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress) -> None:
        p = self.parameters
        words = Vocabulary.of(train, self.size, p.min_playlists, self.family)
        words = words.most_frequent(p.max_items)
        with one_blas_thread():
            if p.feedback == "implicit":
                vectors = _implicit_factors(words, p, seed=seed, progress=progress)
            else:
                counts = _counts_of_rows(train, words, self.size)
                vectors = _explicit_factors(words, counts, p, seed=seed, progress=progress)
            vectors = checked_finite(vectors, self.family, "raise regularization")
            wide = vectors.astype(np.float64)
            # Stored: every process that loads the model folds in with the same bits.
            self._gram = wide.T @ wide if p.feedback == "implicit" else np.zeros((p.factors,) * 2)
        self._set(words.items, vectors)

    def _own_bytes(self, train: PlaylistSet, items: int) -> int:
        frequent = np.count_nonzero(np.bincount(train.items) >= self.parameters.min_playlists)
        vectors = min(int(frequent), self.parameters.max_items)
        # float32 vectors of both sides, those of the items in float64 once.
        return self.parameters.factors * (12 * vectors + 4 * len(train)) + 64 * len(train.items)

    def _query_vectors(self, known: KnownItems) -> Float32:
        p = self.parameters
        if p.feedback == "explicit":
            offsets, rows, counts = _counted(known.offsets, known.rows, len(self._items))
            ridge = p.regularization * np.diff(offsets)
            return _solved(
                offsets, rows, np.ones(len(rows)), counts, self._vectors, self._gram, ridge
            )
        weights = known.places.astype(np.float64) ** -p.recency_exponent
        lengths = np.diff(known.offsets)
        holding = np.flatnonzero(lengths)
        if len(holding):
            means = np.add.reduceat(weights, known.offsets[holding]) / lengths[holding]
            weights /= np.repeat(means, lengths[holding])
        confidence = p.alpha * weights
        ridge = np.full(len(lengths), p.regularization)
        return _solved(
            known.offsets, known.rows, confidence, 1 + confidence, self._vectors, self._gram, ridge
        )

    def _arrays(self) -> dict[str, np.ndarray]:
        return {**super()._arrays(), "gram": self._gram}

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        super()._restore(arrays)
        self._gram = arrays["gram"]


def _solved(
    offsets: Int64,
    columns: Int32,
    weights: Float64,
    targets: Float64,
    vectors: Float32,
    base: Float64,
    ridge: Float64,
) -> Float32:
    """Return float32[n, d]: every row's least-squares solution (see `solve_rows`)."""
    out = np.empty((len(offsets) - 1, vectors.shape[1]), np.float32)
    work = partial(
        _solve_block, readonly(offsets), readonly(columns), weights, targets, readonly(vectors),
        readonly(base), ridge, out,
    )  # fmt: skip
    map_blocks(work, row_blocks(len(out), per_thread=8))
    return out


def _solve_block(
    offsets: Int64,
    columns: Int32,
    weights: Float64,
    targets: Float64,
    vectors: Float32,
    base: Float64,
    ridge: Float64,
    out: Float32,
    block: tuple[int, int],
) -> None:
    solve_rows(*block, offsets, columns, weights, targets, vectors, base, ridge, out)


def _implicit_factors(
    words: Vocabulary, p: AlsParameters, *, seed: int, progress: Progress
) -> Float32:
    """Return float32[m, factors] from the `implicit` library's conjugate-gradient solver."""
    from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415  (not needed to rank)
    from scipy import sparse  # noqa: PLC0415

    sets = words.sets
    # The library takes a confidence c for what is there, and 1 for what is not: c is 1 + alpha.
    confidence = np.full(len(sets.items), 1 + p.alpha, np.float32)
    matrix = sparse.csr_matrix(
        (confidence, sets.items, sets.offsets), shape=(len(sets), len(words.items))
    )
    model = AlternatingLeastSquares(
        factors=p.factors, regularization=p.regularization, alpha=1.0, iterations=p.iterations,
        random_state=seed, num_threads=thread_count(),
    )  # fmt: skip
    model.fit(
        matrix,
        show_progress=False,
        callback=lambda done, _seconds, _loss: progress(
            f"als: iteration {done + 1} of {p.iterations}"
        ),
    )
    vectors: Float32 = model.item_factors
    return vectors


def _explicit_factors(
    words: Vocabulary, counts: Float64, p: AlsParameters, *, seed: int, progress: Progress
) -> Float32:
    """Return float32[m, factors]: items solved from playlists, playlists from items, in turns.

    Playlists start as random unit vectors, as in Spark. A row of `n` observations has the ridge
    ``n * regularization``.
    """
    sets = words.sets
    order = np.argsort(sets.items, kind="stable")
    owners = np.repeat(np.arange(len(sets), dtype=np.int32), sets.lengths)[order]
    item_offsets = np.concatenate([[0], np.cumsum(words.playlists)])
    ones, none = np.ones(len(sets.items)), np.zeros((p.factors, p.factors))
    start = np.random.default_rng(seed).standard_normal((len(sets), p.factors))
    playlists = (start / np.linalg.norm(start, axis=1, keepdims=True)).astype(np.float32)

    def items_of(playlists: Float32) -> Float32:
        ridge = p.regularization * words.playlists.astype(np.float64)
        return _solved(item_offsets, owners, ones, counts[order], playlists, none, ridge)

    def playlists_of(items: Float32) -> Float32:
        ridge = p.regularization * sets.lengths.astype(np.float64)
        return _solved(sets.offsets, sets.items, ones, counts, items, none, ridge)

    items = items_of(playlists)
    for iteration in range(1, p.iterations):
        progress(f"als: iteration {iteration} of {p.iterations}")
        items = items_of(playlists_of(items))
    return items


def _counted(offsets: Int64, rows: Int32, size: int) -> tuple[Int64, Int32, Float64]:
    """Return lists of rows with every row once, ascending, and how often each occurred."""
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    pairs = np.sort(owner * size + rows)
    first = np.flatnonzero(np.r_[True, pairs[1:] != pairs[:-1]][: len(pairs)])
    counts = np.diff(np.append(first, len(pairs))).astype(np.float64)
    kept = pairs[first]
    distinct = np.searchsorted(kept // size, np.arange(len(offsets))).astype(np.int64)
    return distinct, (kept % size).astype(np.int32), counts


def _counts_of_rows(train: PlaylistSet, words: Vocabulary, size: int) -> Float64:
    """Return, for every entry of ``words.sets``, how often its playlist holds the item."""
    _, items, counts = _counted(train.offsets, train.items, size)
    kept: Float64 = counts[np.isin(items, words.items)]
    return kept
