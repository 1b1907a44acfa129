"""Ranking of blocks of queries: dense vectors, and completion with popular items.

Allocation, tiling, validation and threads around the kernels of `kernels.py`. The total order
everywhere is score descending, then item index ascending, and no result depends on the number of
threads, on the BLAS library or on which queries share a block. No family's own method belongs here.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from recsys_assets.models.kernels import (
    complete_rows,
    push_tile,
    refine_rows,
    rescan_tile,
    sort_rows,
)
from recsys_assets.models.parallel import map_blocks, one_blas_thread, row_blocks
from recsys_assets.playlists import MISSING, Bool, Float32, Float64, Int32, Int64, PlaylistSet

QUERY_BLOCK, ITEM_TILE = 16384, 4096
"""Queries whose heaps are in memory at a time, and items that are brought together for them."""
ROWS, COLUMNS = 512, 512
"""A product of both, 1 MB, stays in the core's cache until its scores have been looked at."""
FEW_QUERIES = 64
"""Up to so many queries BLAS's threads share one product; above, each thread has its own."""
SPARE = 32
"""Candidates kept beyond `k` by approximate score, so that nearly every row is proven exact."""

Array = TypeVar("Array", bound=npt.NDArray[Any])
Search = Callable[[Float32, Float32, Int64, Int32, int], tuple[Int32, Float32]]
"""What `top_k_dense` is: takes and returns the same."""
Tile = tuple[slice | Int32, float]
"""Rows of the item vectors, and a length that neither they nor those of later tiles exceed."""


def readonly(array: Array) -> Array:
    """Return a read-only view, so that a kernel sees one type and is compiled once."""
    view = array.view()
    view.flags.writeable = False
    return view


def check_queries(queries: PlaylistSet, size: int) -> None:
    """Raise IndexError unless every item is `MISSING` or an index below `size`.

    Kernels check no bounds: an index of another catalogue would read and write foreign memory.
    """
    if len(queries.items) == 0:
        return
    low, high = int(queries.items.min()), int(queries.items.max())
    if low < MISSING or high >= size:
        raise IndexError(
            f"queries hold items {low} to {high}; the model knows indices 0 to {size - 1}, and "
            f"{MISSING} for an unknown item: encode the queries with the model's own catalogue"
        )


def complete_with_popular(
    items: Int32, scores: Float32, offsets: Int64, query_items: Int32, popular: Int32
) -> None:
    """Fill, in place, rows that end in `MISSING` with the most popular items left.

    Parameters
    ----------
    items : int32[n, k]
        Ranked items; a row that is not full ends in `MISSING`.
    scores : float32[n, k]
        Their scores; those of added items fall, and lie below all of the row's own.
    offsets, query_items
        The queries, int64[n + 1] and int32[total]: their items are not added.
    popular : int32[m]
        Distinct items, most popular first. Where they do not suffice, `MISSING` and ``-inf`` stay.
    """
    if items.size == 0 or not (items[:, -1] == MISSING).any():
        return
    # The most popular items, which the kernel walks, have small indices wherever the catalogue is
    # sorted by popularity: of this scratch only the pages that it touches take memory.
    marks = np.zeros(int(popular.max(initial=-1)) + 1, np.int64)
    complete_rows(items, scores, readonly(offsets), readonly(query_items), readonly(popular), marks)


