"""Features of a candidate among the others of its query: its place, its artist's share of the pool.

Trees split on a value alone and see no other row: what depends on the whole pool is computed here, of
the whole pool, before examples are drawn from it. Features of a candidate and its query alone are in
`two_stage_features.py`.
"""

import numpy as np

from recsys_assets.models.pools import Pool
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
    fused = pool.reciprocal_ranks(RANK_CONSTANT).sum(axis=1)
    sharp = pool.reciprocal_ranks(SHARP_CONSTANT).sum(axis=1)
    owners = pool.owners
    sizes = np.diff(pool.offsets)
    best = _most(fused, owners, len(sizes))[owners]
    artist = artists[pool.items].astype(np.int64)
    known = artist != MISSING
    groups = int(artist.max(initial=MISSING)) + 2
    _, group = np.unique(owners * groups + artist + 1, return_inverse=True)
    count = int(group.max(initial=-1)) + 1
    total = np.bincount(owners, sharp, len(sizes))[owners]
    of_artist = [
        np.bincount(group, sharp, count)[group] / total,
        _most(fused, group, count)[group] / best,
        np.log2(_places(fused, group)),
        np.log1p(np.bincount(group, minlength=count))[group],
    ]
    columns = [
        fused,
        sharp,
        fused / best,
        np.log2(_places(fused, owners)),
        np.log2(_places(sharp, owners)),
        np.log(np.maximum(sizes, 1))[owners],
        *(np.where(known, column, 0.0) for column in of_artist),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _most(values: Float64, groups: Int64, count: int) -> Float64:
    """Return float64[count]: the largest value of each group."""
    most = np.zeros(count)
    np.maximum.at(most, groups, values)
    return most


def _places(values: Float64, groups: Int64) -> Int64:
    """Return int64[n]: the place of each value in its group, from 1, largest first.

    Equal values share the better place: their order in the pool is that of the members, and no rank.
    """
    order = np.lexsort((-values, groups))
    ordered, values = groups[order], values[order]
    at = np.arange(len(order))
    first = np.ones(len(order), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    step = first.copy()
    step[1:] |= values[1:] != values[:-1]
    places = np.empty(len(order), np.int64)
    starts = np.maximum.accumulate(np.where(first, at, 0))
    places[order] = np.maximum.accumulate(np.where(step, at, 0)) - starts + 1
    return places
