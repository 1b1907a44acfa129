"""Nearest items of every item, block by block.

The model's own notion of similarity (`Recommender.similar`), with the guarantees that the similarity
files promise. Writing them belongs in `similarity/files.py`.
"""

from collections.abc import Iterator

import numpy as np

from recsys_assets.errors import DataError
from recsys_assets.models.base import Recommender
from recsys_assets.playlists import MISSING, Float32, Int32
from recsys_assets.progress import Progress, Ticker, silent

BLOCK = 4096


def nearest_items(
    model: Recommender,
    items: Int32,
    neighbours: int,
    *,
    block: int = BLOCK,
    progress: Progress = silent,
) -> Iterator[tuple[Int32, Int32, Float32]]:
    """Yield, for blocks of `items`, exactly `neighbours` distinct other items for each.

    Yields
    ------
    keys : int32[b]
    nearest : int32[b, neighbours]
        Best first.
    scores : float32[b, neighbours]

    Raises
    ------
    DataError
        If the model knows too few items.
    """
    ticker = Ticker(progress, "items", len(items))
    for start in range(0, len(items), block):
        keys = items[start : start + block]
        nearest, scores = model.similar(keys, neighbours)
        if (nearest == MISSING).any():
            raise DataError(
                f"{neighbours} neighbours of each item are asked for, but training holds only "
                f"{len(model.popular)} items; set RECSYS_NEIGHBOURS to at most "
                f"{max(len(model.popular) - 1, 1)}, or give more data"
            )
        yield keys, nearest, np.asarray(scores, np.float32)
        ticker.done(start + len(keys))
