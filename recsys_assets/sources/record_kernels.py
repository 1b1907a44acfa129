# ruff: noqa: PLR0911, PLR0912, PLR0915  (numba takes flat, positional code and no closures)
"""Code that numba compiles for reading CSV: finding the fields of sound records, numbering texts.

A record that is anything but quoted or plain fields of the right number is only pointed out: what
is wrong with it, and what it may hold all the same, is decided in SQL (`fields.py`). Kernels check
no bounds; `quick_csv.py` and `interning.py` allocate. One file: see `models/kernels.py`.
"""

import numpy as np
import numpy.typing as npt

from recsys_assets.models.kernels import kernel

Bytes = npt.NDArray[np.uint8]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]

FREE = np.uint64(0xFFFFFFFFFFFFFFFF)
"""A free slot of `number_texts`."""


@kernel
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


@kernel
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


@kernel
def split_records(
    data: Bytes,
    size: int,
    width: int,
    wanted: Int32,
    required: Bytes,
    begins: Int32,
    ends: Int32,
    odd: Int64,
) -> tuple[int, int]:
    """Find the wanted fields of every sound record, trimmed; doubled quotes are undone in place.

    Parameters
    ----------
    data, size
        Whole lines of UTF-8; changed where a wanted field of a sound record holds doubled quotes.
    width
        Number of fields in the header.
    wanted
        For each field its column in `begins` and `ends`, or -1.
    required
        For each column 1 if the field must not be empty.
    begins, ends
        To be filled: int32[lines, columns], the sound records' fields.
    odd
        To be filled: int64[lines, 4] of the other lines: number of the line (from 0), its begin,
        its end with the line end, and how many sound records come before it.

    Returns
    -------
    records, others : int
        Blank lines are neither records nor others.
    """
    lines, records, others = 0, 0, 0
    at = 0
    while at < size:
        start = at
        sound = True
        doubled = False
        field = 0
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
                    sound = False
                    break
                right = at
                at += 1
                while data[at] == 32:
                    at += 1
                if data[at] != 44:
                    while data[at] == 13:
                        at += 1
                    if data[at] != 10:
                        sound = False
                        break
            else:
                left = begin
                while data[at] != 44 and data[at] != 10 and data[at] != 34:
                    at += 1
                if data[at] == 34:
                    sound = False
                    break
                right = at
            if field < width and wanted[field] >= 0:
                begins[records, wanted[field]] = left
                ends[records, wanted[field]] = right
            field += 1
            if data[at] == 10:
                break
            at += 1
        while data[at] != 10:
            at += 1
        at += 1
        length = at - start
        if length == 1 or (length == 2 and data[start] == 13):
            lines += 1
            continue
        sound = sound and field == width
        if sound:
            for column in range(len(required)):
                left, right = _trim(data, begins[records, column], ends[records, column])
                begins[records, column], ends[records, column] = left, right
                if required[column] == 1 and left == right:
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
            odd[others, 0], odd[others, 1] = lines, start
            odd[others, 2], odd[others, 3] = at, records
            others += 1
        lines += 1
    return records, others


@kernel
def hash_texts(
    data: Bytes, begins: Int32, ends: Int32, column: int, records: int, values: UInt64
) -> None:
    """Fill `values` with the hashes of ``data[begins[r, column] : ends[r, column]]``.

    A loop of its own: where hashing and looking up share one, the processor waits for every miss of
    its cache.
    """
    for record in range(records):
        value = np.uint64(0xCBF29CE484222325)
        for at in range(begins[record, column], ends[record, column]):
            value = (value ^ np.uint64(data[at])) * np.uint64(0x100000001B3)
        value ^= value >> np.uint64(29)
        value *= np.uint64(0x9E3779B97F4A7C15)
        values[record] = value ^ (value >> np.uint64(32))


