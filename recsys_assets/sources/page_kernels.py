"""Code that numba compiles for writing: texts, ids and integers as the bytes of parquet pages.

Encodings are those of the Apache Parquet format, version 2. Kernels check no bounds;
`parquet_pages.py` and `quick_write.py` allocate. One file: see `models/kernels.py`.
"""

import numpy as np

from recsys_assets.models.kernels import kernel
from recsys_assets.sources.record_kernels import Bytes, Int32, Int64

LEAST_RUN = 16
"""Shorter runs of one value are packed like other values."""

DELTAS, MINIBLOCKS = 128, 4
"""Values of a block of differences, and its parts of one width each."""

_PIPE, _BACKSLASH = 124, 92


# --- texts ----------------------------------------------------------------------------------------
@kernel
def _put_length(length: int, out: Bytes, to: int) -> None:
    for at in range(4):
        out[to + at] = (length >> (8 * at)) & 255


@kernel
def put_texts(
    pool: Bytes, begins: Int64, ends: Int64, prefix: int, out: Bytes, offsets: Int64
) -> None:
    """Put ``pool[begins[n] : ends[n]]`` one behind the other into `out`.

    `prefix` is 4 for plain parquet values, which begin with their length, or 0; `offsets`
    int64[texts + 1] is filled with where each begins, its prefix included.
    """
    to = 0
    offsets[0] = 0
    for number in range(len(begins)):
        begin, end = begins[number], ends[number]
        if prefix > 0:
            _put_length(end - begin, out, to)
        to += prefix
        for at in range(begin, end):
            out[to] = pool[at]
            to += 1
        offsets[number + 1] = to


@kernel
def _put_escaped(pool: Bytes, begin: int, end: int, times: int, out: Bytes, to: int) -> int:
    """Put a text with a backslash before pipes and backslashes, once or twice; returns its end."""
    for at in range(begin, end):
        one = pool[at]
        if one in (_PIPE, _BACKSLASH):
            before = 1 if times == 1 else 3
            for _ in range(before):
                out[to] = _BACKSLASH
                to += 1
        out[to] = one
        to += 1
    return to


@kernel
def _put_separator(times: int, out: Bytes, to: int) -> int:
    """Put `|||`, escaped so many times (0 or 1); returns its end."""
    for _ in range(3):
        if times > 0:
            out[to] = _BACKSLASH
            to += 1
        out[to] = _PIPE
        to += 1
    return to


@kernel
def put_playlist_ids(
    chosen: Int32,
    user_of: Int32,
    name_of: Int32,
    user_offsets: Int64,
    user_pool: Bytes,
    name_offsets: Int64,
    name_pool: Bytes,
    prefix: int,
    out: Bytes,
    offsets: Int64,
) -> None:
    """Put the ids of the chosen playlists into `out`, as ``fields.joined`` forms them.

    Each takes at most ``prefix + 3 + 2 * (len(user) + len(name))`` bytes; see `put_texts`.
    """
    to = 0
    offsets[0] = 0
    for number in range(len(chosen)):
        user, name = user_of[chosen[number]], name_of[chosen[number]]
        start = to
        to += prefix
        to = _put_escaped(user_pool, user_offsets[user], user_offsets[user + 1], 1, out, to)
        to = _put_separator(0, out, to)
        to = _put_escaped(name_pool, name_offsets[name], name_offsets[name + 1], 1, out, to)
        if prefix > 0:
            _put_length(to - start - prefix, out, start)
        offsets[number + 1] = to


@kernel
def put_song_ids(
    chosen: Int32,
    starts: Int64,
    title_bits: int,
    artists: Int32,
    pool: Bytes,
    user_of: Int32,
    name_of: Int32,
    user_offsets: Int64,
    user_pool: Bytes,
    name_offsets: Int64,
    name_pool: Bytes,
    prefix: int,
    out: Bytes,
    offsets: Int64,
) -> None:
    """Put the ids of the chosen songs into `out`, as ``fields.scoped_id`` forms them.

    Each takes at most ``prefix + 3 + 2 * (len(artist) + len(title))`` bytes, and without an artist
    ``9 + 4 * (len(user) + len(name))`` more; see `put_texts` and, for the songs, `songs.py`.
    """
    to = 0
    offsets[0] = 0
    for number in range(len(chosen)):
        song = chosen[number]
        head, tail = starts[song] >> title_bits, starts[song + 1] >> title_bits
        middle = tail - (starts[song] & ((np.int64(1) << title_bits) - 1))
        start = to
        to += prefix
        to = _put_escaped(pool, head, middle, 1, out, to)
        to = _put_separator(0, out, to)
        to = _put_escaped(pool, middle, tail, 1, out, to)
        if artists[song] < 0:
            playlist = -1 - artists[song]
            user, name = user_of[playlist], name_of[playlist]
            to = _put_separator(0, out, to)
            to = _put_escaped(user_pool, user_offsets[user], user_offsets[user + 1], 2, out, to)
            to = _put_separator(1, out, to)
            to = _put_escaped(name_pool, name_offsets[name], name_offsets[name + 1], 2, out, to)
        if prefix > 0:
            _put_length(to - start - prefix, out, start)
        offsets[number + 1] = to


