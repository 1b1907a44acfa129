"""Synthetic playlists whose right neighbours are known: no playlist leaves its block of items."""

import numpy as np
import pyarrow as pa
import pytest

from recsys_assets.models.base import Recommender
from recsys_assets.models.extras import is_installed
from recsys_assets.models.registry import FAMILIES, build
from recsys_assets.playlists import Catalog, PlaylistSet

BLOCKS = 6
BLOCK_SIZE = 15
SIZE = BLOCKS * BLOCK_SIZE
PARAMETERS = {
    "word2vec": {"vector_size": 16, "min_count": 1, "epochs": 12, "sample": 0.0},
    "ppmi_svd": {"factors": 6, "min_playlists": 1},
    "als": {"factors": 6, "min_playlists": 1},
    "ease": {"memory_mb": 1},
    "matrix_factorisation": {"min_playlists": 1, "factors": 8, "epochs": 12, "batch_size": 256},
    "mlp": {"min_playlists": 1, "factors": 8, "epochs": 12, "batch_size": 256, "layers": [8, 8]},
    "two_stage": {"folds": 2, "rounds": 4, "leaf_rows": 5, "negatives": 8},
}
"""Hyperparameters that suit the tiny synthetic sets, where a family's defaults do not."""
TRAINABLE = [name for name, one in FAMILIES.items() if one.extra is None or is_installed(one.extra)]
"""The families that can be fitted with what is installed."""
EVERY_FAMILY = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            name not in TRAINABLE, reason=f"needs the extra {FAMILIES[name].extra}"
        ),
    )
    for name in FAMILIES
]
"""Parameters of a test of all families; those that cannot be fitted are skipped, saying so."""


def block_playlists(*, shuffled: bool = False, seed: int = 5) -> PlaylistSet:
    """Return 240 playlists of 8 tracks, each from one block; shuffled, the blocks are destroyed."""
    rng = np.random.default_rng(seed)
    lists = [
        (rng.choice(BLOCK_SIZE, 8, replace=False) + BLOCK_SIZE * (p % BLOCKS)).tolist()
        for p in range(240)
    ]
    playlists = PlaylistSet.from_lists(lists, block_titles([p % BLOCKS for p in range(240)]))
    if shuffled:
        items = rng.permutation(playlists.items)
        return PlaylistSet(playlists.offsets, items, playlists.titles)
    return playlists


def block_titles(blocks: list[int]) -> list[str | None]:
    """Return the titles of playlists of these blocks: one word in common, one of the block."""
    return [f"songs {'abcdef'[block] * 3}" for block in blocks]


def block_catalog(size: int = SIZE, *, shuffled: bool = False) -> Catalog:
    """Return a catalogue in which a block is an artist; shuffled, artists are dealt at random."""
    ids = pa.array([str(i) for i in range(size)], pa.string())
    artists = np.arange(size, dtype=np.int32) // BLOCK_SIZE
    if shuffled:
        artists = np.random.default_rng(6).permutation(artists)
    return Catalog(ids, ids, artists)


def fitted(
    family: str,
    train: PlaylistSet,
    size: int = SIZE,
    seed: int = 1,
    catalog: Catalog | None = None,
    **parameters: object,
) -> Recommender:
    """Return a recommender of `family` fitted on `train`, with parameters for tiny data."""
    assert family in FAMILIES
    model = build(family, {**PARAMETERS.get(family, {}), **parameters})
    return model.fit(train, catalog or block_catalog(size), seed=seed)
