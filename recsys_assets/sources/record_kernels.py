# ruff: noqa: PLR0911, PLR0912, PLR0915  (numba takes flat, positional code and no closures)
"""Code that numba compiles for reading CSV: finding the fields of sound records.

A record that is anything but quoted or plain fields of the right number is only pointed out: what
is wrong with it, and what it may hold all the same, is decided in SQL (`fields.py`). Kernels check
no bounds; `quick_csv.py` allocates. One file: see `models/kernels.py`.
"""

from functools import partial

import numpy as np
import numpy.typing as npt

from recsys_assets.models.kernels import kernel
from recsys_assets.sources import byte_intrinsics
from recsys_assets.sources.byte_intrinsics import WIDE, ends_at, lowest_bit

Bytes = byte_intrinsics.Bytes
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt32 = npt.NDArray[np.uint32]
UInt64 = npt.NDArray[np.uint64]

_kernel = partial(kernel, helpers=(byte_intrinsics,))


@_kernel
def _space_at(data: Bytes, at: int, end: int) -> int:
    """Return how many bytes of white space start at `at`, as `fields.trimmed` sees it, or 0."""
    first = data[at]
    if first == 32 or 9 <= first <= 13:
        return 1
    if first == 0xC2 and at + 1 < end and data[at + 1] == 0xA0:
        return 2
    if at + 2 < end:
        second, third = data[at + 1], data[at + 2]
        if first == 0xE1 and second == 0x9A and third == 0x80:
            return 3
        if first == 0xE2 and second == 0x80:
            if 0x80 <= third <= 0x8A or third in (0xA8, 0xA9, 0xAF):
                return 3
            return 0
        if first == 0xE2 and second == 0x81 and third == 0x9F:
            return 3
        if first == 0xE3 and second == 0x80 and third == 0x80:
            return 3
        if first == 0xEF and second == 0xBB and third == 0xBF:
            return 3
    return 0


@_kernel
def _trim(data: Bytes, begin: int, end: int) -> tuple[int, int]:
    while begin < end:
        size = _space_at(data, begin, end)
        if size == 0:
            break
        begin += size
    while end > begin:
        if _space_at(data, end - 1, end) == 1:
            end -= 1
        elif end - begin >= 2 and _space_at(data, end - 2, end) == 2:
            end -= 2
        elif end - begin >= 3 and _space_at(data, end - 3, end) == 3:
            end -= 3
        else:
            break
    return begin, end


@_kernel
def _split_line(
    data: Bytes, start: int, width: int, wanted: Int32, begins: Int32, ends: Int32, record: int
) -> tuple[bool, bool]:
    """Find the fields of any line; returns whether it is sound, and has doubled quotes."""
    doubled = False
    field = 0
    at = start
    while True:
        begin = at
        while data[at] == 32:
            at += 1
        if data[at] == 34:
            at += 1
            left = at
            while True:
                while data[at] != 34 and data[at] != 10:
                    at += 1
                if data[at] == 34 and data[at + 1] == 34:
                    doubled = True
                    at += 2
                    continue
                break
            if data[at] == 10:
                return False, doubled
            right = at
            at += 1
            while data[at] == 32:
                at += 1
            if data[at] != 44:
                while data[at] == 13:
                    at += 1
                if data[at] != 10:
                    return False, doubled
        else:
            left = begin
            while data[at] != 44 and data[at] != 10 and data[at] != 34:
                at += 1
            if data[at] == 34:
                return False, doubled
            right = at
        if field < width and wanted[field] >= 0:
            begins[record, wanted[field]] = left
            ends[record, wanted[field]] = right
        field += 1
        if data[at] == 10:
            return field == width, doubled
        at += 1


@_kernel
def split_records(
    data: Bytes,
    size: int,
    width: int,
    wanted: Int32,
    required: Bytes,
    quotes: Int64,
    begins: Int32,
    ends: Int32,
    odd: Int64,
) -> tuple[int, int, int]:
    """Find the wanted fields of every sound record, trimmed; doubled quotes are undone in place.

    Quotes and line ends are found 64 bytes at a time; where all fields of a line are quoted and no
    quote is doubled, nothing else is looked at.

    Parameters
    ----------
    data, size
        Whole lines of UTF-8, of `size` bytes, and `WIDE` more bytes of any content; changed where a
        wanted field of a sound record holds doubled quotes.
    width
        Number of fields in the header.
    wanted
        For each field its column in `begins` and `ends`, or -1.
    required
        For each column 1 if the field must not be empty.
    quotes
        int64[2 * width], scratch.
    begins, ends
        To be filled: int32[lines, columns], the sound records' fields.
    odd
        To be filled: int64[lines, 4] of the other lines: number of the line (from 0), its begin,
        its end with the line end, and how many sound records come before it.

    Returns
    -------
    lines, records, others : int
        Blank lines are neither records nor others.
    """
    lines, records, others = 0, 0, 0
    start, seen = 0, 0
    most = len(quotes)
    for base in range(0, size, WIDE):
        bits = ends_at(data, base)
        while bits != np.uint64(0):
            at = base + lowest_bit(bits)
            bits &= bits - np.uint64(1)
            if at >= size:
                break
            if data[at] == 34:
                if seen < most:
                    quotes[seen] = at
                seen += 1
                continue
            sound = seen == most and quotes[0] == start
            if sound:
                for field in range(width):
                    close = quotes[2 * field + 1]
                    if field + 1 < width:
                        if data[close + 1] != 44 or quotes[2 * field + 2] != close + 2:
                            sound = False
                            break
                    elif close + 1 != at and (close + 2 != at or data[close + 1] != 13):
                        sound = False
                        break
                    if wanted[field] >= 0:
                        begins[records, wanted[field]] = quotes[2 * field] + 1
                        ends[records, wanted[field]] = close
            doubled = False
            begin, start, seen = start, at + 1, 0
            if not sound:
                if at == begin or (at == begin + 1 and data[begin] == 13):
                    lines += 1
                    continue
                sound, doubled = _split_line(data, begin, width, wanted, begins, ends, records)
            if sound:
                for column in range(len(required)):
                    left, right = begins[records, column], ends[records, column]
                    if left < right:
                        # What is not ASCII may be white space too.
                        first, last = data[left], data[right - 1]
                        if first <= 32 or first >= 128 or last <= 32 or last >= 128:
                            left, right = _trim(data, left, right)
                            begins[records, column], ends[records, column] = left, right
                    if required[column] == 1 and left >= right:
                        sound = False
            # Only now: the text of a line that is odd after all must stay as it was.
            if sound and doubled:
                for column in range(len(required)):
                    left, right = begins[records, column], ends[records, column]
                    to = left
                    while left < right:
                        data[to] = data[left]
                        left += 2 if data[left] == 34 else 1
                        to += 1
                    ends[records, column] = to
            if sound:
                records += 1
            else:
                odd[others, 0], odd[others, 1] = lines, begin
                odd[others, 2], odd[others, 3] = at + 1, records
                others += 1
            lines += 1
    return lines, records, others
