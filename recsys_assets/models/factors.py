"""What the matrix-factor families share: the playlist matrix, and ranking by item vectors.

A fitted model of theirs is one vector for each item that is frequent enough; families differ in
how they learn the vectors and in how a query becomes one. Kernels are in `factor_kernels.py`, the
ranking itself in `topk.py`; no family's own method belongs here.
"""

from abc import abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from recsys_assets.errors import DataError
from recsys_assets.models import parallel
from recsys_assets.models.base import Recommender
from recsys_assets.models.postings import distinct_items
from recsys_assets.models.topk import Search, check_queries, top_k_dense
from recsys_assets.playlists import MISSING, Bool, Float32, Float64, Int32, Int64, PlaylistSet


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The items that get a vector, and the training playlists in terms of them.

    Attributes
    ----------
    items
        int32[m]: indices into the catalogue, ascending; row `r` of every matrix is ``items[r]``.
    playlists
        int64[m]: how many training playlists hold each of them.
    sets
        The training playlists as sets of rows, each once and ascending; empty ones stay.
    """

    items: Int32
    playlists: Int64
    sets: PlaylistSet

    @classmethod
    def of(cls, train: PlaylistSet, size: int, min_playlists: int, family: str) -> "Vocabulary":
        """Take the items that at least `min_playlists` playlists hold.

        Raises
        ------
        DataError
            If there is none.
        """
        sets = distinct_items(train, size)
        counts = np.bincount(sets.items, minlength=size)
        kept = counts >= min_playlists
        if not kept.any():
            raise DataError(
                f"{family}: expected tracks in at least min_playlists = {min_playlists} training "
                f"playlists, found none (the most frequent is in {counts.max()}); lower "
                "min_playlists in the candidates file or train on more playlists"
            )
        return cls._where(kept, np.arange(size, dtype=np.int32), counts, sets)

    def most_frequent(self, count: int) -> "Vocabulary":
        """Return the `count` items that most playlists hold, ties by the smaller index."""
        if count >= len(self.items):
            return self
        kept = np.zeros(len(self.items), bool)
        kept[np.argsort(-self.playlists, kind="stable")[:count]] = True
        return self._where(kept, self.items, self.playlists, self.sets)

    def within_pairs(self, most: int) -> "Vocabulary":
        """Return the most frequent items of which the playlists hold at most `most` ordered pairs.

        An item counts as a pair with itself; a pair counts in every playlist that holds it, so that
        there are at most so many distinct ones.
        """
        rank = np.empty(len(self.items), np.int32)
        rank[np.argsort(-self.playlists, kind="stable")] = np.arange(len(self.items))
        ranks = rank[self.sets.items]
        owners = np.repeat(np.arange(len(self.sets)), self.sets.lengths)

        def pairs(count: int) -> int:
            lengths = np.bincount(owners[ranks < count], minlength=len(self.sets))
            return int((lengths * lengths).sum())

        low, high = 0, len(self.items)
        if pairs(high) <= most:
            return self
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if pairs(middle) <= most else (low, middle)
        return self.most_frequent(max(low, 1))

    @classmethod
    def _where(cls, kept: Bool, items: Int32, playlists: Int64, sets: PlaylistSet) -> "Vocabulary":
        """Return the rows that `kept` marks, of sets in terms of all rows."""
        new_row = np.cumsum(kept, dtype=np.int32) - np.int32(1)
        keep = kept[sets.items]
        offsets = np.concatenate([[0], np.cumsum(keep)])[sets.offsets]
        rows = np.flatnonzero(kept)
        return cls(items[rows], playlists[rows], PlaylistSet(offsets, new_row[sets.items[keep]]))


@dataclass(frozen=True, eq=False)
class KnownItems:
    """The items of a block of queries that have a vector, in order.

    Attributes
    ----------
    offsets
        int64[n + 1]; query `q` has ``rows[offsets[q]:offsets[q + 1]]``.
    rows
        int32[total]; rows of the item vectors.
    places
        int64[total]; place in the whole query counted from its end, the last item's being 1.
    """

    offsets: Int64
    rows: Int32
    places: Int64

    @classmethod
    def of(cls, offsets: Int64, rows: Int32) -> "KnownItems":
        """Leave out what is `MISSING` in `rows`, int32[offsets[-1]]."""
        at = np.flatnonzero(rows != MISSING)
        ends = np.repeat(offsets[1:], np.diff(offsets))
        return cls(np.searchsorted(at, offsets).astype(np.int64), rows[at], ends[at] - at)

    @property
    def owners(self) -> Int64:
        """int64[total]: the query of each item."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


class FactorRecommender(Recommender):
    """Ranks by the dot product of a query's vector with the items' vectors."""

    @abstractmethod
    def _query_vectors(self, known: KnownItems) -> Float32:
        """Return float32[n, d]; a query's vector must not depend on the others of its block."""

    def _set(self, items: Int32, vectors: Float32) -> None:
        self._items, self._vectors = items, vectors
        self._row_of_item = np.full(self.size + 1, MISSING, np.int32)  # [MISSING] stays MISSING
        self._row_of_item[items] = np.arange(len(items), dtype=np.int32)

    def _rank(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        return self._rank_by(top_k_dense, queries, k)

    def _rank_by(self, search: Search, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        check_queries(queries, self.size)
        query_rows = self._row_of_item[queries.items]
        known = KnownItems.of(queries.offsets, query_rows)
        vectors = self._query_vectors(known)
        rows, scores = search(vectors, self._vectors, queries.offsets, query_rows, k)
        # A product of 0 or less speaks against an item: popular ones are the better guess.
        none = (rows == MISSING) | (scores <= 0)
        return np.where(none, MISSING, self._items[rows]), np.where(none, -np.inf, scores)

    def known_items(self) -> Bool:
        """bool[size]: the items that have a vector."""
        known: Bool = self._row_of_item[: self.size] != MISSING
        return known

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"items": self._items, "vectors": self._vectors}

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        self._set(arrays["items"], arrays["vectors"])


def checked_finite(vectors: Float32 | Float64, family: str, remedy: str) -> Float32:
    """Return float32 vectors, C-contiguous; raise DataError if one is not finite."""
    if not np.isfinite(vectors).all():
        raise DataError(f"{family}: the vectors are not finite; {remedy} in the candidates file")
    return np.ascontiguousarray(vectors, np.float32)


def one_blas_thread() -> AbstractContextManager[None]:
    """Limit BLAS and LAPACK to one thread: the last bits of their results depend on the number."""
    # The limit holds for libraries that are loaded already: scipy brings a BLAS of its own.
    import scipy.linalg  # noqa: F401, PLC0415  (only fitting needs it)

    return parallel.one_blas_thread()
