"""The metrics: what each is called, what it means, and its value for every playlist.

Pure array functions. Values are kept per playlist so that intervals and paired differences can be
computed; resampling is in `intervals.py`, figures of all lists together are in `concentration.py`,
novelty and diversity in `beyond_accuracy.py`, running a model in `ranking.py`.
"""

from collections.abc import Mapping

import numpy as np

from recsys_assets.evaluation.beyond_accuracy import (
    SHOWN,
    intra_list_diversity,
    novelty,
    own_artist_share,
)
from recsys_assets.playlists import MISSING, Bool, Catalog, Float64, Int32, Int64, PlaylistSet

CUTOFFS = (1, 10, 20, 100)
HIT_RATE_1, HIT_RATE_10, HIT_RATE_20, HIT_RATE_100 = (f"hit_rate_{k}" for k in CUTOFFS)
MRR_20 = "mrr_20"
NDCG_20 = "ndcg_20"
ARTIST_HIT_RATE_100 = "artist_hit_rate_100"
POPULARITY_RANK = "mean_popularity_rank"
NOVELTY_20 = f"novelty_{SHOWN}"
DIVERSITY_20 = f"intra_list_diversity_{SHOWN}"
OWN_ARTIST_SHARE_20 = f"own_artist_share_{SHOWN}"
COLD_TARGET_SHARE = "cold_target_share"
COLD_QUERY_SHARE = "cold_query_share"
COVERAGE_100 = "coverage_100"
GINI_100 = "gini_100"
TUTORIAL_HIT_RATE_100 = "tutorial_hit_rate_100"
QUERIES_PER_SECOND = "queries_per_second"
PLAYLISTS = "playlists"
RANKED_ITEMS = 100

DESCRIPTIONS: Mapping[str, str] = {
    HIT_RATE_1: "share of playlists whose target is the first recommendation",
    HIT_RATE_10: "share of playlists whose target is among the first 10",
    HIT_RATE_20: "share of playlists whose target is among the first 20",
    HIT_RATE_100: "share of playlists whose target is among the first 100",
    MRR_20: "mean of 1 / place of the target, 0 below place 20",
    NDCG_20: "mean of 1 / log2(1 + place of the target), 0 below place 20",
    ARTIST_HIT_RATE_100: "share of playlists with a track by the target's artist among the first 100",
    POPULARITY_RANK: "mean place, by popularity in training, of what is recommended",
    NOVELTY_20: "mean -log2 of the share of all plays, of the first 20: the rarer, the higher",
    DIVERSITY_20: "share of pairs of the first 20 that are by different artists",
    OWN_ARTIST_SHARE_20: "share of the first 20 that are by artists of the query",
    COLD_TARGET_SHARE: "share of playlists whose target training never saw (each a miss)",
    COLD_QUERY_SHARE: "share of playlists of whose query training saw no track",
    COVERAGE_100: "share of the training catalogue that is recommended to anybody",
    GINI_100: "inequality of how often items are recommended: 0 all alike, 1 one item only",
    TUTORIAL_HIT_RATE_100: (
        "hit rate @100 by the tutorial's rules: last track only, random if cold; of at most 10,000 "
        "playlists"
    ),
    QUERIES_PER_SECOND: "playlists that the model continues in a second",
    PLAYLISTS: "playlists that were measured",
}
"""Every metric of the leaderboard with a line for people."""

_BLOCK = 8192
"""Playlists at a time: bounds temporary arrays at 7 MB each."""


def target_ranks(items: Int32, targets: Int32) -> Int32:
    """Return each target's place among the recommendations, from 1; 0 where it is not.

    Parameters
    ----------
    items
        int32[n, k], distinct within a row; `MISSING` fills rows and is never a hit.
    targets
        int32[n]; `MISSING` for a target that the catalogue lacks.
    """
    if items.shape[1] == 0:
        return np.zeros(len(items), np.int32)
    found = (items == targets[:, None]) & (items != MISSING)
    place = found.argmax(axis=1)
    return np.where(found[np.arange(len(items)), place], place + 1, 0).astype(np.int32)