# --- integers -------------------------------------------------------------------------------------
@kernel
def _put_varint(value: int, out: Bytes, to: int) -> int:
    left = np.uint64(value)
    while left >= np.uint64(128):
        out[to] = np.uint8(left & np.uint64(127)) | np.uint8(128)
        left >>= np.uint64(7)
        to += 1
    out[to] = np.uint8(left)
    return to + 1


@kernel
def _put_bits(values: Int64, begin: int, end: int, width: int, out: Bytes, to: int) -> int:
    """Put values of `width` bits each, the lowest first; ``(end - begin) * width`` is whole bytes."""
    held, bits = np.uint64(0), 0
    for at in range(begin, end):
        value = np.uint64(values[at])
        held |= value << np.uint64(bits)
        bits += width
        while bits >= 8:
            out[to] = np.uint8(held & np.uint64(255))
            held >>= np.uint64(8)
            bits -= 8
            to += 1
    return to


@kernel
def _put_packed(values: Int32, begin: int, end: int, width: int, out: Bytes, to: int) -> int:
    """Put a bit-packed run: groups of eight, the last one filled up with zeros."""
    groups = (end - begin + 7) // 8
    to = _put_varint((groups << 1) | 1, out, to)
    held, bits = np.uint64(0), 0
    for at in range(begin, begin + 8 * groups):
        if at < end:
            held |= np.uint64(values[at]) << np.uint64(bits)
        bits += width
        if bits >= 32:
            for shift in range(0, 32, 8):
                out[to] = np.uint8((held >> np.uint64(shift)) & np.uint64(255))
                to += 1
            held >>= np.uint64(32)
            bits -= 32
    while bits > 0:
        out[to] = np.uint8(held & np.uint64(255))
        held >>= np.uint64(8)
        bits -= 8
        to += 1
    return to


@kernel
def put_runs(values: Int32, width: int, out: Bytes) -> int:
    """Fill `out` with numbers of `width` bits (1 to 31), in parquet's hybrid of runs and packed bits.

    Takes at most ``len(values) * width / 8`` bytes, and one more for every value; returns how many.
    """
    to, at, start = 0, 0, 0
    while at < len(values):
        run = 1
        while at + run < len(values) and values[at + run] == values[at]:
            run += 1
        fill = (start - at) & 7  # what is packed before a run is a multiple of eight
        if run - fill >= LEAST_RUN:
            if at + fill > start:
                to = _put_packed(values, start, at + fill, width, out, to)
            to = _put_varint((run - fill) << 1, out, to)
            for shift in range(0, width, 8):
                out[to] = np.uint8((values[at] >> shift) & 255)
                to += 1
            start = at + run
        at += run
    if start < at:
        to = _put_packed(values, start, at, width, out, to)
    return to


@kernel
def put_deltas(values: Int32, out: Bytes) -> int:
    """Fill `out` with integers as the differences between neighbours (DELTA_BINARY_PACKED).

    Takes at most ``8 * len(values) + 2048`` bytes; returns how many.
    """
    to = _put_varint(DELTAS, out, 0)
    to = _put_varint(MINIBLOCKS, out, to)
    to = _put_varint(len(values), out, to)
    if len(values) == 0:
        return _put_varint(0, out, to)
    value = np.int64(values[0])
    to = _put_varint(int((value << 1) ^ (value >> 63)), out, to)
    deltas = np.zeros(DELTAS, np.int64)
    each = DELTAS // MINIBLOCKS
    for first in range(1, len(values), DELTAS):
        size = min(DELTAS, len(values) - first)
        least = np.int64(0x7FFFFFFF)
        for at in range(size):
            delta = np.int64(values[first + at]) - np.int64(values[first + at - 1])
            # Readers count in 32 bits: what is beyond comes out at the other end.
            deltas[at] = ((delta + 0x80000000) & 0xFFFFFFFF) - 0x80000000
            least = min(least, deltas[at])
        to = _put_varint(int((least << 1) ^ (least >> 63)), out, to)
        for at in range(DELTAS):
            deltas[at] = deltas[at] - least if at < size else 0
        widths = to
        to += MINIBLOCKS
        for part in range(MINIBLOCKS):
            most = np.int64(0)
            for at in range(part * each, (part + 1) * each):
                most = max(most, deltas[at])
            width = 0
            while most >> width > 0:
                width += 1
            out[widths + part] = width
            if width > 0:
                to = _put_bits(deltas, part * each, (part + 1) * each, width, out, to)
    return to
