# ruff: noqa: PLR0912, PLR0915, SIM110  (numba takes flat, positional code and no closures)
"""Code that numba compiles for numbering: distinct texts, and songs.

Hash tables with open addressing; equal hashes are never taken for equal values. Kernels check no
bounds; `interning.py` and `songs.py` allocate. One file: see `models/kernels.py`.
"""

from functools import partial

import numpy as np

from recsys_assets.models.kernels import kernel
from recsys_assets.sources import byte_intrinsics
from recsys_assets.sources.byte_intrinsics import fetch, word_at
from recsys_assets.sources.record_kernels import Bytes, Int32, Int64, UInt32, UInt64

_kernel = partial(kernel, helpers=(byte_intrinsics,))

FREE = np.uint64(0xFFFFFFFFFFFFFFFF)
"""A free slot. Others hold the hash in their upper half and the number in the lower one."""

TITLE_BITS = 24
"""So many bits of a song's place are the length of its title: see `number_songs`."""

_AT_ONCE = 64
"""Look-ups that wait for memory together."""


@_kernel
def _equal(data: Bytes, begin: int, other: Bytes, other_begin: int, length: int) -> bool:
    """Tell whether two stretches of bytes are the same."""
    if length < 8:
        for at in range(length):
            if data[begin + at] != other[other_begin + at]:
                return False
        return True
    last = length - 8
    for at in range(0, last, 8):
        if word_at(data, begin + at) != word_at(other, other_begin + at):
            return False
    return bool(word_at(data, begin + last) == word_at(other, other_begin + last))


@_kernel
def _hashed(data: Bytes, begin: int, end: int, value: np.uint64) -> np.uint64:
    """Return `value` mixed with ``data[begin:end]``, 32 bits in the lower half."""
    value ^= np.uint64(end - begin) * np.uint64(0x9E3779B97F4A7C15)
    if end - begin < 8:
        for at in range(begin, end):
            value = (value ^ np.uint64(data[at])) * np.uint64(0x100000001B3)
    else:
        for at in range(begin, end - 8, 8):
            value = (value ^ word_at(data, at)) * np.uint64(0xD6E8FEB86659FD93)
            value ^= value >> np.uint64(32)
        value ^= word_at(data, end - 8)
    value *= np.uint64(0xD6E8FEB86659FD93)
    value ^= value >> np.uint64(32)
    value *= np.uint64(0xD6E8FEB86659FD93)
    return value ^ (value >> np.uint64(32))


@_kernel
def hash_songs(data: Bytes, begins: Int32, ends: Int32, records: int, values: UInt32) -> None:
    """Fill `values` uint32[records] with the hashes of artist and title, columns 1 and 2.

    A loop of its own: where hashing and looking up share one, the processor waits for every miss of
    its cache.
    """
    for record in range(records):
        value = _hashed(data, begins[record, 1], ends[record, 1], np.uint64(1))
        value = _hashed(data, begins[record, 2], ends[record, 2], value)
        values[record] = np.uint32(value)


@_kernel
def _of_playlist(value: np.uint64, playlist: int) -> np.uint64:
    """Return the hash of a song without an artist, 32 bits, which is one of its playlist alone.

    Equal hashes would make one chain of all playlists that hold a title, and time grow with its
    square.
    """
    return (value ^ (np.uint64(playlist) * np.uint64(0x9E3779B1))) & np.uint64(0xFFFFFFFF)


@_kernel
def _copied(data: Bytes, begin: int, end: int, pool: Bytes, to: int) -> int:
    for at in range(begin, end):
        pool[to] = data[at]
        to += 1
    return to