def of_ranks(ranks: Int32) -> dict[str, Float64]:
    """Return hit rates, reciprocal rank and discounted gain of every playlist, float64[n] each.

    With one target per playlist the ideal discounted gain is 1, so that NDCG is the gain itself
    (Järvelin & Kekäläinen 2002).

    Parameters
    ----------
    ranks
        int32[n]: places from 1, 0 for a miss.
    """
    hit = ranks > 0
    place = np.where(hit, ranks, 1).astype(np.float64)
    within = hit & (ranks <= 20)
    return {
        **{f"hit_rate_{k}": (hit & (ranks <= k)).astype(np.float64) for k in CUTOFFS},
        MRR_20: np.where(within, 1 / place, 0.0),
        NDCG_20: np.where(within, 1 / np.log2(1 + place), 0.0),
    }


def per_playlist(
    items: Int32,
    ranks: Int32,
    targets: Int32,
    queries: PlaylistSet,
    catalog: Catalog,
    training_counts: Int64,
) -> dict[str, Float64]:
    """Return the value of every mean-type metric for every playlist.

    A target that repeats a track of its query counts as a miss, since those are not recommended. A
    target without an artist counts as a miss of the artist hit rate. Metrics of artists are left out
    when no item of the catalogue has one.

    Parameters
    ----------
    items
        int32[n, k]: the recommendations, best first.
    ranks
        int32[n]: what `target_ranks` made of them.
    targets, queries
        int32[n] and n playlists: the held-out tracks and what came before.
    training_counts
        int64[catalogue]: plays of every item in training.

    Returns
    -------
    dict of float64[n]
    """
    values = of_ranks(ranks)
    if (catalog.artist_index != MISSING).any():
        values[ARTIST_HIT_RATE_100] = _artist_hits(items, targets, catalog.artist_index)
        values[DIVERSITY_20] = intra_list_diversity(items, catalog.artist_index)
        values[OWN_ARTIST_SHARE_20] = own_artist_share(items, queries, catalog.artist_index)
    values[POPULARITY_RANK] = _mean_places(items, popularity_places(training_counts))
    values[NOVELTY_20] = novelty(items, training_counts)
    seen = training_counts > 0
    values[COLD_TARGET_SHARE] = (~seen_at(seen, targets)).astype(np.float64)
    known = np.concatenate([[0], np.cumsum(seen_at(seen, queries.items))])
    cold = known[queries.offsets[1:]] == known[queries.offsets[:-1]]
    values[COLD_QUERY_SHARE] = cold.astype(np.float64)
    return values


def _artist_hits(items: Int32, targets: Int32, artist_index: Int32) -> Float64:
    wanted = np.where(targets == MISSING, MISSING, artist_index[targets])
    hits = np.empty(len(items))
    for start in range(0, len(items), _BLOCK):
        block = slice(start, start + _BLOCK)
        same = (artist_index[items[block]] == wanted[block, None]) & (items[block] != MISSING)
        hits[block] = same.any(axis=1) & (wanted[block] != MISSING)
    return hits


def _mean_places(items: Int32, places: Int64) -> Float64:
    """float64[n]: mean place of what each playlist is recommended; 0 where that is nothing."""
    means = np.empty(len(items))
    for start in range(0, len(items), _BLOCK):
        block = items[start : start + _BLOCK]
        shown = block != MISSING
        total = np.where(shown, places[block], 0).sum(axis=1)
        means[start : start + _BLOCK] = total / np.maximum(shown.sum(axis=1), 1)
    return means


def seen_at(seen: Bool, items: Int32) -> Bool:
    """Tell of each of `items` whether training saw it (`MISSING` was not), from bool[catalogue]."""
    return np.asarray((items != MISSING) & seen[items])


def popularity_places(training_counts: Int64) -> Int64:
    """int64[catalogue]: place of every item by falling plays, from 1, ties by index."""
    places = np.empty(len(training_counts), np.int64)
    places[np.argsort(-training_counts, kind="stable")] = np.arange(1, len(training_counts) + 1)
    return places
