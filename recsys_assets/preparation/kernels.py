# ruff: noqa: PLR0912  (numba takes flat, positional code and no closures)
"""Code that numba compiles for preparation: counting training playlists, and putting ids in order.

Sorting by a count and then by millions of strings is most of what a catalogue costs, and an engine
that sorts whole rows moves the strings many times. Kernels check no bounds; `coded_rows.py` and
`catalog.py` allocate. One file: see `models/kernels.py`.
"""

import numpy as np
import numpy.typing as npt

from recsys_assets.models.kernels import kernel
from recsys_assets.playlists import Int32, Int64

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
UInt64 = npt.NDArray[np.uint64]

_WORD = 8
_FEW = 16
"""Ranges up to this are sorted by insertion."""


@kernel
def count_items(playlists: Int32, items: Int32, first: Bools, chosen: Bools, counts: Int32) -> None:
    """Add to `counts` how many of the chosen playlists hold each item.

    Parameters
    ----------
    playlists, items, first
        Of each row: its playlist, its item, and whether it is the playlist's first row of the item.
    chosen
        Of each playlist.
    """
    for row in range(len(items)):
        if first[row] and chosen[playlists[row]]:
            counts[items[row]] += 1


@kernel
def take_lists(
    tracks: Int32, starts: Int64, playlists: Int32, offsets: Int32, items: Int32
) -> None:
    """Fill `items` with the lists of some playlists, one after the other.

    Parameters
    ----------
    tracks, starts
        Playlist n holds ``tracks[starts[n] : starts[n + 1]]``.
    playlists, offsets
        The playlists to be taken, and where each one's list begins in `items`.
    """
    for place in range(len(playlists)):
        to = offsets[place]
        for row in range(starts[playlists[place]], starts[playlists[place] + 1]):
            items[to] = tracks[row]
            to += 1


@kernel
def find_tails(
    data: Bytes, offsets: Int32 | Int64, whole: Bytes, places: Int32 | Int64, lengths: Int32
) -> None:
    """Fill `lengths` with those of texts that other texts end with, and -1 for the rest.

    Parameters
    ----------
    data, offsets
        Text n is ``data[offsets[n] : offsets[n + 1]]``.
    whole, places
        The other texts, in the same way.
    """
    for text in range(len(lengths)):
        length = offsets[text + 1] - offsets[text]
        lengths[text] = -1
        if length <= places[text + 1] - places[text]:
            begin, its = offsets[text], places[text + 1] - length
            at = 0
            while at < length and data[begin + at] == whole[its + at]:
                at += 1
            if at == length:
                lengths[text] = length


@kernel
def tail_offsets(lengths: Int32, other_places: Int32 | Int64, offsets: Int64) -> None:
    """Fill `offsets` int64[texts + 1] with where each text begins; see `take_tails`."""
    offsets[0] = 0
    for text in range(len(lengths)):
        length = np.int64(lengths[text])
        if length < 0:
            length = other_places[-length] - other_places[-1 - length]
        offsets[text + 1] = offsets[text] + length


@kernel
def take_tails(
    rows: Int32,
    lengths: Int32,
    whole: Bytes,
    places: Int32 | Int64,
    others: Bytes,
    other_places: Int32 | Int64,
    offsets: Int64,
    data: Bytes,
) -> None:
    """Fill `data` with texts, each the end of another or one of `others`.

    Parameters
    ----------
    rows
        The end of ``whole[places[row] : places[row + 1]]``,
    lengths
        of that many bytes; or, at -1 - n, ``others[other_places[n] : other_places[n + 1]]``.
    offsets
        From `tail_offsets`.
    """
    for text in range(len(rows)):
        to, length = offsets[text], np.int64(lengths[text])
        if length >= 0:
            begin = np.int64(places[rows[text] + 1]) - length
            for at in range(length):
                data[to + at] = whole[begin + at]
        else:
            begin = np.int64(other_places[-1 - length])
            for at in range(offsets[text + 1] - to):
                data[to + at] = others[begin + at]


