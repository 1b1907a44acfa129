"""Word2vec on playlists: tracks as words, playlists as sentences.

Mikolov et al., Distributed representations of words and phrases (NIPS 2013); for items Grbovic et
al., E-commerce in your inbox (KDD 2015). Training is in `word2vec_training.py` or, by gensim, in
`word2vec_gensim.py`: a fitted model is normalised vectors with their items, and ranks without
either. Dense ranking is in `topk.py`.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from recsys_assets.errors import DataError
from recsys_assets.models import word2vec_gensim, word2vec_training
from recsys_assets.models.base import Hyperparameters, Recommender
from recsys_assets.models.topk import Search, check_queries, top_k_dense
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
    engine: Literal["compiled", "gensim"] = Field(
        default="compiled",
        description="What trains: compiled kernels (CBOW on all cores), or gensim.",
    )
    workers: int = Field(
        default=1, ge=1, le=256, description="gensim's threads; only 1 gives the same bits again."
    )


@dataclass(frozen=True, eq=False)
class Start:
    """Where a warm start begins.

    Attributes
    ----------
    items
        int32[m]: indices in the catalogue of the next `fit`, or MISSING.
    inputs, contexts
        float32[m, vector_size]: their vectors, and those that predict them.
    epochs
        Passes over the playlists.
    """

    items: Int32
    inputs: Float32
    contexts: Float32
    epochs: int


class Word2Vec(Recommender):
    """Cosine similarity with the query's vector among word2vec vectors of items.

    The same seed and input give the same bits, but with engine gensim and `workers` above 1:
    gensim's threads then update the vectors without locks, in whatever order they run.
    """

    family: ClassVar[str] = "word2vec"
    parameters_type: ClassVar[type[Hyperparameters]] = Word2VecParameters
    parameters: Word2VecParameters

    def __init__(self, parameters: Hyperparameters | None = None) -> None:
        super().__init__(parameters)
        self._start: Start | None = None

    def start_from(self, previous: "Word2Vec", translation: Int32, *, epochs: int) -> Self:
        """Let the next `fit` go on from another model's vectors, for `epochs` instead of all.

        Items that `previous` has no vector of start at random, as without it. The learning rate
        falls from `alpha` again: at a lower one the new items learned too little.

        Parameters
        ----------
        previous
            A fitted model of the compiled engine and the same `vector_size`; not changed.
        translation
            int32[previous.size]: the index of each of its items in the catalogue of the next `fit`,
            MISSING where that catalogue lacks it.
        epochs
            Passes over the playlists, at most the hyperparameter's.

        Raises
        ------
        DataError
            If `previous` cannot be gone on from.
        """
        p = self.parameters
        if p.engine != "compiled" or len(previous._contexts) == 0:
            raise DataError(
                "word2vec: only models that the compiled engine trained can be gone on from, found "
                f"engine {previous.parameters.engine} before and {p.engine} now; train from scratch"
            )
        if previous._vectors.shape[1] != p.vector_size:
            raise DataError(
                f"word2vec: expected a previous model with vector_size = {p.vector_size}, found "
                f"{previous._vectors.shape[1]}; train from scratch"
            )
        if not 1 <= epochs <= p.epochs:
            raise ValueError(f"expected 1 to {p.epochs} epochs, found {epochs}")
        self._start = Start(
            translation[previous._items],
            previous._vectors * previous._lengths[:, None],
            previous._contexts,
            epochs,
        )
        return self

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
        row_of_item = np.full(self.size, MISSING, np.int32)
        row_of_item[vocabulary] = np.arange(len(vocabulary), dtype=np.int32)
        rows = row_of_item[train.items]
        known = rows != MISSING
        offsets = np.concatenate([[0], np.cumsum(known)])[train.offsets]
        sentences = PlaylistSet(offsets, rows[known])
        contexts: Float32 = np.empty((0, p.vector_size), np.float32)
        if p.engine == "gensim":
            vectors = word2vec_gensim.train(
                sentences, plays[vocabulary], p, seed=seed, progress=progress
            )
        else:
            vectors, contexts = self._train(sentences, vocabulary, plays, seed, progress)
        if not np.isfinite(vectors).all():
            raise DataError(
                f"word2vec: the vectors are not finite after {p.epochs} epochs at alpha = "
                f"{p.alpha}; lower alpha in the candidates file"
            )
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
        by_index = np.argsort(vocabulary)
        normalised = vectors / np.maximum(lengths, np.finfo(np.float64).tiny)
        self._set(vocabulary[by_index].astype(np.int32), normalised[by_index].astype(np.float32))
        self._lengths = lengths[by_index, 0].astype(np.float32)
        self._contexts = contexts[by_index[: len(contexts)]]

    def _train(
        self,
        sentences: PlaylistSet,
        vocabulary: Int64,
        plays: Int64,
        seed: int,
        progress: Progress,
    ) -> tuple[Float32, Float32]:
        """Return input and output vectors of the vocabulary's items, by the compiled engine."""
        p = self.parameters
        inputs = word2vec_training.random_vectors(len(vocabulary), p.vector_size, seed=seed)
        contexts = np.zeros_like(inputs)
        epochs = p.epochs
        if self._start is not None:
            epochs = self._start.epochs
            row_of_item = np.full(self.size + 1, MISSING, np.int32)  # [MISSING] stays MISSING
            row_of_item[vocabulary] = np.arange(len(vocabulary), dtype=np.int32)
            rows = row_of_item[self._start.items]
            inputs[rows[rows != MISSING]] = self._start.inputs[rows != MISSING]
            contexts[rows[rows != MISSING]] = self._start.contexts[rows != MISSING]
            self._start = None
        schedule = word2vec_training.Schedule(
            p.sg == 1, p.window, p.negative, epochs, p.alpha, p.sample, p.ns_exponent
        )
        return word2vec_training.train(
            sentences,
            plays[vocabulary],
            inputs,
            contexts,
            schedule,
            seed=seed,
            after_epoch=lambda done: progress(f"word2vec: epoch {done} of {epochs}"),
        )

    def _own_bytes(self, train: PlaylistSet, items: int) -> int:
        # Two matrices before and after, the unit vectors in float64; of gensim two matrices and a
        # dictionary of 400 bytes a word.
        words = int(np.count_nonzero(np.bincount(train.items) >= self.parameters.min_count))
        per_float, per_word = (20, 400) if self.parameters.engine == "gensim" else (28, 100)
        return words * (per_float * self.parameters.vector_size + per_word) + 24 * len(train.items)

    def _set(self, items: Int32, vectors: Float32) -> None:
        self._items, self._vectors = items, vectors
        self._row_of_item = np.full(self.size + 1, MISSING, np.int32)  # [MISSING] stays MISSING
        self._row_of_item[items] = np.arange(len(items), dtype=np.int32)

    def _rank(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        return self._rank_by(top_k_dense, queries, k)

    def _rank_by(self, search: Search, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        check_queries(queries, self.size)
        query_rows = self._row_of_item[queries.items]
        vectors, known = self._query_vectors(queries.offsets, query_rows)
        rows, scores = search(vectors, self._vectors, queries.offsets, query_rows, k)
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
        return {
            "items": self._items,
            "vectors": self._vectors,
            "lengths": self._lengths,
            "contexts": self._contexts,
        }

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        self._set(arrays["items"], arrays["vectors"])
        # Files older than warm starts have neither; `start_from` then refuses them.
        self._lengths = arrays.get("lengths", np.ones(len(self._items), np.float32))
        self._contexts = arrays.get("contexts", self._vectors[:0])