def top_k_dense(
    query_vectors: Float32,
    item_vectors: Float32,
    exclude_offsets: Int64,
    exclude_rows: Int32,
    k: int,
) -> tuple[Int32, Float32]:
    """Find the `k` rows of `item_vectors` with the largest dot product with each query.

    A matrix product per tile of items proposes candidates, never a whole score matrix; float64 dot
    products in a fixed order then decide among them. A BLAS product's last bits depend on its
    threads and shapes, the answers here do not: a row whose candidates are not proven complete
    by the product's error bound has all near its worst answer scored in a second pass.

    Parameters
    ----------
    query_vectors : float32[n, d]
    item_vectors : float32[m, d]
        Finite, C-contiguous.
    exclude_offsets, exclude_rows
        int64[n + 1] and int32[total]: for each query the rows that may not be answered; values
        outside ``[0, m)`` are ignored.
    k
        Number of rows wanted, at least 1.

    Returns
    -------
    rows : int32[n, k]
        Best first, ties by the smaller row, `MISSING` where fewer than `k` rows are left, or where
        a query of zeros likes all `m` alike and `m` is too large to keep them all.
    scores : float32[n, k]
        ``-inf`` beside `MISSING`.
    """
    n, m, dimensions = len(query_vectors), len(item_vectors), item_vectors.shape[1]
    rows = np.full((n, k), MISSING, np.int32)
    scores = np.full((n, k), -np.inf, np.float32)
    if n == 0 or m == 0:
        return rows, scores
    exclude_offsets, exclude_rows = readonly(exclude_offsets), readonly(exclude_rows)
    # |computed - exact| <= d u |q| |v| (Higham, Accuracy and Stability, 2002, eq. 3.5), doubled.
    slack = (dimensions + 2) * 2.0**-23
    lengths = _lengths(query_vectors) * (1 + slack)
    tiles = _tiles(item_vectors, by_length=n > FEW_QUERIES)
    errors = slack * lengths * max(longest for _, longest in tiles)
    for start in range(0, n, QUERY_BLOCK):
        block = slice(start, start + QUERY_BLOCK)
        _top_k_of_block(
            np.ascontiguousarray(query_vectors[block]),
            item_vectors,
            tiles,
            lengths[block],
            readonly(exclude_offsets[start : start + QUERY_BLOCK + 1]),
            exclude_rows,
            errors[block].astype(np.float32),
            rows[block],
            scores[block],
        )
    return rows, scores


def _top_k_of_block(
    queries: Float32,
    vectors: Float32,
    tiles: list[Tile],
    lengths: Float64,
    exclude_offsets: Int64,
    exclude_rows: Int32,
    errors: Float32,
    rows: Int32,
    scores: Float32,
) -> None:
    """Fill `rows` and `scores` for a block of queries; `errors` bound the matrix product's.

    `lengths` are the queries', not rounded down.
    """
    n, m = len(queries), len(vectors)
    kept = min(m, rows.shape[1] + SPARE)
    heap_scores, heap_rows = np.empty((n, kept), np.float32), np.empty((n, kept), np.int32)
    sizes, found, limits = np.zeros(n, np.int64), np.zeros(n, np.int64), np.empty(n, np.float32)
    fixed = readonly(vectors)

    def push(tile: Float32, items: Int32, of: Int64) -> None:
        push_tile(tile, items, of, exclude_offsets, exclude_rows, heap_scores, heap_rows, sizes)

    def open_to(of: Int64, longest: float) -> Bool:
        worst = np.where(sizes[of] == kept, heap_scores[of, 0], -np.inf)
        return lengths[of] * longest + errors[of] >= worst

    scan(queries, vectors, tiles, np.arange(n), push, open_to)
    refine = partial(
        refine_rows, queries, fixed, heap_scores, heap_rows, sizes, errors, rows, scores, found,
        limits,
    )  # fmt: skip
    map_blocks(lambda block: refine(*block), row_blocks(n))

    def rescan(tile: Float32, items: Int32, of: Int64) -> None:
        rescan_tile(
            tile, items, of, queries, fixed, exclude_offsets, exclude_rows, errors, limits, rows,
            scores, found,
        )  # fmt: skip

    def near_limit(of: Int64, longest: float) -> Bool:
        return lengths[of] * longest + errors[of] >= limits[of]

    # Items of the same playlists have the same vector: more ties than are kept to spare.
    again = np.flatnonzero((limits < np.inf) & queries.any(axis=1))
    scan(queries, vectors, tiles, again, rescan, near_limit)
    map_blocks(lambda block: sort_rows(rows, scores, found, *block), row_blocks(n))


