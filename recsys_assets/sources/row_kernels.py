"""Code that numba compiles for rows of numbers: places in playlists, first rows, numbering anew.

Kernels check no bounds; `quick_write.py` allocates. One file: see `models/kernels.py`.
"""

import numpy as np

from recsys_assets.models.kernels import kernel
from recsys_assets.sources.record_kernels import Bytes, Int32, Int64

ROWS, PLAYLISTS, _LAST = 0, 1, 2
"""Columns of what `code_rows` counts: rows, playlists, and the playlist that was met last."""


@kernel
def count_rows(groups: Int32, last: int, counts: Int64) -> bool:
    """Add the rows of each group to `counts` int64[groups + 1], one place further on.

    Returns whether the rows are in order of their group already, `last` being that of the row before.
    """
    in_order = True
    for row in range(len(groups)):
        in_order &= groups[row] >= last
        last = groups[row]
        counts[last + 1] += 1
    return in_order


@kernel
def number_rows(groups: Int32, seen: Int32, places: Int32) -> None:
    """Number the rows of every group from 0, in their order, into `places` int32[rows].

    `seen` int32[groups] counts the rows of earlier calls.
    """
    for row in range(len(groups)):
        places[row] = seen[groups[row]]
        seen[groups[row]] += 1


@kernel
def sort_rows(items: Int32, groups: Int32, following: Int64, sorted_items: Int32) -> None:
    """Put `items` into `sorted_items` in order of group, and within a group in their order.

    `following` int64[groups + 1] says where the next one of each group goes, and is moved on.
    """
    for row in range(len(items)):
        sorted_items[following[groups[row]]] = items[row]
        following[groups[row]] += 1


def no_counts(values: int) -> Int32:
    """Return int32[values, 3] for `code_rows`: nothing counted, and met in no playlist."""
    counts = np.zeros((values, 3), np.int32)
    counts[:, _LAST] = -1
    return counts


@kernel
def code_rows(
    begin: int,
    songs: Int32,
    artist_of: Int32,
    starts: Int64,
    counts: Int32,
    artist_counts: Int32,
    playlists: Int32,
    places: Int32,
    artists: Int32,
    first: Bytes,
    first_artist: Bytes,
) -> None:
    """Fill the columns of a stretch of rows that are sorted by playlist and place.

    Parameters
    ----------
    begin
        Row number of the first one; the stretches come in order.
    songs
        Of the stretch, int32[rows].
    artist_of
        Artist of each song, negative without one.
    starts
        Where every playlist begins; none is empty.
    counts, artist_counts
        From `no_counts`; added to.
    playlists, places, artists, first, first_artist
        To be filled; `first` and `first_artist` are 1 in the playlist's first row of the value.
    """
    playlist = np.searchsorted(starts, begin, side="right") - 1
    for row in range(len(songs)):
        while starts[playlist + 1] <= begin + row:
            playlist += 1
        playlists[row] = playlist
        places[row] = begin + row - starts[playlist]
        song = songs[row]
        artist = max(artist_of[song], np.int32(-1))
        artists[row] = artist
        first[row], first_artist[row] = 0, 0
        counts[song, ROWS] += 1
        if counts[song, _LAST] != playlist:
            counts[song, _LAST] = playlist
            counts[song, PLAYLISTS] += 1
            first[row] = 1
        if artist >= 0:
            artist_counts[artist, ROWS] += 1
            if artist_counts[artist, _LAST] != playlist:
                artist_counts[artist, _LAST] = playlist
                artist_counts[artist, PLAYLISTS] += 1
                first_artist[row] = 1


@kernel
def mark_values(numbers: Int32, local: Int32) -> None:
    """Put 0 at every value that occurs in `numbers` int32[rows], -1 being none."""
    for row in range(len(numbers)):
        if numbers[row] >= 0:
            local[numbers[row]] = 0


@kernel
def number_values(local: Int32, distinct: Int32) -> int:
    """Number the marked values from 0, in their order; `distinct` takes them; returns how many.

    In order of the values, so that what belongs to them is found in order of memory.
    """
    count = 0
    for number in range(len(local)):
        if local[number] == 0:
            local[number] = count
            distinct[count] = number
            count += 1
    return count


@kernel
def take(values: Int32, numbers: Int32, taken: Int32) -> None:
    """Fill `taken` with ``values[numbers]``, in a third of numpy's time."""
    for row in range(len(numbers)):
        taken[row] = values[numbers[row]]
