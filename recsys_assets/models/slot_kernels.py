"""A query's sums in a table that stays in the core's cache, and the best of them.

Sums of all items of a large catalogue do not fit there: each addition would wait for the memory.
Here an item holds its slot of a table, or adds to the sum of all that do not; only where that sum
reaches the worst answer are its items added up one by one, in a second walk. Sums are exact, in the
order of the additions. What is added is the callers' (`row_kernels.py`, `playlist_kernels.py`).
"""

from functools import partial

import numpy as np

from recsys_assets.models import selection_kernels
from recsys_assets.models.kernels import kernel
from recsys_assets.models.selection_kernels import keep_from, least_of_best
from recsys_assets.playlists import MISSING, Bool, Float32, Float64, Int32

SLOT_BITS = 13
"""The table has at least so many slots. Queries of the full size (59,000 tracks of neighbours each)
took 0.81 ms so, 0.93 with 14 bits, 1.25 with 16, and 2.1 with sums of all tracks (2026-11-21; with sums
side by side not measured again)."""
SLOTS_PER_ANSWER = 32
EMPTY = -1
SOME = 8
"""So many scores an answer bound the worst answer's from below."""


def slot_shift(k: int, size: int) -> int:
    """Return the kernels' `shift` for `k` answers from a catalogue of `size` items.

    The table has ``2 ** (32 - shift)`` slots: not many more than there are items, however many
    answers are asked for.
    """
    return 32 - max(SLOT_BITS, (min(SLOTS_PER_ANSWER * k, size) - 1).bit_length())


@kernel
def _slot(item: int, shift: int) -> np.uint64:
    """Return where an item belongs in a table of ``2 ** (32 - shift)`` slots (Knuth, 6.4)."""
    # Unsigned throughout: numba counts signed places from the end where they are below 0.
    product = np.uint64(item) * np.uint64(2654435769)
    return np.uint64((product & np.uint64(0xFFFFFFFF)) >> np.uint64(shift))


@kernel
def empty_slots(shift: int) -> tuple[Int32, Float64, Int32, Bool]:
    """Return a table: holders, sums, room for the slots taken, and which of them are crowded.

    The sum of the holder of slot ``s`` is ``table[2 * s]``, that of all others beside it, in the
    same line of the cache.
    """
    slots = 1 << (32 - shift)
    holders, held = np.full(slots, EMPTY, np.int32), np.empty(slots + 1, np.int32)
    return holders, np.zeros(2 * slots), held, np.zeros(slots, np.bool_)


@kernel
def hold_back(query: Int32, shift: int, holders: Int32, table: Float64, held: Int32) -> int:
    """Keep a query's own items out of the answers; return how many slots are taken."""
    count = 0
    for item in query:
        slot = _slot(item, shift)
        if item != MISSING and holders[slot] == EMPTY:
            holders[slot], table[np.uint64(2) * slot] = item, -np.inf
            held[count] = slot
            count += 1
    return count


@kernel
def add(
    item: int, value: float, shift: int, holders: Int32, table: Float64, held: Int32, count: int
) -> int:
    """Add `value`, 0 or more, to an item's sum; return how many slots are taken.

    The first item that meets a slot holds it. Nothing branches: whether an item holds its slot
    cannot be predicted, and to guess wrong took longer than to add (random items, in a loop of its
    own: 5.9 instead of 3.5 ns).
    """
    slot = _slot(item, shift)
    before = holders[slot]
    holder = np.int32(item) if before == EMPTY else before
    holders[slot] = holder
    held[count] = slot
    table[np.uint64(2) * slot + np.uint64(holder != item)] += value
    return count + int(before == EMPTY)


@kernel
def score_holders(
    holders: Int32,
    table: Float64,
    held: Int32,
    count: int,
    scale: Float64,
    values: Float32,
    entries: Int32,
) -> int:
    """List the items of positive sum that hold slots, and their scores; return how many there are.

    `scale` float64[size], none above 1 nor below 0, multiplies sums; empty for ones.
    """
    found = 0
    for at in range(count):
        slot = held[at]
        if table[2 * slot] > 0.0:
            factor = scale[holders[slot]] if len(scale) else 1.0
            values[found], entries[found] = np.float32(table[2 * slot] * factor), holders[slot]
            found += 1
    return found


@partial(kernel, helpers=(selection_kernels,))
def keep_crowded(
    table: Float64,
    held: Int32,
    count: int,
    values: Float32,
    entries: Int32,
    found: int,
    k: int,
    crowded: Bool,
) -> tuple[int, bool]:
    """Set in `crowded` the slots whose sum of others can reach the `k` best.

    Of the `found` scores, those that cannot are left out. Returns how many are left, and whether
    any slot is crowded.
    """
    least = np.float32(0.0)
    if found >= k:
        some = min(found, k * SOME)
        least = least_of_best(values, some, k)
        if some < found:  # what reaches that bound is a tenth of a large query's scores
            found = keep_from(values, entries, found, least)
            least = least_of_best(values, found, k)
        found = keep_from(values, entries, found, least)
    again = False
    for at in range(count):
        others = table[2 * held[at] + 1]
        # Float sums of positive numbers never fall when more are added: a true bound.
        if others > 0.0 and np.float32(others) >= least:
            crowded[held[at]] = again = True
    return found, again


@kernel
def is_crowded(item: int, shift: int, holders: Int32, crowded: Bool) -> bool:
    """Whether an item is one of the others of a crowded slot."""
    slot = _slot(item, shift)
    # Not `and`: compiled as one expression, both tables are read for every item (a third slower).
    if crowded[slot]:
        other: bool = holders[slot] != item
        return other
    return False


@kernel
def add_crowded(item: int, value: float, sums: Float64, entries: Int32, count: int) -> int:
    """Add `value` to an item's sum in `sums`; it is listed in `entries`, `count` before."""
    if sums[item] == 0.0 and value > 0.0:
        entries[count] = item
        count += 1
    sums[item] += value
    return count


@kernel
def hold_back_crowded(query: Int32, value: float, sums: Float64) -> None:
    """Set the sums of a query's own items: to -inf before the second walk, to 0 after it."""
    for item in query:
        if item != MISSING:
            sums[item] = value


@kernel
def take_crowded(
    first: int, last: int, scale: Float64, sums: Float64, values: Float32, entries: Int32
) -> int:
    """Score the items listed from `first` to `last`, zero `sums`; return how many are listed."""
    found = first
    for at in range(first, last):
        item = entries[at]
        if sums[item] > 0.0:
            factor = scale[item] if len(scale) else 1.0
            values[found], entries[found] = np.float32(sums[item] * factor), item
            found += 1
        sums[item] = 0.0
    return found


@kernel
def clear(holders: Int32, table: Float64, held: Int32, crowded: Bool, count: int) -> None:
    """Empty the slots that are taken."""
    if count > len(holders) // 8:
        holders[:] = EMPTY
        table[:] = 0.0
        crowded[:] = False
        return
    for at in range(count):
        slot = held[at]
        holders[slot], crowded[slot] = EMPTY, False
        table[2 * slot] = table[2 * slot + 1] = 0.0
