"""The best of many scores, compiled by numba: what comes after a query's sums are made.

For scores that are all there at once; heaps, for scores that come one by one, are `kernels.py`'s.
The total order is theirs too: score descending, then item index ascending. No bounds are checked.
"""

import numpy as np

from recsys_assets.models.kernels import kernel
from recsys_assets.playlists import MISSING, Float32, Int32

LEADING_BITS, LEADING_VALUES = 20, 2048
"""A positive float32 without its last 20 bits is one of so many numbers, in the same order."""
LARGEST_ENTRY = 0x7FFFFFFF
FEW = 500
"""Scores up to which counting, in vectors, those at or above a bound beats a count by leading bits."""


@kernel
def least_of_few(values: Float32, size: int, room: int) -> np.float32:
    """Return what `least_of_best` does, without a branch that depends on a score.

    Halves the range of the scores' bits until as many as there is room for lie at or above its
    middle: 100 scores take 0.5 microseconds, 1.7 by numba's partition.
    """
    bits = values[:size].view(np.int32)
    low, high = 0, 0
    for at in range(size):
        high = max(high, bits[at])
    while low < high:
        middle = (low + high + 1) >> 1
        count = 0
        for at in range(size):
            count += bits[at] >= middle
        if count >= room:
            low = middle
        else:
            high = middle - 1
        if count == room:
            break
    least = np.float32(np.inf)
    for at in range(size):
        least = min(least, values[at] if bits[at] >= low else np.float32(np.inf))
    return least


@kernel
def least_of_best(values: Float32, size: int, room: int) -> np.float32:
    """Return the `room`-th largest of `[:size]`, none below 0 nor -0, ``0 < room <= size``.

    Two passes narrow many down to the scores with the same leading bits: 8,000 take a tenth of the
    time of numba's partition.
    """
    if size <= FEW:
        return least_of_few(values, size, room)
    bits = values[:size].view(np.int32)
    counts = np.zeros(LEADING_VALUES, np.int64)
    for at in range(size):
        counts[bits[at] >> LEADING_BITS] += 1
    left, leading = room, LEADING_VALUES - 1
    while counts[leading] < left:
        left -= counts[leading]
        leading -= 1
    near = np.empty(counts[leading], np.float32)
    found = 0
    for at in range(size):
        if bits[at] >> LEADING_BITS == leading:
            near[found] = values[at]
            found += 1
    return least_of_few(near, found, left)


@kernel
def keep_from(values: Float32, entries: Int32, size: int, least: np.float32) -> int:
    """Move those of `[:size]` that reach `least` to the front, in order; return how many do."""
    kept = 0
    for at in range(size):
        value, entry = values[at], entries[at]
        values[kept], entries[kept] = value, entry
        kept += int(value >= least)
    return kept


@kernel
def take_best(
    values: Float32, entries: Int32, size: int, out_entries: Int32, out_values: Float32
) -> int:
    """Write the best of `[:size]`, best first, fill up with MISSING; return how many there are.

    Values are 0 or more, and never -0, whose bits sort below; entries are 0 or more. Both are
    overwritten.
    """
    room = min(len(out_entries), size)
    kept = 0
    if room > 0:
        kept = keep_from(values, entries, size, least_of_best(values, size, room))
    # One number that sorts by value, then by falling entry: both are below 2 ** 31.
    keys = values[:kept].view(np.int32).astype(np.int64) << 31
    for at in range(kept):
        keys[at] += LARGEST_ENTRY - entries[at]
    keys.sort()
    bits = out_values.view(np.int32)
    for at in range(room):
        best = keys[kept - 1 - at]
        out_entries[at], bits[at] = LARGEST_ENTRY - (best & LARGEST_ENTRY), best >> 31
    for at in range(room, len(out_entries)):
        out_entries[at], out_values[at] = MISSING, -np.inf
    return room
