"""Session nearest neighbours by artists: playlists that share artists with the query.

`session_knn.py` with artists as the common ground, which finds neighbours for tracks that training
never saw together, or at all. Popular tracks of the query's own artists are `artist_tracks.py`.
"""

from typing import ClassVar

import numpy as np
from pydantic import Field

from recsys_assets.models.base import ARTIST, Hyperparameters
from recsys_assets.models.session_knn import SessionKnn, SessionKnnParameters
from recsys_assets.models.shared_lists import take_unheld
from recsys_assets.models.topk import check_queries, readonly
from recsys_assets.playlists import MISSING, Catalog, Float32, Int32, PlaylistSet
from recsys_assets.progress import Progress


class ArtistKnnParameters(SessionKnnParameters):
    """Hyperparameters of nearest neighbours by artists: "track" below reads "artist"."""

    position: float = Field(
        default=0.3,
        ge=0,
        le=10,
        description="Strength: a neighbour's tracks near its common artist count more.",
    )
    length_power: float = Field(
        default=0.5,
        ge=0,
        le=2,
        description="Similarities are divided by the neighbour's length to this power.",
    )
    similarity_power: float = Field(
        default=2.0, ge=0, le=10, description="Power of a neighbour's similarity."
    )
    count_power: float = Field(
        default=0.5,
        ge=0,
        le=2,
        description="A common artist with n tracks in the neighbour weighs n to this power.",
    )


class ArtistKnn(SessionKnn):
    """Nearest neighbours over whole playlists, by the artists that they share.

    The formula of `SessionKnn`, where an artist's frequency is the number of playlists with it.
    Without artists in the catalogue there is no opinion, and popular tracks answer.
    """

    family: ClassVar[str] = "artist_knn"
    signal: ClassVar[int] = ARTIST
    parameters_type: ClassVar[type[Hyperparameters]] = ArtistKnnParameters
    parameters: ArtistKnnParameters

    def _fit(self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress) -> None:
        self._set_artists(catalog.artist_index)
        super()._fit(train, catalog, seed=seed, progress=progress)

    def _set_artists(self, artists: Int32) -> None:
        self._artists = artists
        # An unknown item's index, -1, takes the last entry.
        self._artist_of_query = np.append(artists, np.int32(MISSING)).astype(np.int32)
        self.repeats = self.parameters.count_power

    def _keys(self, items: Int32) -> Int32:
        return np.asarray(self._artist_of_query[items])

    def _rank(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        if len(queries) == 0 or int(queries.lengths.max()) > 1:
            return super()._rank(queries, k)
        # Tracks alone: one list for all of an artist, long enough to lose the query's own track.
        check_queries(queries, self.size)
        keys = np.full(len(queries), MISSING, np.int32)
        keys[queries.lengths > 0] = self._keys(queries.items)
        artists, list_of_row = np.unique(keys, return_inverse=True)
        nothing = np.full(len(artists), MISSING, np.int32)
        singles = PlaylistSet(np.arange(len(artists) + 1, dtype=np.int64), nothing)
        lists = self._rank_keys(singles, artists, k + 1)
        items = np.empty((len(queries), k), np.int32)
        scores = np.empty((len(queries), k), np.float32)
        take_unheld(
            np.arange(len(queries)), list_of_row, *lists, readonly(queries.offsets),
            readonly(queries.items), np.zeros(self.size, np.bool_), items, scores,
        )  # fmt: skip
        return items, scores

    def _key_count(self) -> int:
        return int(self._artists.max(initial=MISSING)) + 1

    def _arrays(self) -> dict[str, np.ndarray]:
        return {**super()._arrays(), "artists": self._artists}

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        self._set_artists(arrays["artists"])
        super()._restore(arrays)
