"""How many neighbours each item may keep, so that all rows together fit a given memory.

Shared by the families that learn a sparse row of weighted neighbours for every item
(`cooccurrence.py`, `pair_counts.py`). What the weights are, and the kernels that add them up, belong
elsewhere.
"""

import numpy as np

from recsys_assets.errors import DataError
from recsys_assets.playlists import Int64

BYTES_PER_NEIGHBOUR = 8
"""An int32 index and a float32 weight."""


def row_limits(
    plays: Int64, pairs: Int64, max_neighbours: int, memory_mb: int, family: str
) -> Int64:
    """Return how many neighbours each item may keep, int64[items].

    Where `max_neighbours` of every item would take more than `memory_mb`, an item keeps so many for
    each of its plays, the largest whole number that fits: what stood once in one playlist says
    little, but such items are most of a large catalogue.

    Parameters
    ----------
    plays : int64[items]
        How often (or in how many playlists) each item was seen.
    pairs : int64[items]
        An upper bound on each item's neighbours.
    max_neighbours
        Most neighbours of any item.
    memory_mb
        MiB that all rows may take, 8 bytes a neighbour.

    Raises
    ------
    DataError
        If not even one neighbour for each play fits.
    """
    room = memory_mb * 2**20 // BYTES_PER_NEIGHBOUR
    most = np.minimum(pairs, max_neighbours)
    if most.sum() <= room:
        return most
    low, high = 0, max_neighbours  # low fits, high does not
    while high - low > 1:
        middle = (low + high) // 2
        if np.minimum(most, plays * middle).sum() <= room:
            low = middle
        else:
            high = middle
    if low == 0:
        needed = -(-int(np.minimum(most, plays).sum()) * BYTES_PER_NEIGHBOUR // 2**20)
        raise DataError(
            f"{family}: memory_mb = {memory_mb} holds fewer than one neighbour for each of "
            f"{int(plays.sum()):,} plays; set memory_mb to {needed} or more in the candidates file, "
            "or train on less with RECSYS_SAMPLE_PERCENT"
        )
    return np.minimum(most, plays * low)
