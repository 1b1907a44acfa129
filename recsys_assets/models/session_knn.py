"""Session nearest neighbours: playlists that share tracks with the query recommend their other tracks.

VSKNN (Ludewig et al., Empirical analysis of session-based recommendation algorithms, UMUAI 2021),
STAN (Garg et al., SIGIR 2019) and VSTAN are settings of one formula; their weights are
hyperparameters. Artists as the common ground stand in `artist_knn.py`, the kernel in
`playlist_kernels.py`.
"""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from recsys_assets.models.base import Hyperparameters, Recommender
from recsys_assets.models.parallel import Scratch, map_blocks, query_blocks
from recsys_assets.models.playlist_kernels import rank_by_playlists
from recsys_assets.models.postings import Runs
from recsys_assets.models.slot_kernels import slot_shift
from recsys_assets.models.topk import check_queries, readonly
from recsys_assets.playlists import Catalog, Float32, Float64, Int32, PlaylistSet
from recsys_assets.progress import Progress

Decay = Literal["power", "exponential", "linear"]


class SessionKnnParameters(Hyperparameters):
    """Hyperparameters of session nearest neighbours; strength 0 switches a weight off."""

    decay: Decay = Field(
        default="power",
        description=(
            "How the n-th place weighs for a strength s: n ** -s (power), exp(-s (n - 1)) "
            "(exponential, STAN) or max(0, 1 - s (n - 1)) (linear, VSKNN)."
        ),
    )
    recency: float = Field(
        default=1.0, ge=0, le=10, description="Strength: later tracks of the query count more."
    )
    match_recency: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="Strength: neighbours count less, the earlier in the query they last match it.",
    )
    position: float = Field(
        default=0.9,
        ge=0,
        le=10,
        description="Strength: a neighbour's tracks near its common track count more.",
    )
    idf_power: float = Field(
        default=2.0, ge=0, le=8, description="Power of a common track's inverse frequency."
    )
    length_power: float = Field(
        default=0.3,
        ge=0,
        le=2,
        description="Similarities are divided by the neighbour's length to this power.",
    )
    similarity_power: float = Field(
        default=1.0, ge=0, le=10, description="Power of a neighbour's similarity."
    )
    popularity_discount: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Scores are divided by the track's plays to this power.",
    )
    neighbours: int = Field(
        default=500, ge=0, le=1_000_000, description="Most similar playlists used; 0 uses all."
    )
    postings: int = Field(
        default=20_000,
        ge=0,
        le=1_000_000_000,
        description=(
            "Most plays of common tracks looked up for a query, the heaviest tracks first; 0: all."
        ),
    )


class SessionKnn(Recommender):
    """Nearest neighbours over whole playlists.

    A playlist's similarity is the sum, over the tracks that it shares with the query, of
    ``recency(place from the query's end) * idf ** idf_power``, over its length to the power of
    `length_power`, times `match_recency` of the latest common track's place. Each of its tracks
    then gets ``similarity ** similarity_power``, times `position` of its distance to that common
    track. Playlists carry no time, so STAN's weight for old neighbours has no counterpart.
    """

    family: ClassVar[str] = "session_knn"
    parameters_type: ClassVar[type[Hyperparameters]] = SessionKnnParameters
    parameters: SessionKnnParameters
    repeats: float = 0.0
    """Power of how often a neighbour holds what is common: 0 counts it once."""

    def _keys(self, items: Int32) -> Int32:
        """Return what two playlists must share, for each item; MISSING where there is nothing."""
        return items

    def _key_count(self) -> int:
        return self.size

    def _fit(self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress) -> None:
        self._index(train.offsets, train.items)

    def _own_bytes(self, train: PlaylistSet, items: int) -> int:
        plays = len(train.items)
        return 24 * plays + 24 * items

    def _index(self, offsets: np.ndarray, items: np.ndarray) -> None:
        """Keep the playlists and derive all that ranking needs: the files hold them alone."""
        p = self.parameters
        self._playlists = playlists = PlaylistSet(offsets, items)
        self._runs = Runs.of(playlists, self._keys(items), self._key_count())
        frequency = np.maximum(np.diff(self._runs.offsets), 1)
        self._key_weights: Float64 = np.log((1 + len(playlists)) / frequency) ** p.idf_power
        lengths = np.maximum(playlists.lengths, 1).astype(np.float64)
        self._length_scale: Float64 = lengths**-p.length_power
        self._item_scale: Float64 = np.empty(0)  # ones
        if p.popularity_discount > 0:
            plays = np.maximum(np.bincount(items, minlength=self.size), 1).astype(np.float64)
            self._item_scale = plays**-p.popularity_discount
        self._position = decay_weights(p.decay, p.position, int(lengths.max()))

    def _rank(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        check_queries(queries, self.size)
        return self._rank_keys(queries, self._keys(queries.items), k)

    def _rank_keys(self, queries: PlaylistSet, keys: Int32, k: int) -> tuple[Int32, Float32]:
        """Rank queries by what stands for each of their items, int32[total]."""
        p = self.parameters
        items = np.empty((len(queries), k), np.int32)
        scores = np.empty((len(queries), k), np.float32)
        longest = int(queries.lengths.max(initial=1))
        recency = decay_weights(p.decay, p.recency, longest)
        match = decay_weights(p.decay, p.match_recency, longest)
        count = len(self._playlists)
        shift = slot_shift(k, self.size)

        scratch = Scratch(
            lambda: (
                np.zeros((count, 2)), np.empty(count + 1, np.int64), np.empty(count + 1, np.int32),
                np.empty(count, np.float32), np.zeros(self.size), np.empty(self.size, np.int32),
                np.empty(self.size, np.float32),
            )
        )  # fmt: skip

        def rank(block: tuple[int, int]) -> None:
            with scratch.lent() as (met, depth, near, near_values, sums, touched, values):
                rank_by_playlists(
                    *block, readonly(queries.offsets), readonly(queries.items), readonly(keys),
                    self._key_weights, self._runs.plays, self._runs.offsets, self._runs.rows,
                    readonly(self._playlists.offsets), readonly(self._playlists.items), recency,
                    match, self._position, self._length_scale, self._item_scale, self.repeats,
                    p.similarity_power, p.neighbours, p.postings, shift, met, depth, near,
                    near_values, sums, touched, values, items, scores,
                )  # fmt: skip

        map_blocks(rank, query_blocks(len(queries)))
        return items, scores

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"offsets": self._playlists.offsets, "items": self._playlists.items}

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        self._index(arrays["offsets"], arrays["items"])


def decay_weights(decay: Decay, strength: float, places: int) -> Float64:
    """Return the weights of the first, second, ... place, float64[places], 1 to begin with."""
    before = np.arange(places, dtype=np.float64)
    if decay == "power":
        return np.asarray((1 + before) ** -strength)
    if decay == "exponential":
        return np.asarray(np.exp(-strength * before))
    return np.maximum(0.0, 1 - strength * before)