@_kernel
def number_songs(
    data: Bytes,
    begins: Int32,
    ends: Int32,
    playlists: Int32,
    values: UInt32,
    slots: UInt64,
    starts: Int64,
    artists: Int32,
    pool: Bytes,
    count: int,
    numbers: Int32,
    fresh: Int32,
) -> int:
    """Give every song its number: that of an equal one, or the next.

    Equal are songs of the same title by the same artist; without an artist, those of the same title
    in the same playlist.

    Parameters
    ----------
    data, begins, ends
        The songs: columns 1 (artist) and 2 (title) of ``data[begins[r, c] : ends[r, c]]``.
    playlists
        The playlist of each row.
    values
        From `hash_songs`; changed where there is no artist.
    slots
        Hash table; its size is a power of two.
    starts, artists, pool
        The `count` songs so far; appended to. Artist and title of song `n` stand one behind the
        other from ``starts[n] >> TITLE_BITS`` of the pool, the lower bits are the title's length;
        `artists` is -1 - playlist where there is no artist, and 0 for a new song that has one.
    numbers
        To be filled.
    fresh
        To be filled with the records of the new songs.

    Returns
    -------
    count : int
        Songs now.
    """
    before = count
    mask = np.uint64(len(slots) - 1)
    lower, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    title_mask = (np.int64(1) << TITLE_BITS) - 1
    for record in range(len(values)):
        if begins[record, 1] == ends[record, 1]:
            values[record] = np.uint32(_of_playlist(np.uint64(values[record]), playlists[record]))
    entries = np.empty(_AT_ONCE, np.uint64)
    found = np.empty(_AT_ONCE, np.int64)
    heads = np.empty(_AT_ONCE, np.int64)
    tails = np.empty(_AT_ONCE, np.int64)
    for first in range(0, len(values), _AT_ONCE):
        size = min(_AT_ONCE, len(values) - first)
        # Independent reads one after the other, so that their misses overlap.
        for at in range(size):
            value = np.uint64(values[first + at])
            entries[at] = slots[value & mask]
        for at in range(size):
            value = np.uint64(values[first + at])
            slot, entry = value & mask, entries[at]
            while entry != FREE and entry >> half != value:
                slot = (slot + np.uint64(1)) & mask
                entry = slots[slot]
            found[at] = -1 if entry == FREE else np.int64(entry & lower)
        for at in range(size):
            if found[at] >= 0:
                heads[at] = starts[found[at]]
                tails[at] = starts[found[at] + 1]
                fetch(pool, heads[at] >> TITLE_BITS)
        for at in range(size):
            record = first + at
            artist, title = begins[record, 1], begins[record, 2]
            artist_length = ends[record, 1] - artist
            title_length = ends[record, 2] - title
            number = found[at]
            if number >= 0 and (heads[at] & title_mask) == title_length:
                head = heads[at] >> TITLE_BITS
                if (
                    (tails[at] >> TITLE_BITS) - head == artist_length + title_length
                    and _equal(data, artist, pool, head, artist_length)
                    and _equal(data, title, pool, head + artist_length, title_length)
                    and (artist_length > 0 or artists[number] == -1 - playlists[record])
                ):
                    numbers[record] = number
                    continue
            value = np.uint64(values[record])
            slot = value & mask
            while True:
                entry = slots[slot]
                if entry == FREE:
                    slots[slot] = (value << half) | np.uint64(count)
                    numbers[record] = count
                    artists[count] = 0 if artist_length > 0 else -1 - playlists[record]
                    to = starts[count] >> TITLE_BITS
                    starts[count] |= title_length
                    to = _copied(data, artist, ends[record, 1], pool, to)
                    to = _copied(data, title, ends[record, 2], pool, to)
                    fresh[count - before] = record
                    count += 1
                    starts[count] = to << TITLE_BITS
                    break
                if entry >> half == value:
                    number = np.int64(entry & lower)
                    head = starts[number] >> TITLE_BITS
                    if (
                        (starts[number] & title_mask) == title_length
                        and (starts[number + 1] >> TITLE_BITS) - head
                        == artist_length + title_length
                        and _equal(data, artist, pool, head, artist_length)
                        and _equal(data, title, pool, head + artist_length, title_length)
                        and (artist_length > 0 or artists[number] == -1 - playlists[record])
                    ):
                        numbers[record] = number
                        break
                slot = (slot + np.uint64(1)) & mask
    return count


