"""What matrix factorisation and MLP collaborative filtering share: hyperparameters and ranking.

Embeddings of artists or tracks, learned from playlist x item examples; a query is the recency-weighted
mean of its items' unit embeddings, compared by cosine. Each family's network is in its own module,
the training loop in `torch_training.py`; nothing here needs torch.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from recsys_assets.models.artist_tracks import ArtistTracks, ArtistTracksParameters
from recsys_assets.models.base import ARTIST, TRACK, Hyperparameters
from recsys_assets.models.factors import FactorRecommender, KnownItems, Vocabulary, checked_finite
from recsys_assets.models.interactions import Interactions
from recsys_assets.models.parallel import map_blocks, query_blocks
from recsys_assets.models.row_kernels import rank_by_keys
from recsys_assets.models.slot_kernels import slot_shift
from recsys_assets.models.topk import Search, check_queries, readonly, top_k_dense
from recsys_assets.models.torch_training import Schedule, Weights, train
from recsys_assets.playlists import MISSING, Bool, Catalog, Float32, Float64, Int32, PlaylistSet
from recsys_assets.progress import Progress

PLAYLIST_VECTORS, ITEM_VECTORS = "playlist_vectors", "item_vectors"


class CollaborativeParameters(Hyperparameters):
    """Hyperparameters of collaborative filtering by trained embeddings."""

    items: Literal["artists", "tracks"] = Field(
        default="artists", description="What is embedded; of artists, popular tracks are ranked."
    )
    factors: int = Field(default=50, ge=1, le=1000, description="Dimensions of a vector.")
    epochs: int = Field(default=5, ge=1, le=200, description="Passes over the interactions.")
    batch_size: int = Field(
        default=4096, ge=1, le=1_000_000, description="Examples (positive or not) for one step."
    )
    max_lr: float = Field(
        default=5e-3, gt=0, le=1, description="Learning rate at the top of the one cycle."
    )
    weight_decay: float = Field(default=0.1, ge=0, le=10, description="AdamW's, on all weights.")
    negatives: int = Field(
        default=4, ge=1, le=100, description="Items drawn per interaction that its playlist lacks."
    )
    validation_share: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Share of the interactions held out, to choose the best epoch.",
    )
    min_playlists: int = Field(
        default=2, ge=1, description="Items in fewer training playlists get no vector."
    )
    recency_exponent: float = Field(
        default=1.0,
        ge=0,
        le=4,
        description="The n-th latest item of a query weighs n ** -exponent.",
    )
    popularity_exponent: float = Field(
        default=0.3,
        ge=0,
        le=2,
        description="tracks: scores are multiplied by the item's playlists to this power.",
    )
    neighbour_artists: int = Field(
        default=50, ge=1, le=10_000, description="artists: nearest artists whose tracks are ranked."
    )
    similarity_power: float = Field(
        default=20.0,
        ge=0,
        le=100,
        description="artists: an artist weighs its cosine to this power.",
    )
    plays_power: float = Field(
        default=1.1, ge=0, le=4, description="artists: a track weighs its plays to this power."
    )
    share_power: float = Field(
        default=0.7,
        ge=0,
        le=2,
        description="artists: weights are divided by the sum over the artist's to this power.",
    )


class Collaborative(FactorRecommender):
    """Ranks by cosine with the recency-weighted mean of a query's item embeddings.

    An unseen playlist has no vector of its own, so what it holds stands for it. With
    ``items: tracks``, cosines times a power of popularity rank the tracks. With ``items: artists``,
    the nearest artists of the query's artists do, their own included: a track weighs its artist's
    cosine to the power of `similarity_power` times its weight in `ArtistTracks`.

    The same seed and input give the same bits, whatever the number of threads; they do depend on
    torch's version and on the kind of processor. Only fitting needs torch.
    """

    extra: ClassVar[str | None] = "torch"
    signal: ClassVar[int] = ARTIST
    parameters_type: ClassVar[type[Hyperparameters]] = CollaborativeParameters
    parameters: CollaborativeParameters

    def __init__(self, parameters: Hyperparameters | None = None) -> None:
        super().__init__(parameters)
        self._history: dict[str, list[float]] = {}
        if self.parameters.items == "tracks":
            self.signal = TRACK  # type: ignore[misc]  # of all families but this the class knows it

    @abstractmethod
    def _start(self, playlists: int, items: int, rng: np.random.Generator) -> dict[str, Float32]:
        """Return the initial weights; ``ITEM_VECTORS`` float32[items, d] are ranked by."""

    @abstractmethod
    def _logits(self, weights: Weights, playlists: Any, items: Any) -> Any:  # noqa: ANN401
        """Return torch float32[b]: the predictions for int64[b] `playlists` and `items`."""

    def history(self) -> Mapping[str, Sequence[float]]:
        """Return training and validation loss (binary cross-entropy) after each epoch."""
        return self._history

    def _own_bytes(self, train: PlaylistSet, items: int) -> int:
        # Weights, gradient, two moments and the best epoch's copy; an epoch's examples, shuffled.
        p = self.parameters
        weights = 20 * p.factors * (len(train) + items)
        return weights + (40 * (1 + p.negatives) + 64) * len(train.items)

    def _fit(self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress) -> None:
        p = self.parameters
        if p.items == "artists":
            self._set_artists(train, catalog.artist_index)
            sets, size = artist_playlists(train, catalog.artist_index), self._artist_count
            if len(sets.items) == 0:  # no artist is known: no opinion
                self._set(np.empty(0, np.int32), np.empty((0, p.factors), np.float32))
                self._set_scales(np.empty(0))
                return
        else:
            sets, size = train, self.size
        words = Vocabulary.of(sets, size, p.min_playlists, self.family)
        vectors = self._trained(words, seed=seed, progress=progress)
        self._set(words.items, vectors)
        power = p.popularity_exponent if p.items == "tracks" else 0.0
        self._set_scales(words.playlists.astype(np.float64) ** power)

    def _trained(self, words: Vocabulary, *, seed: int, progress: Progress) -> Float32:
        """Return unit vectors float32[m, d] of the vocabulary; keeps the losses."""
        p = self.parameters
        rng = np.random.default_rng(seed)
        learned = train(
            self._start(len(words.sets), len(words.items), rng),
            self._logits,
            Interactions(words.sets, len(words.items)),
            Schedule(
                p.epochs, p.batch_size, p.max_lr, p.weight_decay, p.negatives, p.validation_share
            ),
            family=self.family,
            rng=rng,
            progress=progress,
        )
        self._history = learned.history
        vectors = learned.weights[ITEM_VECTORS].astype(np.float64)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return checked_finite(
            vectors / np.maximum(lengths, np.finfo(np.float64).tiny), self.family, "lower max_lr"
        )

    def _set(self, items: Int32, vectors: Float32) -> None:
        self._items, self._units = items, vectors
        size = self._artist_count if self.parameters.items == "artists" else self.size
        self._row_of_item = np.full(size + 1, MISSING, np.int32)  # [MISSING] stays MISSING
        self._row_of_item[items] = np.arange(len(items), dtype=np.int32)

    def _set_scales(self, scales: Float64) -> None:
        """Keep unit vectors for queries, and scale those that are ranked."""
        self._scales = scales
        self._vectors = (self._units * scales[:, None]).astype(np.float32)

    def _query_vectors(self, known: KnownItems) -> Float32:
        vectors = np.zeros((len(known.offsets) - 1, self._units.shape[1]))
        holding = np.flatnonzero(np.diff(known.offsets))
        if len(holding):
            weights = known.places.astype(np.float64) ** -self.parameters.recency_exponent
            weighted = self._units[known.rows] * weights[:, None]
            vectors[holding] = np.add.reduceat(weighted, known.offsets[holding], axis=0)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        units: Float32 = (vectors / np.maximum(lengths, np.finfo(np.float64).tiny)).astype(
            np.float32
        )
        return units

    def known_items(self) -> Bool:
        """bool[size]: the tracks that have a vector, or whose artist has one."""
        if self.parameters.items == "tracks":
            return super().known_items()
        seen = np.zeros(self.size, bool)
        seen[self.popular] = True
        with_vector: Bool = self._row_of_item[self._artists] != MISSING
        return np.logical_and(seen, with_vector)

    # --- tracks of the nearest artists ---------------------------------------------------------
    def _set_artists(self, train: PlaylistSet, artists: Int32) -> None:
        p = self.parameters
        tracks = ArtistTracks(
            ArtistTracksParameters(plays_power=p.plays_power, share_power=p.share_power)
        )
        tracks.size = self.size
        tracks._learn(np.bincount(train.items, minlength=self.size).astype(np.float64), artists)
        self._restore_artists(tracks._arrays())

    def _restore_artists(self, arrays: dict[str, np.ndarray]) -> None:
        self._artists: Int32 = arrays["artists"]
        self._artist_arrays = arrays
        self._artist_count = len(arrays["row_offsets"]) - 1

    def _rank(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        return self._rank_by(top_k_dense, queries, k)

    def _rank_by(self, search: Search, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        if self.parameters.items == "tracks":
            return super()._rank_by(search, queries, k)
        check_queries(queries, self.size)
        n, near = len(queries), self.parameters.neighbour_artists
        # An unknown item's index, -1, takes the last entry.
        artists = np.append(self._artists, np.int32(MISSING)).astype(np.int32)[queries.items]
        known = KnownItems.of(queries.offsets, self._row_of_item[artists])
        vectors = self._query_vectors(known)
        nothing = np.zeros(n + 1, np.int64), np.empty(0, np.int32)
        rows, cosines = search(vectors, self._vectors, *nothing, near)
        none = (rows == MISSING) | (cosines <= 0)
        keys = np.full(rows.shape, MISSING, np.int32)
        keys[~none] = self._items[rows[~none]]
        weights = np.zeros(rows.shape)
        weights[~none] = cosines[~none].astype(np.float64) ** self.parameters.similarity_power
        items, scores = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
        offsets, of = self._artist_arrays["row_offsets"], self._artist_arrays

        def rank(block: tuple[int, int]) -> None:
            rank_by_keys(
                *block, readonly(queries.offsets), readonly(queries.items),
                readonly(np.arange(n + 1, dtype=np.int64) * near), readonly(keys.ravel()),
                weights.ravel(), readonly(offsets), readonly(of["row_items"]),
                readonly(of["row_weights"]), slot_shift(k, self.size), np.zeros(self.size),
                np.empty(self.size, np.int32), np.empty(self.size, np.float32), items, scores,
            )  # fmt: skip

        map_blocks(rank, query_blocks(n))
        return items, scores

    # --- files ---------------------------------------------------------------------------------
    def _arrays(self) -> dict[str, np.ndarray]:
        learned: dict[str, np.ndarray] = {
            "items": self._items,
            "vectors": self._units,
            "scales": self._scales,
        }
        return learned if self.parameters.items == "tracks" else {**learned, **self._artist_arrays}

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        if self.parameters.items == "artists":
            names = ("artists", "row_offsets", "row_items", "row_weights")
            self._restore_artists({name: arrays[name] for name in names})
        self._set(arrays["items"], arrays["vectors"])
        self._set_scales(arrays["scales"])


def artist_playlists(train: PlaylistSet, artists: Int32) -> PlaylistSet:
    """Return the playlists as sequences of artists, without tracks of no known artist."""
    keys = artists[train.items]
    kept = keys != MISSING
    offsets = np.concatenate([[0], np.cumsum(kept)])[train.offsets]
    return PlaylistSet(offsets, keys[kept].astype(np.int32))
