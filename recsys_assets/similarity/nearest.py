"""Nearest items of every item, block by block.

The model's own notion of similarity (`Recommender.similar`), with the guarantees that the files
promise: as many as asked for, distinct, and never the item itself. Writing belongs in `files.py`.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys_assets import columns as c
from recsys_assets.errors import DataError
from recsys_assets.models.topk import Search, top_k_dense
from recsys_assets.playlists import MISSING, Catalog, Float32, Int32, Int64
from recsys_assets.progress import Progress, Ticker, silent

BLOCK = 16384
"""Keys at a time: a block of 20 neighbours and their strings takes about 100 MB in the writer."""


class SimilarItems(Protocol):
    """What finding neighbours needs of a model."""

    popular: Int32
    """Items seen in training."""

    def similar(self, items: Int32, k: int, search: Search = top_k_dense) -> tuple[Int32, Float32]:
        """Return neighbours int32[n, k] and scores float32[n, k]."""


def nearest_items(
    model: SimilarItems,
    items: Int32,
    neighbours: int,
    *,
    search: Search = top_k_dense,
    block: int = BLOCK,
    progress: Progress = silent,
) -> Iterator[tuple[Int32, Int32, Float32]]:
    """Yield, for blocks of `items`, exactly `neighbours` distinct other items for each.

    Parameters
    ----------
    items
        int32[m]: the keys, in the order wanted.
    neighbours
        Wanted for each key, at least 1.
    search
        How a model that ranks by vectors finds the nearest.
    block
        Keys at a time: bounds memory.
    progress
        Told of the keys done, every few seconds.

    Yields
    ------
    keys : int32[b]
    nearest : int32[b, neighbours]
        Best first.
    scores : float32[b, neighbours]

    Raises
    ------
    DataError
        If training holds too few items for that many neighbours.
    ValueError
        If the model answers an item with itself, or with the same item twice.
    """
    if len(model.popular) < neighbours + 1:
        raise _too_few(model, neighbours)
    ticker = Ticker(progress, "items", len(items))
    for start in range(0, len(items), block):
        keys = items[start : start + block]
        nearest, scores = model.similar(keys, neighbours, search)
        if (nearest == MISSING).any():
            raise _too_few(model, neighbours)
        _check_distinct(keys, nearest)
        yield keys, nearest, np.asarray(scores, np.float32)
        ticker.done(start + len(keys))


def plays_of(catalog: Catalog, counted: pa.Table) -> Int64:
    """Return how often each item of a model's catalogue is played in the present data.

    Parameters
    ----------
    catalog
        The model's own, which may be older than the data.
    counted
        The table track_catalog, columns track_id and play_count.

    Returns
    -------
    int64[len(catalog)]
        0 for an item that the data lacks.
    """
    at = pc.index_in(catalog.ids, value_set=pc.cast(counted[c.TRACK_ID], pa.string()))
    plays = counted[c.PLAY_COUNT].to_numpy().astype(np.int64)
    places = pc.fill_null(at, len(plays)).to_numpy(zero_copy_only=False)
    return np.asarray(np.append(plays, 0)[places])


def _too_few(model: SimilarItems, neighbours: int) -> DataError:
    return DataError(
        f"{neighbours} neighbours of each item are asked for, which needs {neighbours + 1} items, but "
        f"training holds only {len(model.popular)}; set RECSYS_NEIGHBOURS to at most "
        f"{max(len(model.popular) - 1, 1)}, or give more data"
    )


def _check_distinct(keys: Int32, nearest: Int32) -> None:
    together = np.sort(np.column_stack([keys, nearest]), axis=1)
    broken = np.flatnonzero((together[:, 1:] == together[:, :-1]).any(axis=1))
    if len(broken):
        raise ValueError(
            f"item {keys[broken[0]]}: the model's neighbours {nearest[broken[0]].tolist()} hold the "
            "item itself, or one twice"
        )
