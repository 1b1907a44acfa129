"""Approximate nearest vectors: an index of inverted lists, searched a block of queries at a time.

Jégou, Douze & Schmid, Product quantization for nearest neighbor search (PAMI 2011), section IV, with
whole vectors in the lists: k-means divides the vectors, a query looks at the lists nearest to it
alone. How many those are is calibrated on exact answers. Exact ranking is in `topk.py`; when to use
which is decided in `similarity/search.py`.
"""

import numpy as np

from recsys_assets.models.kernels import push_tile, refine_rows, sort_rows
from recsys_assets.models.parallel import map_blocks, one_blas_thread
from recsys_assets.models.topk import SPARE, readonly
from recsys_assets.playlists import MISSING, Bool, Float32, Int32, Int64

UNIT = 4096
"""Queries, or vectors, that one thread takes at a time: fixed, since a product's bits depend on it."""
TRAINING = 32
"""Vectors that k-means learns from, for each list."""
SPREAD = 0.2
"""What a list's spread counts beside its centroid, where lists go by dot product. Implicit ALS on
120,000 sessions, 471 lists, 99 % of the answers: 6 % of the vectors looked at; without it 89 %."""
ROUNDS = 10
"""Rounds of k-means."""


class InvertedLists:
    """Vectors in the lists of their nearest centroids, and how many lists a query looks at.

    The same vectors and seed give the same answers whatever the number of threads: each product
    has a fixed shape and one BLAS thread. On another BLAS library centroids may differ in their last
    bits, and with them which neighbours are missed; scores are exact always.

    Parameters
    ----------
    vectors : float32[m, d]
        Finite, m at least 1.
    lists
        Number of lists wanted, at least 1; fewer where there are fewer vectors.
    seed
        Of the choice of k-means' training vectors.
    """

    def __init__(self, vectors: Float32, lists: int, *, seed: int) -> None:
        self.vectors = vectors
        lists = min(lists, len(vectors))
        with one_blas_thread():
            self.centroids = _k_means(vectors, lists, np.random.default_rng(seed))
            assigned = _nearest(vectors, self.centroids)
        self.list_of = assigned
        self.order = np.argsort(assigned, kind="stable").astype(np.int32)
        self.offsets = np.concatenate([[0], np.cumsum(np.bincount(assigned, minlength=lists))])
        self._grouped = vectors[self.order]
        strays = _square_distances(vectors, self.centroids, assigned)
        sizes = np.maximum(np.diff(self.offsets), 1)
        self._spread = np.sqrt(np.bincount(assigned, strays, lists) / sizes).astype(np.float32)
        self.probes, self._by_distance = lists, False

    def calibrate(self, queries: Float32, rows: Int32, recall: float) -> float:
        """Choose how lists are ordered and how many are looked at, from exact answers.

        Parameters
        ----------
        queries : float32[s, d]
        rows : int32[s, k]
            Their exact answers, `MISSING` where there are fewer.
        recall
            Share of the answers that must lie in the lists looked at.

        Returns
        -------
        The share of all vectors that a query of these looks at.
        """
        least = np.inf
        best = self.probes, self._by_distance
        # By distance (of vectors of one length the better), or by dot product (where long vectors
        # are answers to everything): the one that looks at less.
        for self._by_distance in (True, False):
            near = np.argsort(self._badness(queries), axis=1, kind="stable")
            place = np.empty_like(near)
            np.put_along_axis(place, near, np.arange(near.shape[1])[None, :], axis=1)
            places = np.take_along_axis(place, self.list_of[rows], axis=1)[rows != MISSING]
            probes = int(np.quantile(places, recall, method="higher")) + 1 if len(places) else 1
            share = self._share(near[:, :probes])
            if share < least:
                least, best = share, (probes, self._by_distance)
        self.probes, self._by_distance = best
        return least

    def look_at(self, lists: int, queries: Float32) -> float:
        """Look at so many lists from now on; return the share of all vectors that `queries` do."""
        self.probes = min(lists, len(self.centroids))
        return self._share(self._nearest_lists(queries))

    def _share(self, lists: Int64) -> float:
        return float(np.diff(self.offsets)[lists].sum(axis=1).mean() / len(self.vectors))

    def _nearest_lists(self, queries: Float32) -> Int64:
        """Return the lists that each query looks at, int64[n, probes], in no order."""
        badness = self._badness(queries)
        return np.argpartition(badness, self.probes - 1, axis=1)[:, : self.probes]

    def _badness(self, queries: Float32) -> Float32:
        """Return float32[n, lists]: the smaller, the sooner a query looks at a list."""
        # In calibration too, since how many lists are looked at may hang on a product's last bits.
        with one_blas_thread():
            products = queries @ self.centroids.T
        if self._by_distance:
            return _half_squares(self.centroids) - products
        lengths = np.linalg.norm(queries, axis=1, keepdims=True)
        badness: Float32 = -products - np.float32(SPREAD) * lengths * self._spread
        return badness

    def search(
        self,
        queries: Float32,
        vectors: Float32,
        exclude_offsets: Int64,
        exclude_rows: Int32,
        k: int,
    ) -> tuple[Int32, Float32]:
        """Find nearly the `k` vectors with the largest dot products: `topk.top_k_dense`, for less.

        Scores are exact, and so is the order of what is found. `MISSING` also stands where the lists
        looked at hold too few.

        Raises
        ------
        ValueError
            If `vectors` are not those that the index was made of.
        """
        if vectors is not self.vectors:
            raise ValueError("the index was made of other vectors than those to be searched")
        rows = np.full((len(queries), k), MISSING, np.int32)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        fixed = readonly(exclude_rows)

        def answer(start: int) -> None:
            part = slice(start, start + UNIT)
            offsets = readonly(exclude_offsets[start : start + UNIT + 1])
            unit = np.ascontiguousarray(queries[part])
            self._search_unit(unit, offsets, fixed, rows[part], scores[part])

        with one_blas_thread():
            map_blocks(answer, range(0, len(queries), UNIT))
        return rows, scores

    def _search_unit(
        self,
        queries: Float32,
        exclude_offsets: Int64,
        exclude_rows: Int32,
        rows: Int32,
        scores: Float32,
    ) -> None:
        """Fill `rows` and `scores` for one unit, in one thread."""
        n, kept = len(queries), rows.shape[1] + SPARE
        heap_scores, heap_rows = np.empty((n, kept), np.float32), np.empty((n, kept), np.int32)
        sizes, found = np.zeros(n, np.int64), np.zeros(n, np.int64)
        lists = len(self.centroids)
        nearest = self._nearest_lists(queries)
        # From the lists of each query to the queries of each list.
        by_list = np.argsort(nearest.ravel(), kind="stable")
        bounds = np.concatenate([[0], np.cumsum(np.bincount(nearest.ravel(), minlength=lists))])
        asking = by_list // self.probes
        for at in range(lists):
            of = asking[bounds[at] : bounds[at + 1]]
            members = slice(self.offsets[at], self.offsets[at + 1])
            if len(of) == 0 or members.start == members.stop:
                continue
            tile = queries[of] @ self._grouped[members].T
            push_tile(
                tile, readonly(self.order[members]), of, exclude_offsets, exclude_rows, heap_scores,
                heap_rows, sizes,
            )  # fmt: skip
        # Nothing of what the lists hold has to be proven complete: no bound on the errors.
        unbounded = np.full(n, -np.inf, np.float32)
        refine_rows(
            queries, readonly(self.vectors), heap_scores, heap_rows, sizes, unbounded, rows, scores,
            found, np.empty(n, np.float32), 0, n,
        )  # fmt: skip
        sort_rows(rows, scores, found, 0, n)


