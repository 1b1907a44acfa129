"""Synthetic playlists whose right neighbours are known: no playlist leaves its block of items."""

import numpy as np

from recsys_assets.models.base import Recommender
from recsys_assets.models.registry import FAMILIES, build
from recsys_assets.playlists import Catalog, PlaylistSet

BLOCKS = 6
BLOCK_SIZE = 15
SIZE = BLOCKS * BLOCK_SIZE
PARAMETERS = {"word2vec": {"vector_size": 16, "min_count": 1, "epochs": 12, "sample": 0.0}}
"""Hyperparameters that suit the tiny synthetic sets, where a family's defaults do not."""


def block_playlists(*, shuffled: bool = False, seed: int = 5) -> PlaylistSet:
    """Return 240 playlists of 8 tracks, each from one block; shuffled, the blocks are destroyed."""
    rng = np.random.default_rng(seed)
    lists = [
        (rng.choice(BLOCK_SIZE, 8, replace=False) + BLOCK_SIZE * (p % BLOCKS)).tolist()
        for p in range(240)
    ]
    playlists = PlaylistSet.from_lists(lists)
    if shuffled:
        return PlaylistSet(playlists.offsets, rng.permutation(playlists.items))
    return playlists


def fitted(
    family: str, train: PlaylistSet, size: int = SIZE, seed: int = 1, **parameters: object
) -> Recommender:
    """Return a recommender of `family` fitted on `train`, with parameters for tiny data."""
    assert family in FAMILIES
    model = build(family, {**PARAMETERS.get(family, {}), **parameters})
    return model.fit(train, Catalog.anonymous(size), seed=seed)
