"""Positive pointwise mutual information of co-occurrence, and its truncated SVD.

Levy & Goldberg, Neural word embedding as implicit matrix factorization (NIPS 2014): what skip-gram
approaches in epochs, in closed form. The SVD is randomised (Halko, Martinsson & Tropp, SIAM Review
2011). scipy is imported only to fit; ranking by vectors is in `factors.py`.
"""

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from recsys_assets.models.base import Hyperparameters
from recsys_assets.models.factors import (
    FactorRecommender,
    KnownItems,
    Vocabulary,
    checked_finite,
    one_blas_thread,
)
from recsys_assets.models.parallel import map_blocks, row_blocks
from recsys_assets.playlists import Catalog, Float32, Float64, PlaylistSet
from recsys_assets.progress import Progress

OVERSAMPLING = 10
POWER_ITERATIONS = 3
BYTES_PER_PAIR = 28
"""Of a stored pair while fitting: 12 of its count, 8 of its information and 8 transposed."""


class PpmiSvdParameters(Hyperparameters):
    """Hyperparameters of PPMI + SVD."""

    factors: int = Field(default=128, ge=1, le=2000, description="Dimensions of a vector.")
    min_playlists: int = Field(
        default=2, ge=1, description="Items in fewer training playlists get no vector."
    )
    memory_mb: int = Field(
        default=2048,
        ge=1,
        le=1_000_000,
        description="MiB of all pairs while fitting; where short, only the most frequent items count.",
    )
    length_exponent: float = Field(
        default=1.0,
        ge=0,
        le=4,
        description="Pairs are divided by their playlist's distinct items to this power.",
    )
    context_exponent: float = Field(
        default=0.75,
        gt=0,
        le=1,
        description="Frequencies of the other item are smoothed by this power; 1 leaves them.",
    )
    singular_exponent: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Dimensions are scaled by their singular value to this power; 0 treats all alike.",
    )
    popularity_exponent: float = Field(
        default=0.3,
        ge=0,
        le=2,
        description="Scores are multiplied by the item's playlists to this power.",
    )
    recency_exponent: float = Field(
        default=1.0,
        ge=0,
        le=4,
        description="The n-th latest item of a query weighs n ** -exponent.",
    )


class PpmiSvd(FactorRecommender):
    """Cosine similarity among PPMI vectors, times a power of popularity.

    A query's vector is the sum of its items' vectors of length 1, the latest weighing most. No
    epochs. While it fits, BLAS is held to one thread, so the bits do not depend on the cores;
    they do on the BLAS library and on the kind of processor.
    """

    family: ClassVar[str] = "ppmi_svd"
    parameters_type: ClassVar[type[Hyperparameters]] = PpmiSvdParameters
    parameters: PpmiSvdParameters

    def _fit(self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress) -> None:
        p = self.parameters
        words = Vocabulary.of(train, self.size, p.min_playlists, self.family)
        words = words.within_pairs(p.memory_mb * 2**20 // BYTES_PER_PAIR)
        matrix = ppmi(cooccurrence(words, p.length_exponent), p.context_exponent)
        progress(f"ppmi_svd: {len(words.items):,} items, {matrix.nnz:,} positive pairs")
        with one_blas_thread():
            left, singular = truncated_svd(matrix, p.factors, seed=seed)
        units = left * singular**p.singular_exponent
        # A row of rounding errors only must not be blown up to a direction.
        lengths = np.linalg.norm(units, axis=1, keepdims=True)
        units = np.where(lengths > 1e-6, units / np.maximum(lengths, 1e-6), 0.0)
        self._set(words.items, checked_finite(units, self.family, "lower factors"))
        self._scale(words.playlists.astype(np.float64) ** p.popularity_exponent)

    def _own_bytes(self, train: PlaylistSet, items: int) -> int:
        p = self.parameters
        whole = BYTES_PER_PAIR * int((train.lengths**2).sum())
        pairs = min(p.memory_mb * 2**20, whole)
        # Fewer pairs leave out more items than that share: the least frequent.
        vectors = items * pairs // max(whole, 1)
        # The randomised SVD holds four matrices of its width.
        return pairs + 16 * (p.factors + OVERSAMPLING) * vectors + 64 * len(train.items)

    def _scale(self, scales: Float64) -> None:
        """Keep unit vectors for queries, and scale those that are ranked."""
        self._units, self._scales = self._vectors, scales
        self._vectors = (self._units * scales[:, None]).astype(np.float32)

    def _query_vectors(self, known: KnownItems) -> Float32:
        vectors = np.zeros((len(known.offsets) - 1, self._units.shape[1]))
        holding = np.flatnonzero(np.diff(known.offsets))
        if len(holding):
            weights = known.places.astype(np.float64) ** -self.parameters.recency_exponent
            weighted = self._units[known.rows] * weights[:, None]
            vectors[holding] = np.add.reduceat(weighted, known.offsets[holding], axis=0)
        return vectors.astype(np.float32)

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"items": self._items, "vectors": self._units, "scales": self._scales}

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        super()._restore(arrays)
        self._scale(arrays["scales"])


