"""Features of a candidate among the others of its query: its place, its artist's share of the pool.

Trees split on a value alone and see no other row: what depends on the whole pool is computed here, of
the whole pool, before examples are drawn from it. Features of a candidate and its query alone are in
`two_stage_features.py`.
"""

import itertools

import numpy as np

from recsys_assets.models.pools import Pool
from recsys_assets.models.topk import readonly
from recsys_assets.models.two_stage_pool_kernels import fill_context, fuse
from recsys_assets.playlists import MISSING, Float32, Float64, Int32, Int64

RANK_CONSTANT = 60.0
"""Of reciprocal rank fusion, as in its paper."""
SHARP_CONSTANT = 10.0
"""Of a second fusion, in which the first places count more."""
CONTEXT = (
    "fusion",
    "sharp_fusion",
    "fusion_of_best",  # reciprocal rank fusion over the pool's best
    "fusion_place",  # log2 of the place by it, from 1
    "sharp_place",  # log2 of the place by the sharp fusion
    "pool_size",  # log(candidates)
    "artist_mass",  # share of the pool's sharp fusion that candidates of the same artist hold
    "artist_best",  # the best fusion of the same artist's candidates over the pool's best
    "artist_place",  # log2 of the place by fusion among them
    "artist_candidates",  # log(1 + their number)
)
"""Features by the whole pool; those of the artist are 0 where the artist is not known."""


def context(pool: Pool, artists: Int32) -> Float32:
    """Return float32[rows, len(CONTEXT)].

    Parameters
    ----------
    artists : int32[size]
        Of every item, `MISSING` where not known.
    """
    fused, sharp = fusion(pool, RANK_CONSTANT), fusion(pool, SHARP_CONSTANT)
    out = np.empty((len(fused), len(CONTEXT)), np.float32)
    fill_context(
        readonly(pool.offsets), readonly(pool.items), readonly(artists),
        int(artists.max(initial=MISSING)) + 1, fused, sharp, _best_first(fused, pool.offsets),
        _best_first(sharp, pool.offsets), out,
    )  # fmt: skip
    return out


def fusion(pool: Pool, constant: float) -> Float64:
    """Return float64[rows]: the sum of all members' ``1 / (constant + rank)``.

    Reciprocal rank fusion (Cormack, Clarke & Buettcher, SIGIR 2009).
    """
    reciprocals = 1.0 / (constant + np.arange(pool.ranks.max(initial=0) + 1))
    reciprocals[0] = 0.0  # not in the list
    fused = np.empty(len(pool.items))
    fuse(readonly(pool.ranks), reciprocals, fused)
    return fused


def _best_first(values: Float64, offsets: Int64) -> Int64:
    """Return int64[rows]: the rows of each query, largest value first."""
    falling = -values
    order = np.empty(len(values), np.int64)
    for start, stop in itertools.pairwise(offsets.tolist()):
        order[start:stop] = np.argsort(falling[start:stop])
        order[start:stop] += start
    return order
