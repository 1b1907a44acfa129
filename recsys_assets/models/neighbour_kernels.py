# ruff: noqa: PLR0912, PLR0915  (numba takes flat, positional arguments and inlines no closures)
"""Kernels of the neighbour families: counting what stands together in playlists.

What picks the best of a row is `selection_kernels.py`'s. The rules are those of `kernels.py`: score
descending, then index ascending; independent rows; no GIL; no bounds checked, callers validate.
Neither allocation by size of the catalogue nor threads belong here.
"""

from functools import partial

import numpy as np

from recsys_assets.models import selection_kernels, word2vec_vectors
from recsys_assets.models.kernels import kernel
from recsys_assets.models.selection_kernels import LARGEST_ENTRY, least_of_best
from recsys_assets.models.word2vec_vectors import prefetch_to_read
from recsys_assets.playlists import Float32, Float64, Int32, Int64

EMPTY = -1
TABLE_SLOTS = 1 << 16
"""Of the table that adds up the neighbours of most items: it stays in the core's cache, where one
entry for every item of a large catalogue does not."""
AHEAD = 4
"""Occurrences whose windows are fetched into the caches ahead."""
LINE = 16
"""Items in a line of the cache."""


@kernel
def _nth_smallest(entries: Int32, size: int, count: int) -> int:
    """Return the `count`-th smallest of `[:size]`, distinct and 0 or more, ``0 < count <= size``."""
    low, high = 0, 0
    for at in range(size):
        high = max(high, entries[at])
    while low < high:
        middle = (low + high) >> 1
        found = 0
        for at in range(size):
            found += entries[at] <= middle
        if found >= count:
            high = middle
        else:
            low = middle + 1
    return low


@partial(kernel, helpers=(selection_kernels,))
def _keep_best(values: Float32, entries: Int32, size: int, room: int) -> int:
    """Move the best `room` of `[:size]` to the front, in no order; return how many there are.

    Values are 0 or more, and never -0. Nothing branches on one: none can be predicted.
    """
    if size <= room or room == 0:
        return min(size, room)
    cut = least_of_best(values, size, room)
    better, level = 0, 0
    ties = np.empty(size, np.int32)
    for at in range(size):
        value, entry = values[at], entries[at]
        values[better], entries[better], ties[level] = value, entry, entry
        better += int(value > cut)
        level += int(value == cut)
    wanted = room - better
    # Only as many of the worst as there is room for: of 100,000 titles most are alike.
    last = _nth_smallest(ties, level, wanted) if level > wanted else LARGEST_ENTRY
    kept = better
    for at in range(level):
        entries[kept] = ties[at]
        kept += int(ties[at] <= last)
    values[better:room] = cut
    return room


# --- counting neighbours in a table that stays in the core's cache -----------------------------------
@kernel
def _table_shift(pairs: int, slots: int) -> int:
    """Return the shift of `_slot` for so many pairs, or 0 where a table of `slots` is too small.

    At most half of the slots are taken.
    """
    bits = 6
    while 1 << bits < 2 * pairs:
        bits += 1
    return 32 - bits if 1 << bits <= slots else 0


@kernel
def _slot(item: int, shift: int, holders: Int32) -> int:
    """Return where `item` is, or belongs, in a table of ``2 ** (32 - shift)`` slots (Knuth, 6.4)."""
    slot = ((item * 2654435769) & 0xFFFFFFFF) >> shift
    while holders[slot] != item and holders[slot] != EMPTY:
        slot = (slot + 1) & ((1 << (32 - shift)) - 1)
    return slot