def _lengths(vectors: Float32) -> Float64:
    """Return float64[n]: the length of each row. In float32, squares of small numbers are 0."""
    lengths: Float64 = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    return lengths


def _tiles(vectors: Float32, *, by_length: bool) -> list[Tile]:
    """Cut vectors into tiles of about `ITEM_TILE`: their rows, and the length of the longest.

    Every stride-th item makes a tile: where scores follow the index (popularity), runs of
    neighbouring items would each beat all before them (4,000 queries, 56 k items: 5.0 s, not 0.9).
    `by_length` puts long vectors first, in steps of 4 %, and mixes those of a step.
    """
    lengths = _lengths(vectors)
    stride = -(-len(vectors) // ITEM_TILE)
    parts: list[slice | Int32] = [slice(first, None, stride) for first in range(stride)]
    if by_length:
        rows = np.arange(len(vectors), dtype=np.int32)
        mixed = np.concatenate([rows[part] for part in parts])
        steps = np.floor(16 * np.log2(np.maximum(lengths[mixed], np.finfo(np.float64).tiny)))
        ordered = mixed[np.argsort(-steps, kind="stable")]
        parts = list(np.array_split(ordered, stride))
    longest = [float(lengths[part].max()) for part in parts]
    # None after a tile is longer, which is what stopping at one stands on.
    for tile in range(len(parts) - 2, -1, -1):
        longest[tile] = max(longest[tile], longest[tile + 1])
    slack = 1 + (vectors.shape[1] + 2) * 2.0**-23
    return [(part, slack * most) for part, most in zip(parts, longest, strict=True)]


def scan(
    queries: Float32,
    vectors: Float32,
    tiles: list[Tile],
    chosen: Int64,
    look: Callable[[Float32, Int32, Int64], None],
    is_open: Callable[[Int64, float], Bool],
) -> None:
    """Show `look` the product of the chosen queries with all vectors, tile by tile.

    Parameters
    ----------
    queries : float32[n, d]
    vectors : float32[m, d]
    tiles
        What `_tiles` made of the vectors.
    chosen
        int64[c]: the queries to take, ascending.
    look
        Given scores float32[r, w], the items int32[w] and the queries int64[r] that they are of. It
        is called from several threads, with queries of its own in each.
    is_open
        Given queries int64[r] and a length that no vector from here on exceeds: which queries those
        may still change. The others are shown nothing more. Where the vectors' lengths differ
        (ALS: those of rare items are short), most queries are done after a few tiles.
    """
    n = len(chosen)
    if n == 0:
        return
    few = n <= FEW_QUERIES
    jobs = (
        [chosen]
        if few
        else [chosen[slice(*job)] for job in row_blocks(n, smallest=FEW_QUERIES // 2)]
    )
    width = ITEM_TILE if few else COLUMNS
    buffers = [np.empty(min(len(job), ROWS) * width, np.float32) for job in jobs]

    def work(items: Int32, longest: float, part: Float32, job: int) -> None:
        jobs[job] = of = jobs[job][is_open(jobs[job], longest)]
        for row in range(0, len(of), ROWS):
            block = of[row : row + ROWS]
            near = queries[block]
            for column in range(0, len(part), width):
                columns = slice(column, column + width)
                look(_product(near, part[columns], buffers[job]), items[columns], block)

    rows = np.arange(len(vectors), dtype=np.int32)
    with nullcontext() if few else one_blas_thread():
        for tile, longest in tiles:
            if not any(len(job) for job in jobs):
                break
            items = readonly(np.ascontiguousarray(rows[tile]))
            # A slice's vectors are not copied, which would take a third of a single query's time.
            map_blocks(partial(work, items, longest, vectors[tile]), range(len(jobs)))


def _product(queries: Float32, vectors: Float32, buffer: Float32) -> Float32:
    """Return ``queries @ vectors.T``, C-contiguous, in the memory of `buffer`."""
    shape = (len(queries), len(vectors))
    return np.matmul(queries, vectors.T, out=buffer[: shape[0] * shape[1]].reshape(shape))
