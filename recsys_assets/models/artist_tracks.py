"""Popular tracks of the query's artists: the second baseline, beside popularity.

Nothing is learned but how often each track is played. Playlists that share artists with the query
are `artist_knn.py`.
"""

from typing import ClassVar

import numpy as np
from pydantic import Field

from recsys_assets.models.base import ARTIST, Hyperparameters, Recommender
from recsys_assets.models.parallel import map_blocks, query_blocks
from recsys_assets.models.row_kernels import rank_by_keys
from recsys_assets.models.slot_kernels import slot_shift
from recsys_assets.models.topk import check_queries, readonly
from recsys_assets.playlists import MISSING, Catalog, Float32, Float64, Int32, PlaylistSet
from recsys_assets.progress import Progress


class ArtistTracksParameters(Hyperparameters):
    """Hyperparameters of the tracks of the query's artists."""

    recency_exponent: float = Field(
        default=1.0,
        ge=0,
        le=4,
        description="The n-th latest track of a query weighs n ** -exponent, for its artist.",
    )
    plays_power: float = Field(
        default=1.1, ge=0, le=4, description="A track weighs its plays to this power."
    )
    share_power: float = Field(
        default=0.7,
        ge=0,
        le=2,
        description="Weights are divided by the sum over the artist's tracks to this power.",
    )


class ArtistTracks(Recommender):
    """The most played tracks of the query's artists, later artists first.

    An artist weighs the sum of ``n ** -recency_exponent`` over its tracks in the query, `n` from
    the end; a track of the artist ``plays ** plays_power`` over the artist's sum of these to the
    power of `share_power`. Without artists in the catalogue there is no opinion.
    """

    family: ClassVar[str] = "artist_tracks"
    signal: ClassVar[int] = ARTIST
    parameters_type: ClassVar[type[Hyperparameters]] = ArtistTracksParameters
    parameters: ArtistTracksParameters

    def _fit(self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress) -> None:
        plays = np.bincount(train.items, minlength=self.size).astype(np.float64)
        self._learn(plays, catalog.artist_index)

    def _learn(self, plays: Float64, artists: Int32) -> None:
        p = self.parameters
        known = np.flatnonzero((plays > 0) & (artists != MISSING))
        items = known[np.argsort(artists[known], kind="stable")]
        artist_count = int(artists.max(initial=MISSING)) + 1
        weights = plays[items] ** p.plays_power
        totals = np.bincount(artists[items], weights=weights, minlength=artist_count)
        counts = np.bincount(artists[items], minlength=artist_count)
        self._artists = artists
        self._row_offsets = np.concatenate([[0], np.cumsum(counts)])
        self._row_items = items.astype(np.int32)
        self._row_weights = (weights / totals[artists[items]] ** p.share_power).astype(np.float32)

    def _rank(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        check_queries(queries, self.size)
        items = np.empty((len(queries), k), np.int32)
        scores = np.empty((len(queries), k), np.float32)
        # An unknown item's index, -1, takes the last entry.
        keys = np.append(self._artists, np.int32(MISSING)).astype(np.int32)[queries.items]
        ends = np.repeat(queries.offsets[1:], queries.lengths)
        from_end = (ends - np.arange(len(queries.items))).astype(np.float64)
        weights = from_end**-self.parameters.recency_exponent

        def rank(block: tuple[int, int]) -> None:
            rank_by_keys(
                *block, readonly(queries.offsets), readonly(queries.items),
                readonly(queries.offsets), readonly(keys), weights, readonly(self._row_offsets),
                readonly(self._row_items), readonly(self._row_weights), slot_shift(k, self.size),
                np.zeros(self.size), np.empty(self.size, np.int32),
                np.empty(self.size, np.float32), items, scores,
            )  # fmt: skip

        map_blocks(rank, query_blocks(len(queries)))
        return items, scores

    def _arrays(self) -> dict[str, np.ndarray]:
        return {
            "artists": self._artists,
            "row_offsets": self._row_offsets,
            "row_items": self._row_items,
            "row_weights": self._row_weights,
        }

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        self._artists = arrays["artists"]
        self._row_offsets = arrays["row_offsets"]
        self._row_items = arrays["row_items"]
        self._row_weights = arrays["row_weights"]