def _half_squares(centroids: Float32) -> Float32:
    squares: Float32 = np.square(centroids).sum(axis=1) / np.float32(2)
    return squares


def _nearest(vectors: Float32, centroids: Float32) -> Int64:
    """Return the centroid at the least distance from each vector, int64[m]."""
    penalty = _half_squares(centroids)
    parts = map_blocks(
        lambda start: np.argmin(penalty - vectors[start : start + UNIT] @ centroids.T, axis=1),
        range(0, len(vectors), UNIT),
    )
    return np.concatenate(parts)


def _square_distances(vectors: Float32, centroids: Float32, of: Int64) -> Float32:
    """Return float32[m]: of each vector from its centroid; at once, all vectors would be copied."""

    def distances(start: int) -> Float32:
        part = slice(start, start + UNIT)
        squares: Float32 = np.square(vectors[part] - centroids[of[part]]).sum(axis=1)
        return squares

    return np.concatenate(map_blocks(distances, range(0, len(vectors), UNIT)))


def _k_means(vectors: Float32, lists: int, random: np.random.Generator) -> Float32:
    """Return centroids float32[lists, d] after `ROUNDS` rounds; one that loses all stays."""
    count = min(len(vectors), TRAINING * lists)
    sample = vectors[np.sort(random.choice(len(vectors), count, replace=False))]
    centroids = sample[np.sort(random.choice(count, lists, replace=False))]
    for _ in range(ROUNDS):
        assigned = _nearest(sample, centroids)
        order = np.argsort(assigned, kind="stable")
        counts = np.bincount(assigned, minlength=lists)
        held: Bool = counts > 0
        starts = np.concatenate([[0], np.cumsum(counts)])[:-1][held]
        sums = np.add.reduceat(sample[order].astype(np.float64), starts, axis=0)
        centroids = centroids.copy()
        centroids[held] = sums / counts[held, None]
    return centroids
