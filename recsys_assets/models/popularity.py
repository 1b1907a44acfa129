"""Popularity: the same most frequent items for everybody, the floor that others must beat.

Everything it needs is what every recommender has: `Recommender.recommend` completes each answer
with popular items, so this family only declines to have an opinion. No counting here.
"""

from typing import ClassVar

import numpy as np

from recsys_assets.models.base import POPULARITY, Hyperparameters, Recommender
from recsys_assets.playlists import MISSING, Catalog, Float32, Int32, PlaylistSet
from recsys_assets.progress import Progress


class PopularityParameters(Hyperparameters):
    """Popularity has no hyperparameters."""


class Popularity(Recommender):
    """The items that most training playlists hold, without those of the query."""

    family: ClassVar[str] = "popularity"
    signal: ClassVar[int] = POPULARITY
    parameters_type: ClassVar[type[Hyperparameters]] = PopularityParameters

    def _fit(self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress) -> None:
        pass

    def _rank(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        shape = (len(queries), k)
        return np.full(shape, MISSING, np.int32), np.full(shape, -np.inf, np.float32)

    def _arrays(self) -> dict[str, np.ndarray]:
        return {}

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        pass
