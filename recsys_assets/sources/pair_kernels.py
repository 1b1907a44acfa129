"""Code that numba compiles for numbering pairs of integers, packed into one of 64 bits.

Kernels check no bounds; `interning.py` allocates. One file: see `models/kernels.py`.
"""

import numpy as np

from recsys_assets.models.kernels import kernel
from recsys_assets.sources.record_kernels import Int32, Int64


@kernel
def _mixed(key: int) -> np.uint64:
    value = np.uint64(key)
    value ^= value >> np.uint64(32)
    value *= np.uint64(0xD6E8FEB86659FD93)
    value ^= value >> np.uint64(32)
    value *= np.uint64(0xD6E8FEB86659FD93)
    return value ^ (value >> np.uint64(32))


@kernel
def fill_key_slots(keys: Int64, count: int, slots: Int32) -> None:
    """Put the keys' numbers into an empty, larger hash table."""
    mask = np.uint64(len(slots) - 1)
    for number in range(count):
        slot = _mixed(keys[number]) & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = number


@kernel
def number_keys(keys: Int64, slots: Int32, held: Int64, count: int, numbers: Int32) -> int:
    """Give every integer key its number, that of an equal one or the next; returns the count now.

    `held[:count]` are the keys so far, appended to; `slots` a hash table of numbers, -1 where free.
    """
    mask = np.uint64(len(slots) - 1)
    for record in range(len(keys)):
        key = keys[record]
        slot = _mixed(key) & mask
        while True:
            number = slots[slot]
            if number < 0:
                number = count
                slots[slot] = number
                held[number] = key
                count += 1
                break
            if held[number] == key:
                break
            slot = (slot + np.uint64(1)) & mask
        numbers[record] = number
    return count