@kernel
def bucket_by_count(counts: Int32, starts: Int64, order: Int32) -> None:
    """Fill `order` with the items by falling count, those of one count in their order.

    `starts` int64[largest count + 2], all 0, becomes where the items of each count begin: count c
    is ``order[starts[largest - c] : starts[largest - c + 1]]``.
    """
    largest = len(starts) - 2
    for item in range(len(counts)):
        starts[largest - counts[item] + 1] += 1
    for bucket in range(largest + 1):
        starts[bucket + 1] += starts[bucket]
    for item in range(len(counts)):
        bucket = largest - counts[item]
        order[starts[bucket]] = item
        starts[bucket] += 1
    for bucket in range(largest, 0, -1):
        starts[bucket] = starts[bucket - 1]
    starts[0] = 0


@kernel
def _word_at(data: Bytes, begin: int, end: int) -> np.uint64:
    """Return up to eight bytes as a number that sorts as they do; missing ones are 0."""
    word = np.uint64(0)
    if begin + 8 <= end:
        for at in range(begin, begin + 8):
            word = (word << np.uint64(8)) | np.uint64(data[at])
        return word
    for at in range(begin, end):
        word |= np.uint64(data[at]) << np.uint64(8 * (7 - (at - begin)))
    return word


@kernel
def _follows(data: Bytes, offsets: Int32 | Int64, one: int, other: int, start: int) -> bool:
    """Say whether text `one` comes after `other`, which are alike before byte `start`.

    Zeros that filled a word up are alike too: then the shorter text is a beginning of the longer.
    """
    at, its = offsets[one], offsets[other]
    length, its_length = offsets[one + 1] - at, offsets[other + 1] - its
    for byte in range(start, min(length, its_length)):
        if data[at + byte] != data[its + byte]:
            return bool(data[at + byte] > data[its + byte])
    return bool(length > its_length)


@kernel
def sort_texts(
    data: Bytes, offsets: Int32 | Int64, order: Int32, words: UInt64, begin: int, end: int
) -> None:
    """Sort ``order[begin:end]`` by the bytes of the texts that it numbers, in place.

    Multikey quicksort (Bentley and Sedgewick 1997) on words of eight bytes, each fetched once.

    Parameters
    ----------
    data, offsets
        Text n is ``data[offsets[n] : offsets[n + 1]]``.
    words
        Scratch, as long as `order`.
    """
    stack = np.empty(
        (64, 4), np.int64
    )  # begin, end, words that are alike, whether they are fetched
    stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3] = begin, end, 0, 0
    top = 1
    while top > 0:
        top -= 1
        low, high, depth, fetched = stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3]
        if high - low < 2:
            continue
        more = fetched == 1
        if fetched == 0:
            for at in range(low, high):
                first = offsets[order[at]] + depth * _WORD
                last = offsets[order[at] + 1]
                words[at] = _word_at(data, first, last)
                more |= first < last
        if high - low <= _FEW or not more:
            for at in range(low + 1, high):
                word, text = words[at], order[at]
                to = at
                while to > low and (
                    words[to - 1] > word
                    or (
                        words[to - 1] == word
                        and _follows(data, offsets, order[to - 1], text, (depth + 1) * _WORD)
                    )
                ):
                    words[to], order[to] = words[to - 1], order[to - 1]
                    to -= 1
                words[to], order[to] = word, text
            continue
        one, two, three = words[low], words[low + (high - low) // 2], words[high - 1]
        pivot = max(min(one, two), min(max(one, two), three))
        less, at, greater = low, low, high
        while at < greater:
            word = words[at]
            if word < pivot:
                words[at], words[less] = words[less], word
                order[at], order[less] = order[less], order[at]
                less += 1
                at += 1
            elif word > pivot:
                greater -= 1
                words[at], words[greater] = words[greater], word
                order[at], order[greater] = order[greater], order[at]
            else:
                at += 1
        if top + 3 > len(stack):
            larger = np.empty((2 * len(stack), 4), np.int64)
            larger[:top] = stack[:top]
            stack = larger
        for left, right, deeper in ((low, less, 0), (greater, high, 0), (less, greater, 1)):
            stack[top, 0], stack[top, 1] = left, right
            stack[top, 2], stack[top, 3] = depth + deeper, 1 - deeper
            top += 1
