"""Word2vec on playlists: tracks as words, playlists as sentences, through gensim.

Mikolov et al., Distributed representations of words and phrases (NIPS 2013); for items Grbovic et
al., E-commerce in your inbox (KDD 2015). Training is gensim's, imported only there: a fitted model
is normalised vectors with their items, and ranks without gensim. Dense ranking is in `topk.py`.
"""

import itertools
from collections.abc import Iterator
from types import TracebackType
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from recsys_assets.errors import DataError
from recsys_assets.models.base import Hyperparameters, Recommender
from recsys_assets.models.topk import check_queries, top_k_dense
from recsys_assets.playlists import (
    MISSING,
    Bool,
    Catalog,
    Float32,
    Float64,
    Int32,
    Int64,
    PlaylistSet,
)
from recsys_assets.progress import Progress

LONGEST_SENTENCE = 10_000
"""gensim drops, silently, what a sentence holds beyond this (MAX_WORDS_IN_BATCH)."""


class Word2VecParameters(Hyperparameters):
    """Hyperparameters of word2vec; names and meanings are gensim's where it has them."""

    vector_size: int = Field(default=100, ge=1, le=2000, description="Dimensions of a vector.")
    window: int = Field(
        default=30, ge=1, le=10_000, description="Largest distance between two items of a pair."
    )
    min_count: int = Field(
        default=10, ge=1, description="Items with fewer plays in training get no vector."
    )
    epochs: int = Field(default=30, ge=1, le=10_000, description="Passes over the playlists.")
    sg: Literal[0, 1] = Field(default=1, description="1: skip-gram; 0: CBOW.")
    negative: int = Field(default=5, ge=1, le=100, description="Noise items drawn for each pair.")
    ns_exponent: float = Field(
        default=0.75,
        ge=-2,
        le=2,
        description="Noise is drawn by plays to this power: 1 by plays, 0 evenly, < 0 rare first.",
    )
    alpha: float = Field(default=0.05, gt=0, le=1, description="Learning rate at the start.")
    sample: float = Field(
        default=0.0001,
        ge=0,
        le=1,
        description="Items with a larger share of all plays are thinned out; 0 keeps all.",
    )
    query: Literal["last", "recency_mean"] = Field(
        default="recency_mean",
        description="A query's vector: its last known item's, or the recency-weighted mean.",
    )
    half_life: float = Field(
        default=5.0,
        gt=0,
        le=10_000,
        description="recency_mean: an item so many places earlier weighs half.",
    )
    workers: int = Field(
        default=1, ge=1, le=256, description="gensim's threads; only 1 gives the same bits again."
    )


class Word2Vec(Recommender):
    """Cosine similarity with the query's vector among word2vec vectors of items.

    The same seed and input give the same bits with `workers` 1, the default, alone: more of
    gensim's threads update the vectors without locks, in whatever order they run.
    """

    family: ClassVar[str] = "word2vec"
    parameters_type: ClassVar[type[Hyperparameters]] = Word2VecParameters
    parameters: Word2VecParameters

    def _fit(self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress) -> None:
        p = self.parameters
        plays = np.bincount(train.items, minlength=self.size)
        order = np.argsort(-plays, kind="stable")
        vocabulary = order[plays[order] >= p.min_count]
        if len(vocabulary) == 0:
            raise DataError(
                f"word2vec: expected tracks with at least min_count = {p.min_count} plays in "
                f"training, found none (the most played has {plays.max()}); lower min_count in the "
                "candidates file or train on more playlists"
            )
        sentences = _Sentences(train, plays >= p.min_count)
        vectors = _train(sentences, {int(i): int(plays[i]) for i in vocabulary}, p, seed, progress)
        if not np.isfinite(vectors).all():
            raise DataError(
                f"word2vec: the vectors are not finite after {p.epochs} epochs at alpha = "
                f"{p.alpha}; lower alpha in the candidates file"
            )
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
        by_index = np.argsort(vocabulary)
        normalised = vectors / np.maximum(lengths, np.finfo(np.float64).tiny)
        self._set(vocabulary[by_index].astype(np.int32), normalised[by_index].astype(np.float32))

    def _own_bytes(self, train: PlaylistSet, items: int) -> int:
        # gensim's two matrices, the unit vectors in float64, and its dictionary of 400 bytes a word.
        words = int(np.count_nonzero(np.bincount(train.items) >= self.parameters.min_count))
        return words * (20 * self.parameters.vector_size + 400) + 24 * len(train.items)

    def _set(self, items: Int32, vectors: Float32) -> None:
        self._items, self._vectors = items, vectors
        self._row_of_item = np.full(self.size + 1, MISSING, np.int32)  # [MISSING] stays MISSING
        self._row_of_item[items] = np.arange(len(items), dtype=np.int32)

    def _rank(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        check_queries(queries, self.size)
        query_rows = self._row_of_item[queries.items]
        vectors, known = self._query_vectors(queries.offsets, query_rows)
        rows, scores = top_k_dense(vectors, self._vectors, queries.offsets, query_rows, k)
        items = np.where(rows == MISSING, MISSING, self._items[rows])
        items[~known], scores[~known] = MISSING, -np.inf
        return items, scores

    def _query_vectors(self, offsets: Int64, rows: Int32) -> tuple[Float32, Bool]:
        """Return unit vectors float32[n, d], and which queries have one (hold a known item)."""
        n = len(offsets) - 1
        at = np.flatnonzero(rows != MISSING)
        owner = np.searchsorted(offsets, at, side="right") - 1
        known = np.zeros(n, bool)
        known[owner] = True
        ends = np.searchsorted(owner, np.arange(n), side="right")
        age = ends[owner] - 1 - np.arange(len(at))  # 0 for the last known item of its query
        if self.parameters.query == "last":
            at, owner, age = at[age == 0], owner[age == 0], age[age == 0]
        weights = 0.5 ** (age / self.parameters.half_life)
        keep = weights > 1e-6  # spares the head of very long queries
        at, owner, weights = at[keep], owner[keep], weights[keep]
        vectors: Float64 = np.zeros((n, self._vectors.shape[1]))
        if len(at):
            starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
            weighted = self._vectors[rows[at]] * weights[:, None]
            vectors[owner[starts]] = np.add.reduceat(weighted, starts, axis=0)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.maximum(lengths, np.finfo(np.float64).tiny)).astype(np.float32), known

    def known_items(self) -> Bool:
        """bool[size]: the items that have a vector."""
        known: Bool = self._row_of_item[: self.size] != MISSING
        return known

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"items": self._items, "vectors": self._vectors}

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        self._set(arrays["items"], arrays["vectors"])


