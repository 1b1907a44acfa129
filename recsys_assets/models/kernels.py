"""Heaps under the total order, and ranking by dense vectors, compiled by numba.

One file on purpose: numba's cache notices a change of the file that a kernel stands in, of a helper
that it calls in another one only if `kernel` is told of it. The total order everywhere is score
descending, then item index ascending. Every kernel works on a range of independent rows, releases
the GIL and checks no bounds: callers in Python (`topk.py`, `rows.py`) validate, and own
allocation and threads.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

import numba
import numpy as np

from recsys_assets.playlists import MISSING, Float32, Int32, Int64

Function = TypeVar("Function", bound=Callable[..., Any])

CHUNK = 64
"""Scores compared at once with the worst kept one."""


def kernel(
    function: Function, *, fastmath: set[str] | bool = False, helpers: Sequence[ModuleType] = ()
) -> Function:
    """Compile `function` on its first call, without the GIL, and keep the code in numba's cache.

    The cache is NUMBA_CACHE_DIR where that is set (when numba is first imported), else
    `__pycache__` beside this file, else, where that is read-only, the user's own cache folder.
    Where none of them can be written (a locked-down container) every process compiles again.
    `fastmath` is numba's: the liberties that arithmetic may take. `helpers` are the modules of
    kernels that `function` calls: a change of theirs compiles it anew.
    """
    try:
        compiled: Any = numba.njit(function, nogil=True, cache=True, fastmath=fastmath)
    except RuntimeError as error:  # numba: "no locator available"
        logging.getLogger(__name__).warning(
            "numba finds no folder to keep compiled code in (%s); set NUMBA_CACHE_DIR", error
        )
        return cast(Function, numba.njit(function, nogil=True, fastmath=fastmath))
    if helpers and hasattr(compiled, "_cache"):  # not with NUMBA_DISABLE_JIT
        # Numba (0.68) compares time and size of one file, and has no public way to name others.
        index = compiled._cache._cache_file
        files = [Path(str(module.__file__)).stat() for module in helpers]
        index._source_stamp = (
            index._source_stamp,
            *((file.st_mtime_ns, file.st_size) for file in files),
        )
    return cast(Function, compiled)


# --- a heap with the worst entry at its root ------------------------------------------------------
@kernel
def _worse(score: np.float32, item: int, other_score: np.float32, other_item: int) -> bool:
    return bool(score < other_score or (score == other_score and item > other_item))


@kernel
def _sift_down(scores: Float32, items: Int32, size: int) -> None:
    """Restore the heap `[:size]` after its root was replaced."""
    score, item = scores[0], items[0]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        right = child + 1
        if right < size and _worse(scores[right], items[right], scores[child], items[child]):
            child = right
        if not _worse(scores[child], items[child], score, item):
            break
        scores[at], items[at] = scores[child], items[child]
        at = child
    scores[at], items[at] = score, item


@kernel
def _push(scores: Float32, items: Int32, size: int, score: np.float32, item: int) -> int:
    """Offer an entry to a heap of capacity `len(scores)`; return its new size."""
    if size == len(scores):
        if _worse(scores[0], items[0], score, item):
            scores[0], items[0] = score, item
            _sift_down(scores, items, size)
        return size
    at = size
    while at > 0:
        parent = (at - 1) // 2
        if not _worse(score, item, scores[parent], items[parent]):
            break
        scores[at], items[at] = scores[parent], items[parent]
        at = parent
    scores[at], items[at] = score, item
    return size + 1


@kernel
def _sort_best_first(scores: Float32, items: Int32, size: int) -> None:
    """Turn the heap `[:size]` into a list, best first."""
    for end in range(size - 1, 0, -1):
        scores[0], scores[end] = scores[end], scores[0]
        items[0], items[end] = items[end], items[0]
        _sift_down(scores, items, end)


# --- completion with popular items ----------------------------------------------------------------
@kernel
def complete_rows(
    items: Int32, scores: Float32, offsets: Int64, query_items: Int32, popular: Int32, marks: Int64
) -> None:
    """Fill rows that end in MISSING with popular items (see `topk.complete_with_popular`).

    `marks` is zeroed int64 scratch, longer than every index in `popular`.
    """
    k = items.shape[1]
    for row in range(len(items)):
        own = 0
        while own < k and items[row, own] != MISSING:
            own += 1
        if own == k:
            continue
        stamp = row + 1
        for at in range(offsets[row], offsets[row + 1]):
            if 0 <= query_items[at] < len(marks):
                marks[query_items[at]] = stamp
        for at in range(own):
            if items[row, at] < len(marks):
                marks[items[row, at]] = stamp
        score = scores[row, own - 1] if own else np.float32(0.0)
        # A step that float32 still resolves after 2**23 subtractions.
        step = max(np.float32(1.0), abs(score) * np.float32(2.0**-10))
        filled = own
        for candidate in popular:
            if filled == k:
                break
            if marks[candidate] != stamp:
                items[row, filled] = candidate
                scores[row, filled] = score - np.float32(filled - own + 1) * step
                filled += 1
        for at in range(filled, k):
            items[row, at] = MISSING
            scores[row, at] = -np.inf


# --- dense vectors --------------------------------------------------------------------------------
@kernel
def _is_excluded(item: int, excluded: Int32, start: int, stop: int) -> bool:
    for at in range(start, stop):  # noqa: SIM110  (numba has no generators)
        if excluded[at] == item:
            return True
    return False


@kernel
def push_tile(
    tile: Float32,
    items: Int32,
    rows: Int64,
    exclude_offsets: Int64,
    excluded: Int32,
    heap_scores: Float32,
    heap_items: Int32,
    sizes: Int64,
) -> None:
    """Offer a tile of scores to the heaps: ``tile[r, c]`` is of query ``rows[r]`` and ``items[c]``."""
    capacity = heap_scores.shape[1]
    for at_row in range(len(rows)):
        row, scores = rows[at_row], tile[at_row]
        size = sizes[row]
        threshold = heap_scores[row, 0] if size == capacity else np.float32(-np.inf)
        for start in range(0, len(items), CHUNK):
            chunk = scores[start : start + CHUNK]
            # A 32-bit count, unlike a maximum or an early exit, becomes vector instructions.
            better = np.int32(0)
            for at in range(len(chunk)):
                better += np.int32(1) if chunk[at] > threshold else np.int32(0)
            if better == 0:
                continue
            for at in range(len(chunk)):
                if chunk[at] > threshold:
                    item = items[start + at]
                    if _is_excluded(item, excluded, exclude_offsets[row], exclude_offsets[row + 1]):
                        continue
                    size = _push(heap_scores[row], heap_items[row], size, chunk[at], item)
                    if size == capacity:
                        threshold = heap_scores[row, 0]
        sizes[row] = size


@kernel
def _dot(left: Float32, right: Float32) -> np.float32:
    total = 0.0
    for at in range(len(left)):
        total += np.float64(left[at]) * np.float64(right[at])
    return np.float32(total)


@kernel
def refine_rows(
    queries: Float32,
    vectors: Float32,
    heap_scores: Float32,
    heap_items: Int32,
    sizes: Int64,
    bounds: Float32,
    out_items: Int32,
    out_scores: Float32,
    found: Int64,
    limits: Float32,
    low: int,
    high: int,
) -> None:
    """Turn heaps of approximate scores into heaps of exact ones, for rows `low` to `high`.

    `bounds[row]` is the largest error of an approximate score. Where the kept candidates cannot be
    proven to hold the true best `k`, `limits[row]` says from which approximate score on all items
    have to be looked at again, for `rescan_tile`; elsewhere it is infinite.
    """
    k = out_items.shape[1]
    capacity = heap_scores.shape[1]
    for row in range(low, high):
        size = sizes[row]
        count = 0
        for at in range(size):
            item = heap_items[row, at]
            score = _dot(queries[row], vectors[item])
            count = _push(out_scores[row], out_items[row], count, score, item)
        found[row] = count
        limits[row] = np.inf
        if size == capacity and capacity < len(vectors):
            limit = out_scores[row, 0] - bounds[row]
            if count < k or heap_scores[row, 0] >= limit:
                limits[row] = limit if count == k else -np.inf
                found[row] = 0


@kernel
def rescan_tile(
    tile: Float32,
    items: Int32,
    rows: Int64,
    queries: Float32,
    vectors: Float32,
    exclude_offsets: Int64,
    excluded: Int32,
    bounds: Float32,
    limits: Float32,
    out_items: Int32,
    out_scores: Float32,
    found: Int64,
) -> None:
    """Offer the exact scores of all that a tile shows above a query's limit to the query's heap.

    ``tile[r, c]`` is of query ``rows[r]`` and ``items[c]``; the other arrays are by query and item.
    """
    k = out_items.shape[1]
    for at_row in range(len(rows)):
        row, scores = rows[at_row], tile[at_row]
        count = found[row]
        limit = limits[row]
        for column in range(len(items)):
            if scores[column] >= limit:
                item = items[column]
                if _is_excluded(item, excluded, exclude_offsets[row], exclude_offsets[row + 1]):
                    continue
                score = _dot(queries[row], vectors[item])
                count = _push(out_scores[row], out_items[row], count, score, item)
                if count == k:
                    limit = max(limit, out_scores[row, 0] - bounds[row])
        found[row] = count
        limits[row] = limit


@kernel
def sort_rows(out_items: Int32, out_scores: Float32, found: Int64, low: int, high: int) -> None:
    """Turn the heaps of rows `low` to `high` into lists, best first, filled up with MISSING."""
    for row in range(low, high):
        _sort_best_first(out_scores[row], out_items[row], found[row])
        for at in range(found[row], out_items.shape[1]):
            out_items[row, at] = MISSING
            out_scores[row, at] = -np.inf
