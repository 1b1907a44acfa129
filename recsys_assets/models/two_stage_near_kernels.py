# ruff: noqa: PLR0912, PLR0915  (numba takes flat, positional arguments and inlines no closures)
"""The kernel that tells how much of a query stands near a candidate's plays, in the training playlists.

Walked from the query: its items have a few thousand plays together, and what stands near them is read
in the order of the playlists. Walked from the candidates, the same took 40,000 looks all over memory
for each query of full size. The other features are `two_stage_kernels.py`'s.
"""

from functools import partial

import numpy as np

from recsys_assets.models import two_stage_kernels, word2vec_vectors
from recsys_assets.models.kernels import kernel
from recsys_assets.models.two_stage_kernels import EDGE, EDGE_BITS, MOST_OCCURRENCES, UInt8
from recsys_assets.models.word2vec_vectors import prefetch_to_read
from recsys_assets.playlists import MISSING, Float32, Float64, Int32, Int64

NEAR_RECENCY = 0.5
"""Exponent of a near item's distance in the query."""
MARKS = 2**13
"""Bytes of a table that the core's nearest cache holds: a bit for the low bits of each candidate."""
AHEAD = 8
"""Plays whose playlists are fetched ahead."""
FIRST_SLOTS = 2**12
"""Of the table of places near the query's plays; it doubles when half full."""
PROCESSED = -1


@kernel
def _slot(place: int, places: Int64) -> int:
    """Return where a place is, or belongs, in a table of a power of two (Knuth, 6.4)."""
    slot = ((place * 2654435769) >> 7) & (len(places) - 1)
    while places[slot] != place and places[slot] >= 0:
        slot = (slot + 1) & (len(places) - 1)
    return slot


@kernel
def _doubled(places: Int64, sums: Float64) -> tuple[Int64, Float64]:
    """Return the table with twice as many slots."""
    more, of_more = np.full(2 * len(places), MISSING, np.int64), np.zeros(2 * len(places))
    for slot in range(len(places)):
        if places[slot] != MISSING:
            to = _slot(places[slot], more)
            more[to], of_more[to] = places[slot], sums[slot]
    return more, of_more


@partial(kernel, helpers=(two_stage_kernels, word2vec_vectors))
def fill_near(
    query_offsets: Int64,
    query_items: Int32,
    pool_offsets: Int64,
    pool_items: Int32,
    items: Int32,
    play_offsets: Int64,
    plays: Int64,
    play_edges: UInt8,
    out: Float32,
    at: int,
) -> None:
    """Fill the columns `at` and `at + 1` with `near_mean` and `near_most`.

    The index's arrays are `two_stage_features.FeatureIndex`'s. Of a query's item with more plays than
    `MOST_OCCURRENCES`, evenly spaced ones count several times. Once for each item, the latest of equal
    ones.
    """
    row_of = np.zeros(len(play_offsets) - 1, np.int32)
    marks = np.zeros(MARKS, np.uint8)
    places, sums = np.full(FIRST_SLOTS, MISSING, np.int64), np.zeros(FIRST_SLOTS)
    for query in range(len(query_offsets) - 1):
        start, stop = query_offsets[query], query_offsets[query + 1]
        begin, end = pool_offsets[query], pool_offsets[query + 1]
        for row in range(begin, end):
            item = pool_items[row]
            row_of[item] = row - begin + 1
            marks[(item >> 3) & (MARKS - 1)] |= 1 << (item & 7)
        totals, most = np.zeros(end - begin), np.zeros(end - begin)
        taken = 0
        for distance in range(1, stop - start + 1):
            item = query_items[stop - distance]
            if item == MISSING or row_of[item] == PROCESSED:
                continue
            row_of[item] = PROCESSED
            weight = distance**-NEAR_RECENCY
            low, high = play_offsets[item], play_offsets[item + 1]
            step = max(1, -(-(high - low) // MOST_OCCURRENCES))
            for play in range(low, high, step):
                if play + AHEAD * step < high:
                    ahead = plays[play + AHEAD * step]
                    prefetch_to_read(items, ahead - (play_edges[play + AHEAD * step] & EDGE))
                    prefetch_to_read(items, ahead + (play_edges[play + AHEAD * step] >> EDGE_BITS))
                place = plays[play]
                first = place - (play_edges[play] & EDGE)
                for near in range(first, place + (play_edges[play] >> EDGE_BITS) + 1):
                    other = items[near]
                    if marks[(other >> 3) & (MARKS - 1)] & (1 << (other & 7)) == 0:
                        continue
                    row = row_of[other] - 1
                    if row < 0:
                        continue
                    totals[row] += weight * step
                    slot = _slot(near, places)
                    if places[slot] == MISSING:
                        places[slot] = near
                        taken += 1
                    sums[slot] += weight
                    most[row] = max(most[row], sums[slot])
                    if 2 * taken > len(places):
                        places, sums = _doubled(places, sums)
        for row in range(begin, end):
            item = pool_items[row]
            count = play_offsets[item + 1] - play_offsets[item]
            out[row, at] = totals[row - begin] / max(count, 1)
            out[row, at + 1] = most[row - begin]
            row_of[item] = 0
            marks[(item >> 3) & (MARKS - 1)] = 0
        for here in range(start, stop):
            if query_items[here] != MISSING:
                row_of[query_items[here]] = 0
        if len(places) > max(
            FIRST_SLOTS, 16 * taken
        ):  # one long query is no reason for all after it
            places, sums = np.full(len(places) // 2, MISSING, np.int64), np.zeros(len(places) // 2)
        elif taken > 0:
            places[:] = MISSING
            sums[:] = 0.0