class _Sentences:
    """Training playlists as lists of item indices, without items that get no vector."""

    def __init__(self, train: PlaylistSet, known: Bool) -> None:
        keep = known[train.items]
        self._items = train.items[keep]
        ends = np.concatenate([[0], np.cumsum(keep)])[train.offsets]
        longest = LONGEST_SENTENCE
        self._bounds = [
            (start, min(start + longest, int(stop)))
            for first, stop in itertools.pairwise(ends)
            for start in range(int(first), int(stop), longest)
        ]

    def __len__(self) -> int:
        return len(self._bounds)

    def __iter__(self) -> Iterator[list[int]]:
        # Lists, never arrays: on an array gensim's thread dies and its train() never returns.
        for start, stop in self._bounds:
            yield self._items[start:stop].tolist()


class _Guard:
    """Carries the first error out of gensim's threads.

    An exception in one of them ends that thread only, and gensim's main thread waits for it for
    ever. As a context manager around their work it stores the exception for `check` to raise.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is not None and self.error is None:
            self.error = error
        return True

    def check(self) -> None:
        """Raise the stored error, if any."""
        if self.error is not None:
            raise self.error


def _train(
    sentences: _Sentences,
    plays: dict[int, int],
    p: Word2VecParameters,
    seed: int,
    progress: Progress,
) -> Float32:
    """Return gensim's vectors, float32[len(plays), vector_size], in the order of `plays`."""
    from gensim.models import Word2Vec as Gensim  # noqa: PLC0415  (1.7 s, and not needed to rank)
    from gensim.models.callbacks import CallbackAny2Vec  # noqa: PLC0415

    guard = _Guard()

    class Guarded(Gensim):  # type: ignore[misc]
        def _do_train_job(self, *args: Any) -> tuple[int, int]:  # noqa: ANN401
            if guard.error is None:
                with guard:
                    return super()._do_train_job(*args)  # type: ignore[no-any-return]
            return 0, 0

    class Corpus:
        def __iter__(self) -> Iterator[list[int]]:
            with guard:
                yield from sentences

    class Epochs(CallbackAny2Vec):  # type: ignore[misc]
        done = 0

        def on_epoch_end(self, model: Gensim) -> None:
            guard.check()
            self.done += 1
            progress(f"word2vec: epoch {self.done} of {p.epochs}")

    model = Guarded(
        vector_size=p.vector_size, window=p.window, min_count=p.min_count, sg=p.sg, hs=0,
        negative=p.negative, ns_exponent=p.ns_exponent, alpha=p.alpha, sample=p.sample,
        workers=p.workers, seed=seed, sorted_vocab=0,
    )  # fmt: skip
    model.build_vocab_from_freq(plays)
    model.train(Corpus(), total_examples=len(sentences), epochs=p.epochs, callbacks=[Epochs()])
    guard.check()
    vectors: Float32 = model.wv.vectors
    return vectors
