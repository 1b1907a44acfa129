# ruff: noqa: PLR0912  (numba takes flat, positional arguments and inlines no closures)
"""Kernels that look at a candidate by what members say of it, and at its place in its query's pool.

Each fills columns of its own in the rows that the second stage's trees look at; what they mean is said
where their names are, `two_stage_proposals.py` and `two_stage_context.py`. The training playlists are
`two_stage_kernels.py`'s. None calls a kernel of another file.
"""

import numpy as np

from recsys_assets.models.kernels import kernel
from recsys_assets.playlists import MISSING, Float32, Float64, Int32, Int64


@kernel
def fill_proposals(
    pool_offsets: Int64,
    relative: Float32,
    ranks: Int32,
    best: Float32,
    proposed: int,
    logarithms: Float32,
    out: Float32,
) -> None:
    """Fill the first columns with what members say (`two_stage_proposals.py`).

    ``logarithms[rank]`` is a rank's, that of 0 the one of items beyond the list.
    """
    members = relative.shape[1]
    for query in range(len(pool_offsets) - 1):
        for row in range(pool_offsets[query], pool_offsets[query + 1]):
            within = 0
            lowest = np.float32(np.inf)
            most = np.float32(0.0)
            rank_sum = 0.0
            relative_sum = 0.0
            for member in range(members):
                rank, share = ranks[row, member], relative[row, member]
                logarithm = logarithms[rank]
                out[row, member] = share
                out[row, members + member] = share * best[query, member]
                out[row, 2 * members + member] = logarithm
                within += 0 < rank <= proposed
                lowest = min(lowest, logarithm)
                most = max(most, share)
                rank_sum += logarithm
                relative_sum += share
            at = 3 * members
            out[row, at] = within
            out[row, at + 1] = lowest
            out[row, at + 2] = rank_sum / members
            out[row, at + 3] = relative_sum / members
            out[row, at + 4] = most


@kernel
def fuse(ranks: Int32, reciprocals: Float64, out: Float64) -> None:
    """Fill float64[rows] with the sums of ``reciprocals[rank]``, in the members' order."""
    for row in range(len(ranks)):
        total = 0.0
        for member in range(ranks.shape[1]):
            total += reciprocals[ranks[row, member]]
        out[row] = total


@kernel
def fill_context(
    pool_offsets: Int64,
    pool_items: Int32,
    artists: Int32,
    groups: int,
    fused: Float64,
    sharp: Float64,
    by_fused: Int64,
    by_sharp: Int64,
    out: Float32,
) -> None:
    """Fill ``float32[rows, len(CONTEXT)]`` (`two_stage_context.py`).

    `by_fused` and `by_sharp` hold the rows of each query, best first. Equal values share the better
    place: their order in the pool is that of the members, and no rank.
    """
    counts = np.zeros(groups, np.int32)
    places = np.zeros(groups, np.int32)
    mass = np.zeros(groups)
    best = np.zeros(groups)
    latest = np.zeros(groups)
    for query in range(len(pool_offsets) - 1):
        start, stop = pool_offsets[query], pool_offsets[query + 1]
        total = 0.0
        for row in range(start, stop):
            total += sharp[row]
            artist = artists[pool_items[row]]
            if artist != MISSING:
                mass[artist] += sharp[row]
        place = 0
        for at in range(start, stop):
            row = by_sharp[at]
            if at == start or sharp[row] != sharp[by_sharp[at - 1]]:
                place = at - start + 1
            out[row, 4] = np.log2(place)
        for at in range(start, stop):
            row = by_fused[at]
            value = fused[row]
            if at == start or value != fused[by_fused[at - 1]]:
                place = at - start + 1
            out[row, 0] = value
            out[row, 1] = sharp[row]
            out[row, 2] = value / fused[by_fused[start]]
            out[row, 3] = np.log2(place)
            out[row, 5] = np.log(stop - start)
            artist = artists[pool_items[row]]
            if artist == MISSING:
                out[row, 6:10] = 0.0
                continue
            counts[artist] += 1
            if counts[artist] == 1:
                best[artist] = value
            if counts[artist] == 1 or value != latest[artist]:
                places[artist] = counts[artist]
                latest[artist] = value
            out[row, 6] = mass[artist] / total
            out[row, 7] = best[artist] / fused[by_fused[start]]
            out[row, 8] = np.log2(places[artist])
        for row in range(start, stop):
            artist = artists[pool_items[row]]
            if artist != MISSING:
                out[row, 9] = np.log1p(counts[artist])
        for row in range(start, stop):
            artist = artists[pool_items[row]]
            if artist != MISSING:
                counts[artist] = 0
                places[artist] = 0
                mass[artist] = 0.0
                latest[artist] = 0.0
