"""Dictionaries that grow: every distinct text, or pair of numbers, gets the next number.

Numbers depend on the order of first appearance only. Memory grows with the distinct values, never
with the rows. Songs have a dictionary of their own (`songs.py`); the hash tables' inner loops are in
`text_kernels.py` and `pair_kernels.py`.
"""

from collections.abc import Iterator
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from recsys_assets.sources import pair_kernels
from recsys_assets.sources import text_kernels as kernels
from recsys_assets.sources.record_kernels import Bytes, Int32, Int64, UInt64

_Value = TypeVar("_Value", bound=np.generic)
_FIRST_SLOTS = 1 << 12
_TEXTS_AT_ONCE = 1 << 18
_BYTES_AT_ONCE: Final = 1 << 30
"""Of texts that are numbered together: places within them are int32."""


class Texts:
    """Distinct texts, numbered from 0 in order of appearance."""

    def __init__(self) -> None:
        self.count = 0
        self._slots = free_slots(0)
        self._offsets = np.zeros(1, np.int64)
        self._pool = np.empty(0, np.uint8)

    @classmethod
    def of(cls, offsets: Int64, pool: Bytes) -> "Texts":
        """Return the texts that `held` gave; its arrays are taken over."""
        texts = cls()
        texts.count = len(offsets) - 1
        texts._offsets, texts._pool = offsets, pool
        texts._slots = texts._slots[:0]  # filled when the next texts come
        return texts

    def held(self) -> tuple[Int64, Bytes]:
        """Return what `of` takes: offsets and bytes of all texts, without copying."""
        used = int(self._offsets[self.count])
        return self._offsets[: self.count + 1], self._pool[:used]

    def lengths(self) -> Int64:
        """Return int64[count], the bytes of every text."""
        return np.diff(self._offsets[: self.count + 1])

    def append(self, other: "Texts") -> Int32:
        """Number all texts of another; returns the number here of each number there."""
        numbers = np.empty(other.count, np.int32)
        for part in stretches(other.held()[0], _TEXTS_AT_ONCE):
            offsets = other._offsets[part.start : part.stop + 1]
            data = other._pool[offsets[0] : offsets[-1]]
            bounds = (offsets - offsets[0]).astype(np.int32)
            numbers[part] = self.number(data, bounds[:-1, None], bounds[1:, None], 0)
        return numbers

    def number(self, data: Bytes, begins: Int32, ends: Int32, column: int) -> Int32:
        """Return the numbers of ``data[begins[r, column] : ends[r, column]]``, -1 for empty ones."""
        records = len(begins)
        numbers = np.empty(records, np.int32)
        size = int((ends[:, column] - begins[:, column]).sum(dtype=np.int64))
        most = self.count + records
        self._offsets = with_room(self._offsets, most + 1)
        self._pool = with_room(self._pool, int(self._offsets[self.count]) + size)
        if not len(self._slots):
            self._slots = free_slots(most)
            kernels.fill_text_slots(self._offsets, self._pool, self.count, self._slots)
        self._slots = roomy_slots(self._slots, most)
        self.count = kernels.number_texts(
            data, begins, ends, column, records, self._slots, self._offsets, self._pool,
            self.count, numbers,
        )  # fmt: skip
        return numbers


class Pairs:
    """Distinct pairs of int32, numbered from 0 in order of appearance."""

    def __init__(self) -> None:
        self.count = 0
        self._slots = np.full(_FIRST_SLOTS, -1, np.int32)
        self._keys = np.empty(0, np.int64)

    @classmethod
    def of(cls, keys: Int64) -> "Pairs":
        """Return the pairs that `held` gave; the array is taken over."""
        pairs = cls()
        pairs.count, pairs._keys = len(keys), keys
        pairs._slots = pairs._slots[:0]  # filled when the next pairs come
        return pairs

    def held(self) -> Int64:
        """Return what `of` takes, without copying."""
        return self._keys[: self.count]

    def number(self, first: Int32, second: Int32) -> Int32:
        """Return the numbers of the pairs; `second` must not be negative."""
        keys = (first.astype(np.int64) << 32) | second
        numbers = np.empty(len(keys), np.int32)
        most = self.count + len(keys)
        self._keys = with_room(self._keys, most)
        if 2 * most > len(self._slots):
            self._slots = np.full(1 << int(2 * most - 1).bit_length(), -1, np.int32)
            pair_kernels.fill_key_slots(self._keys, self.count, self._slots)
        self.count = pair_kernels.number_keys(keys, self._slots, self._keys, self.count, numbers)
        return numbers

    def members(self) -> tuple[Int32, Int32]:
        """Return the first and the second of every pair, in order of their numbers."""
        keys = self._keys[: self.count]
        return (keys >> 32).astype(np.int32), (keys & 0xFFFFFFFF).astype(np.int32)


def stretches(starts: Int64, most: int, bits: int = 0) -> Iterator[slice]:
    """Yield stretches of texts, none with more than `most` texts or a GiB (one alone may be larger).

    Text n begins at ``starts[n] >> bits`` and ends where the next one begins.
    """
    begin, count = 0, len(starts) - 1
    while begin < count:
        beyond = (int(starts[begin] >> bits) + _BYTES_AT_ONCE + 1) << bits
        end = int(np.searchsorted(starts, beyond)) - 1
        end = min(max(end, begin + 1), begin + most, count)
        yield slice(begin, end)
        begin = end


def with_room(array: npt.NDArray[_Value], size: int) -> npt.NDArray[_Value]:
    """Return `array`, or a copy with room for `size` values, half as much again."""
    if size <= len(array):
        return array
    grown = np.empty(size + size // 2, array.dtype)
    grown[: len(array)] = array
    return grown


def free_slots(entries: int) -> UInt64:
    """Return an empty hash table that is at most 7/10 full with so many entries."""
    size = max(_FIRST_SLOTS, 1 << (10 * entries // 7).bit_length())
    return np.full(size, kernels.FREE)


def roomy_slots(slots: UInt64, entries: int) -> UInt64:
    """Return `slots`, or a larger hash table with what it holds and room for `entries`."""
    if 10 * entries <= 7 * len(slots):
        return slots
    larger = free_slots(entries)
    kernels.move_slots(slots, larger)
    return larger