def cooccurrence(words: Vocabulary, length_exponent: float) -> Any:  # noqa: ANN401  (scipy)
    """Return the symmetric sparse float64[m, m] of weighted pairs, the diagonal left out.

    A playlist of `l` distinct items of the vocabulary adds ``l ** -length_exponent`` to each of
    its pairs.
    """
    from scipy import sparse  # noqa: PLC0415  (only fitting needs it)

    sets = words.sets
    shape = (len(sets), len(words.items))
    weights = np.maximum(sets.lengths, 1).astype(np.float64) ** -length_exponent
    # With int64 offsets every index of every product would be int64: half as much memory again.
    starts = sets.offsets.astype(sparse.get_index_dtype(maxval=len(sets.items)))
    held = sparse.csr_array((np.ones(len(sets.items)), sets.items, starts), shape=shape)
    repeated = np.repeat(weights, sets.lengths)
    weighted = sparse.csr_array((repeated, sets.items, starts), shape=shape)
    pairs = held.T.tocsr() @ weighted
    pairs.setdiag(0)  # in place: every item of the vocabulary is in a playlist, with itself
    pairs.eliminate_zeros()
    return pairs


def ppmi(pairs: Any, context_exponent: float) -> Any:  # noqa: ANN401  (scipy)
    """Return max(0, log(P(i, j) / (P(i) P_c(j)))) of sparse pair weights, sparse float32[m, m].

    `P_c` is proportional to the power `context_exponent` of the column sums, which keeps rare
    items from scoring highest (Levy, Goldberg & Dagan, TACL 2015).
    """
    from scipy import sparse  # noqa: PLC0415  (only fitting needs it)

    rows = np.repeat(np.arange(pairs.shape[0]), np.diff(pairs.indptr))
    row_sums = np.bincount(rows, pairs.data, pairs.shape[0])
    smoothed = np.bincount(pairs.indices, pairs.data, pairs.shape[1]) ** context_exponent
    # Empty where no playlist holds two items: no entry then divides by it.
    smoothed /= max(smoothed.sum(), np.finfo(np.float64).tiny)
    values = np.log(pairs.data / (row_sums[rows] * smoothed[pairs.indices]))
    positive = np.maximum(values, 0).astype(np.float32)
    matrix = sparse.csr_array(
        (positive, pairs.indices.copy(), pairs.indptr.copy()), shape=pairs.shape
    )
    matrix.eliminate_zeros()  # in place, hence the copies
    return matrix


def truncated_svd(matrix: Any, factors: int, *, seed: int) -> tuple[Float32, Float32]:  # noqa: ANN401
    """Return the largest singular values and their left singular vectors.

    Parameters
    ----------
    matrix
        Sparse float32[m, m].
    factors
        How many at most: `m`, or the numerical rank, may be fewer.

    Returns
    -------
    left : float32[m, d]
    singular : float32[d]
        Falling.
    """
    size = matrix.shape[0]
    width = min(size, factors + OVERSAMPLING)
    probes = np.random.default_rng(seed).standard_normal((size, width)).astype(np.float32)
    turned = matrix.T.tocsr()
    basis = np.linalg.qr(_product(matrix, probes))[0]
    for _ in range(POWER_ITERATIONS):
        basis = np.linalg.qr(_product(matrix, _product(turned, basis)))[0]
    inner, singular, _ = np.linalg.svd(_product(turned, basis).T, full_matrices=False)
    rank = min(factors, int(np.count_nonzero(singular > 1e-5 * singular[0])))
    return basis @ inner[:, :rank], singular[:rank]


def _product(matrix: Any, dense: Float32) -> Float32:  # noqa: ANN401  (scipy)
    """Return ``matrix @ dense``, blocks of rows in threads (scipy releases the GIL)."""
    blocks = row_blocks(matrix.shape[0], per_thread=8)
    return np.concatenate(map_blocks(lambda block: matrix[slice(*block)] @ dense, blocks))