@_kernel
def number_texts(
    data: Bytes,
    begins: Int32,
    ends: Int32,
    column: int,
    records: int,
    slots: UInt64,
    offsets: Int64,
    pool: Bytes,
    count: int,
    numbers: Int32,
) -> int:
    """Give every text its number: that of an equal one, or the next (-1 for an empty one).

    Parameters
    ----------
    data, begins, ends, column, records
        The texts: ``data[begins[r, column] : ends[r, column]]``.
    slots
        Hash table; its size is a power of two.
    offsets, pool
        The `count` texts so far: ``pool[offsets[n] : offsets[n + 1]]``; appended to.
    numbers
        To be filled.

    Returns
    -------
    count : int
        Texts now.
    """
    mask = np.uint64(len(slots) - 1)
    lower, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    for record in range(records):
        begin, end = begins[record, column], ends[record, column]
        length = end - begin
        if length == 0:
            numbers[record] = -1
            continue
        if record > 0:
            last = begins[record - 1, column]
            if ends[record - 1, column] - last == length and _equal(
                data, begin, data, last, length
            ):
                numbers[record] = numbers[record - 1]
                continue
        value = _hashed(data, begin, end, np.uint64(1)) & lower
        slot = value & mask
        while True:
            entry = slots[slot]
            if entry == FREE:
                slots[slot] = (value << half) | np.uint64(count)
                numbers[record] = count
                to = _copied(data, begin, end, pool, offsets[count])
                count += 1
                offsets[count] = to
                break
            if entry >> half == value:
                number = np.int64(entry & lower)
                held = offsets[number]
                if offsets[number + 1] - held == length and _equal(data, begin, pool, held, length):
                    numbers[record] = number
                    break
            slot = (slot + np.uint64(1)) & mask
    return count


@_kernel
def move_slots(slots: UInt64, larger: UInt64) -> None:
    """Put what a hash table holds into an empty, larger one."""
    mask = np.uint64(len(larger) - 1)
    for entry in slots:
        if entry != FREE:
            slot = (entry >> np.uint64(32)) & mask
            while larger[slot] != FREE:
                slot = (slot + np.uint64(1)) & mask
            larger[slot] = entry


@_kernel
def _put(slots: UInt64, value: np.uint64, number: int) -> None:
    """Put a number of hash `value` into a table that does not hold it."""
    mask = np.uint64(len(slots) - 1)
    slot = value & mask
    while slots[slot] != FREE:
        slot = (slot + np.uint64(1)) & mask
    slots[slot] = (value << np.uint64(32)) | np.uint64(number)


@_kernel
def fill_text_slots(offsets: Int64, pool: Bytes, count: int, slots: UInt64) -> None:
    """Put distinct texts into an empty hash table."""
    for number in range(count):
        value = _hashed(pool, offsets[number], offsets[number + 1], np.uint64(1))
        value &= np.uint64(0xFFFFFFFF)
        _put(slots, value, number)


@_kernel
def fill_song_slots(starts: Int64, artists: Int32, pool: Bytes, count: int, slots: UInt64) -> None:
    """Put distinct songs into an empty hash table."""
    for number in range(count):
        head, tail = starts[number] >> TITLE_BITS, starts[number + 1] >> TITLE_BITS
        middle = tail - (starts[number] & ((np.int64(1) << TITLE_BITS) - 1))
        value = _hashed(pool, head, middle, np.uint64(1))
        value = _hashed(pool, middle, tail, value) & np.uint64(0xFFFFFFFF)
        if artists[number] < 0:
            value = _of_playlist(value, -1 - artists[number])
        _put(slots, value, number)


@_kernel
def first_of_title(starts: Int64, pool: Bytes, count: int, slots: UInt64, titles: Int32) -> None:
    """Fill `titles` int32[count] with the first song that has the title of each song.

    `slots` is an empty hash table.
    """
    mask = np.uint64(len(slots) - 1)
    lower, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    title_mask = (np.int64(1) << TITLE_BITS) - 1
    for number in range(count):
        length = starts[number] & title_mask
        end = starts[number + 1] >> TITLE_BITS
        value = _hashed(pool, end - length, end, np.uint64(1)) & lower
        slot = value & mask
        while True:
            entry = slots[slot]
            if entry == FREE:
                slots[slot] = (value << half) | np.uint64(number)
                titles[number] = number
                break
            if entry >> half == value:
                first = np.int64(entry & lower)
                if (starts[first] & title_mask) == length:
                    other = (starts[first + 1] >> TITLE_BITS) - length
                    if _equal(pool, end - length, pool, other, length):
                        titles[number] = first
                        break
            slot = (slot + np.uint64(1)) & mask