@partial(kernel, helpers=(selection_kernels,))
def pair_rows(
    low: int,
    high: int,
    offsets: Int64,
    items: Int32,
    posting_offsets: Int64,
    owners: Int32,
    share: bool,
    threshold: float,
    holders: Int32,
    held: Int32,
    sums: Int32,
    touched: Int32,
    values: Float32,
    counts: Int64,
    out_items: Int32,
    out_weights: Float32,
) -> int:
    """Count, for items `low` to `high`, the playlists shared with every other item.

    Playlists hold an item once, in ascending order. Rows hold the best pairs at or above
    `threshold`, in no order, as many as `counts[item]` says on entry at most, and does exactly on
    return; returns the entries written. Of the scratch, given back as it was, `sums` is zeroed
    int32[size]; `holders`, all `EMPTY`, and `held`, zeroed, are int32[slots]: the table of items
    that meet few others.
    """
    written = 0
    for item in range(low, high):
        if posting_offsets[item + 1] - posting_offsets[item] == 1 and not share:
            # Half of a large catalogue's items: all pairs count 1, and the smallest are the best.
            owner = owners[posting_offsets[item]]
            room = counts[item] if threshold <= 1.0 else 0
            kept = 0
            for there in range(offsets[owner], offsets[owner + 1]):
                if kept < room and items[there] != item:
                    out_items[written + kept], out_weights[written + kept] = items[there], 1.0
                    kept += 1
            counts[item] = kept
            written += kept
            continue
        pairs = 0
        for at in range(posting_offsets[item], posting_offsets[item + 1]):
            pairs += offsets[owners[at] + 1] - offsets[owners[at]]
        shift = _table_shift(pairs, len(holders))
        neighbours = 0
        total = posting_offsets[item + 1] - posting_offsets[item]
        for at in range(posting_offsets[item], posting_offsets[item + 1]):
            owner = owners[at]
            for there in range(offsets[owner], offsets[owner + 1]):
                other = items[there]
                if other == item:
                    continue
                if shift > 0:
                    slot = _slot(other, shift, holders)
                    if holders[slot] == EMPTY:
                        holders[slot] = other
                        touched[neighbours] = slot
                        neighbours += 1
                    held[slot] += 1
                else:
                    if sums[other] == 0:
                        touched[neighbours] = other
                        neighbours += 1
                    sums[other] += 1
        kept = 0
        for at in range(neighbours):
            if shift > 0:
                slot = touched[at]
                other, value = holders[slot], float(held[slot])
                holders[slot], held[slot] = EMPTY, 0
            else:
                other = touched[at]
                value = float(sums[other])
                sums[other] = 0
            if share:
                value /= total + posting_offsets[other + 1] - posting_offsets[other]
            if value >= threshold:
                values[kept], touched[kept] = np.float32(value), other
                kept += 1
        room = _keep_best(values, touched, kept, counts[item])
        out_items[written : written + room] = touched[:room]
        out_weights[written : written + room] = values[:room]
        counts[item] = room
        written += room
    return written


@partial(kernel, helpers=(selection_kernels, word2vec_vectors))
def cooccurrence_rows(
    low: int,
    high: int,
    offsets: Int64,
    items: Int32,
    owners: Int32,
    occurrence_offsets: Int64,
    occurrences: Int64,
    forward: Float64,
    backward: Float64,
    playlist_scale: Float64,
    row_scale: Float64,
    column_scale: Float64,
    scales: Float64,
    holders: Int32,
    held: Float64,
    held_scales: Float64,
    sums: Float64,
    touched: Int32,
    values: Float32,
    counts: Int64,
    out_items: Int32,
    out_weights: Float32,
) -> int:
    """Accumulate the rows of items `low` to `high`; return how many entries were written.

    `occurrences` are positions by item, and `owners` their playlists. They are walked in order and
    each window from left to right, so every sum has one order. `forward[d]` and `backward[d]` weigh
    a neighbour `d` positions later or earlier; a playlist's pairs all weigh `playlist_scale`.
    `scales` is `column_scale` by position. Rows hold the best, in no order, as many as
    `counts[item]` says on entry at most, and does exactly on return. Of the scratch, given back as
    it was, `sums` is zeroed float64[size]; `holders`, all `EMPTY`, `held`, zeroed, and `held_scales`
    are the slots of the table of items with few neighbours.
    """
    window = len(forward) - 1
    written = 0
    for item in range(low, high):
        pairs = (occurrence_offsets[item + 1] - occurrence_offsets[item]) * 2 * window
        shift = _table_shift(pairs, len(holders))
        neighbours = 0
        for at in range(occurrence_offsets[item], occurrence_offsets[item + 1]):
            if at + AHEAD < len(occurrences):  # the last ones are of the items to come
                soon, of = occurrences[at + AHEAD], owners[at + AHEAD]
                stop = min(offsets[of + 1], soon + window + 1)
                for line in range(max(offsets[of], soon - window), stop, LINE):
                    prefetch_to_read(items, line)
                prefetch_to_read(items, stop - 1)
            here = occurrences[at]
            owner = owners[at]
            start = max(offsets[owner], here - window)
            stop = min(offsets[owner + 1], here + window + 1)
            for there in range(start, stop):
                other = items[there]
                weight = forward[there - here] if there > here else backward[here - there]
                weight *= playlist_scale[owner]
                if other == item or weight == 0.0:
                    continue
                if shift > 0:
                    slot = _slot(other, shift, holders)
                    if holders[slot] == EMPTY:
                        holders[slot], held_scales[slot] = other, scales[there]
                        touched[neighbours] = slot
                        neighbours += 1
                    held[slot] += weight
                else:
                    if sums[other] == 0.0:
                        touched[neighbours] = other
                        neighbours += 1
                    sums[other] += weight
        for at in range(neighbours):
            if shift > 0:
                slot = touched[at]
                values[at] = np.float32(held[slot] * row_scale[item] * held_scales[slot])
                touched[at] = holders[slot]
                holders[slot], held[slot] = EMPTY, 0.0
            else:
                other = touched[at]
                values[at] = np.float32(sums[other] * row_scale[item] * column_scale[other])
                sums[other] = 0.0
        room = _keep_best(values, touched, neighbours, counts[item])
        out_items[written : written + room] = touched[:room]
        out_weights[written : written + room] = values[:room]
        counts[item] = room
        written += room
    return written
