"""What a list is like beyond its hits: how novel, how diverse, how close to the query's own artists.

Three pure functions of the recommendations, one value per playlist, worked out in blocks of arrays.
Hits and places belong in `metrics.py`, spread over the catalogue in `concentration.py`.
"""

import numpy as np

from recsys_assets.playlists import MISSING, Float64, Int32, Int64, PlaylistSet

SHOWN = 20
"""Recommendations that are looked at: what a listener may see, as for MRR and NDCG."""
_BLOCK = 8192
"""Playlists at a time: bounds temporary arrays at a few MB."""


def novelty(items: Int32, training_counts: Int64) -> Float64:
    """Return the mean self-information of what each playlist is recommended, in bits.

    An item of the share p of all plays in training has ``-log2(p)`` (Zhou et al., Solving the
    apparent diversity-accuracy dilemma of recommender systems, PNAS 2010; Vargas & Castells, Rank and
    relevance in novelty and diversity metrics, RecSys 2011): the rarer, the more novel. Items that
    training never saw count as one play.

    Parameters
    ----------
    items
        int32[n, k]: the recommendations, best first; the first `SHOWN` count. `MISSING` is left out.
    training_counts
        int64[catalogue]: plays of every item in training.

    Returns
    -------
    float64[n], 0 where nothing is recommended
    """
    bits = np.log2(max(training_counts.sum(), 1)) - np.log2(np.maximum(training_counts, 1))
    bits = np.append(bits, 0.0)  # MISSING takes the last entry
    means = np.empty(len(items))
    for start in range(0, len(items), _BLOCK):
        block = items[start : start + _BLOCK, :SHOWN]
        means[start : start + _BLOCK] = bits[block].sum(axis=1) / np.maximum(
            (block != MISSING).sum(axis=1), 1
        )
    return means


def intra_list_diversity(items: Int32, artist_index: Int32) -> Float64:
    """Return the share of pairs of recommendations that are by different artists.

    The mean pairwise distance of a list (Smyth & McClave, Similarity vs. diversity, ICCBR 2001;
    Ziegler et al., Improving recommendation lists through topic diversification, WWW 2005) where two
    tracks of one artist are 0 apart and others 1. A track without an artist differs from all others.

    Parameters
    ----------
    items
        int32[n, k]: the recommendations, best first; the first `SHOWN` count. `MISSING` is left out.
    artist_index
        int32[catalogue]: artist of every item, `MISSING` where not known.

    Returns
    -------
    float64[n], 0 for a list of fewer than two items
    """
    artist_of = np.append(artist_index, np.int32(MISSING))
    shares = np.empty(len(items))
    for start in range(0, len(items), _BLOCK):
        shown = items[start : start + _BLOCK, :SHOWN]
        artists = artist_of[shown]
        known = artists != MISSING
        same = np.zeros(len(shown), np.int64)
        for apart in range(1, shown.shape[1]):
            equal = (artists[:, apart:] == artists[:, :-apart]) & known[:, apart:]
            same += np.count_nonzero(equal, axis=1)
        count = (shown != MISSING).sum(axis=1)
        pairs = count * (count - 1) // 2
        shares[start : start + _BLOCK] = np.where(pairs > 0, 1 - same / np.maximum(pairs, 1), 0.0)
    return shares


def own_artist_share(items: Int32, queries: PlaylistSet, artist_index: Int32) -> Float64:
    """Return the share of each playlist's recommendations that are by artists of its query.

    Parameters
    ----------
    items
        int32[n, k]: the recommendations, best first; the first `SHOWN` count. `MISSING` is left out.
    queries
        n playlists: what came before. A track without an artist has none in common.
    artist_index
        int32[catalogue]: artist of every item, `MISSING` where not known.

    Returns
    -------
    float64[n], 0 where nothing is recommended
    """
    artist_of = np.append(artist_index, np.int32(MISSING))
    width = int(artist_index.max(initial=0)) + 1
    shares = np.empty(len(items))
    for start in range(0, len(items), _BLOCK):
        shown = items[start : start + _BLOCK, :SHOWN]
        block = queries.slice(start, start + _BLOCK)
        asked = artist_of[block.items]
        owner = np.repeat(np.arange(len(block)), block.lengths)
        own = np.sort((owner * width + asked)[asked != MISSING])
        artists = artist_of[shown]
        keys = np.arange(len(shown))[:, None] * width + artists
        at = np.searchsorted(own, keys)
        found = np.append(own, -1)[at] == keys
        common = (found & (artists != MISSING)).sum(axis=1)
        shares[start : start + _BLOCK] = common / np.maximum((shown != MISSING).sum(axis=1), 1)
    return shares