@kernel
def number_texts(
    data: Bytes,
    begins: Int32,
    ends: Int32,
    column: int,
    values: UInt64,
    slots: UInt64,
    hashes: UInt64,
    offsets: Int64,
    pool: Bytes,
    count: int,
    numbers: Int32,
) -> int:
    """Give every text its number: that of an equal one, or the next (-1 for an empty one).

    Parameters
    ----------
    data, begins, ends, column
        The texts: ``data[begins[r, column] : ends[r, column]]``.
    values
        Their hashes.
    slots
        Hash table, open addressing: the upper half of the hash and the number, all ones where free;
        its size is a power of two.
    hashes, offsets, pool
        The `count` texts so far: their hashes, ``pool[offsets[n] : offsets[n + 1]]``; appended to.
    numbers
        To be filled.

    Returns
    -------
    count : int
        Texts now.
    """
    mask = np.uint64(len(slots) - 1)
    lower, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    for record in range(len(values)):
        begin, end = begins[record, column], ends[record, column]
        length = end - begin
        if length == 0:
            numbers[record] = -1
            continue
        value = values[record]
        if record > 0 and values[record - 1] == value:
            last = begins[record - 1, column]
            if ends[record - 1, column] - last == length:
                same = 0
                while same < length and data[last + same] == data[begin + same]:
                    same += 1
                if same == length:
                    numbers[record] = numbers[record - 1]
                    continue
        slot = value & mask
        while True:
            entry = slots[slot]
            if entry == FREE:
                slots[slot] = ((value >> half) << half) | np.uint64(count)
                numbers[record] = count
                hashes[count] = value
                to = offsets[count]
                for at in range(begin, end):
                    pool[to] = data[at]
                    to += 1
                count += 1
                offsets[count] = to
                break
            if entry >> half == value >> half:
                number = np.int64(entry & lower)
                held = offsets[number]
                if offsets[number + 1] - held == length:
                    same = 0
                    while same < length and pool[held + same] == data[begin + same]:
                        same += 1
                    if same == length:
                        numbers[record] = number
                        break
            slot = (slot + np.uint64(1)) & mask
    return count


@kernel
def _mixed(key: int) -> np.uint64:
    value = np.uint64(key)
    value ^= value >> np.uint64(32)
    value *= np.uint64(0xD6E8FEB86659FD93)
    value ^= value >> np.uint64(32)
    value *= np.uint64(0xD6E8FEB86659FD93)
    return value ^ (value >> np.uint64(32))


@kernel
def fill_slots(hashes: UInt64, count: int, slots: UInt64) -> None:
    """Put the texts so far into an empty, larger hash table."""
    mask, half = np.uint64(len(slots) - 1), np.uint64(32)
    for number in range(count):
        slot = hashes[number] & mask
        while slots[slot] != FREE:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = ((hashes[number] >> half) << half) | np.uint64(number)


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

    `held[:count]` are the keys so far, appended to; `slots` as for `number_texts`.
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


@kernel
def places_in_groups(groups: Int32, starts: Int64, places: Int32) -> None:
    """Number the rows of every group from 0, in their order.

    Fills `places` int32[rows], and `starts` int64[groups + 1]: where each group begins when rows are
    sorted by group and place.
    """
    starts[:] = 0
    for row in range(len(groups)):
        places[row] = starts[groups[row] + 1]
        starts[groups[row] + 1] += 1
    for group in range(len(starts) - 1):
        starts[group + 1] += starts[group]


@kernel
def sort_by_place(
    items: Int32, groups: Int32, starts: Int64, places: Int32, sorted_items: Int32
) -> None:
    """Fill `sorted_items` with `items` in order of group and place."""
    for row in range(len(items)):
        sorted_items[starts[groups[row]] + places[row]] = items[row]


@kernel
def mark_first(items: Int32, starts: Int64, last: Int32, first: Bytes) -> None:
    """Mark the first row of every item within each group of consecutive rows.

    `last` int32[items], all -1, is scratch; rows without an item (-1) are not marked.
    """
    for group in range(len(starts) - 1):
        for row in range(starts[group], starts[group + 1]):
            item = items[row]
            if item >= 0 and last[item] != group:
                last[item] = group
                first[row] = 1


@kernel
def local_numbers(numbers: Int32, local: Int32, distinct: Int32, out: Int32) -> int:
    """Number the distinct values of a stretch of rows anew, from 0 in order of appearance.

    `local` int32[values], all -1, is scratch and left so; `distinct` takes the values, `out` the
    new numbers (-1 stays); returns how many there are.
    """
    count = 0
    for row in range(len(numbers)):
        number = numbers[row]
        if number < 0:
            out[row] = -1
            continue
        if local[number] < 0:
            local[number] = count
            distinct[count] = number
            count += 1
        out[row] = local[number]
    for at in range(count):
        local[distinct[at]] = -1
    return count
