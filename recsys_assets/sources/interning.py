"""Dictionaries that grow: every distinct text, or pair of numbers, gets the next number.

Numbers depend on the order of first appearance only. Memory grows with the distinct values, never
with the rows. The hash tables' inner loops are in `record_kernels.py`.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recsys_assets.sources import record_kernels as kernels
from recsys_assets.sources.record_kernels import Bytes, Int32, Int64, UInt64

_Value = TypeVar("_Value", bound=np.generic)
_FIRST_SLOTS = 1 << 12
_TEXTS_AT_ONCE = 1 << 18


class Texts:
    """Distinct texts, numbered from 0 in order of appearance."""

    def __init__(self) -> None:
        self.count = 0
        self._slots = np.full(_FIRST_SLOTS, kernels.FREE)
        self._hashes = np.empty(0, np.uint64)
        self._offsets = np.zeros(1, np.int64)
        self._pool = np.empty(0, np.uint8)

    @classmethod
    def of(cls, hashes: UInt64, offsets: Int64, pool: Bytes) -> "Texts":
        """Return the texts that `held` gave; its arrays are taken over."""
        texts = cls()
        texts.count = len(hashes)
        texts._hashes, texts._offsets, texts._pool = hashes, offsets, pool
        texts._slots = texts._slots[:0]  # filled when the next texts come
        return texts

    def held(self) -> dict[str, UInt64 | Int64 | Bytes]:
        """Return what `of` takes: hashes, offsets and bytes of all texts, without copying."""
        return {
            "hashes": self._hashes[: self.count],
            "offsets": self._offsets[: self.count + 1],
            "pool": self._pool[: int(self._offsets[self.count])],
        }

    def append(self, other: "Texts") -> Int32:
        """Number all texts of another; returns the number here of each number there."""
        numbers = np.empty(other.count, np.int32)
        for begin in range(0, other.count, _TEXTS_AT_ONCE):
            end = min(begin + _TEXTS_AT_ONCE, other.count)
            offsets = other._offsets[begin : end + 1]
            data = other._pool[offsets[0] : offsets[-1]]
            bounds = (offsets - offsets[0]).astype(np.int32)
            numbers[begin:end] = self.number(data, bounds[:-1, None], bounds[1:, None], 0)
        return numbers

    def number(self, data: Bytes, begins: Int32, ends: Int32, column: int) -> Int32:
        """Return the numbers of ``data[begins[r, column] : ends[r, column]]``, -1 for empty ones."""
        records = len(begins)
        numbers = np.empty(records, np.int32)
        size = int((ends[:, column] - begins[:, column]).sum(dtype=np.int64))
        most = self.count + records
        self._hashes = _with_room(self._hashes, most)
        self._offsets = _with_room(self._offsets, most + 1)
        self._pool = _with_room(self._pool, int(self._offsets[self.count]) + size)
        if 2 * most > len(self._slots):
            self._slots = np.full(_slots_for(most), kernels.FREE)
            kernels.fill_slots(self._hashes, self.count, self._slots)
        values = np.empty(records, np.uint64)
        kernels.hash_texts(data, begins, ends, column, records, values)
        self.count = kernels.number_texts(
            data, begins, ends, column, values, self._slots, self._hashes, self._offsets,
            self._pool, self.count, numbers,
        )  # fmt: skip
        return numbers

    def number_strings(self, strings: pa.ChunkedArray) -> Int32:
        """Return the numbers of Arrow strings, -1 for nulls and empty ones."""
        encoded = [(one or "").encode() for one in strings.to_pylist()]
        ends = np.cumsum([0, *(len(one) for one in encoded)]).astype(np.int32)
        data = np.frombuffer(bytearray(b"".join(encoded)), np.uint8)
        return self.number(data, ends[:-1, None], ends[1:, None], 0)

    def strings(self) -> pa.LargeStringArray:
        """Return all texts in order of their numbers."""
        used = int(self._offsets[self.count])
        return pa.LargeStringArray.from_buffers(
            self.count,
            pa.py_buffer(self._offsets[: self.count + 1].copy()),
            pa.py_buffer(self._pool[:used]),
        )


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
        self._keys = _with_room(self._keys, most)
        if 2 * most > len(self._slots):
            self._slots = np.full(_slots_for(most), -1, np.int32)
            kernels.fill_key_slots(self._keys, self.count, self._slots)
        self.count = kernels.number_keys(keys, self._slots, self._keys, self.count, numbers)
        return numbers

    def members(self) -> tuple[Int32, Int32]:
        """Return the first and the second of every pair, in order of their numbers."""
        keys = self._keys[: self.count]
        return (keys >> 32).astype(np.int32), (keys & 0xFFFFFFFF).astype(np.int32)


def _with_room(array: npt.NDArray[_Value], size: int) -> npt.NDArray[_Value]:
    """Return `array`, or a copy with room for `size` values, half as much again."""
    if size <= len(array):
        return array
    grown = np.empty(size + size // 2, array.dtype)
    grown[: len(array)] = array
    return grown


def _slots_for(entries: int) -> int:
    """Return the size of a hash table that is at most half full with so many entries."""
    return 1 << int(2 * entries - 1).bit_length()
