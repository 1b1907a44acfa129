"""The metrics: what each is called, what it means, and its value for every playlist.

Pure array functions. Values are kept per playlist so that intervals and paired differences can be
computed; resampling is in `intervals.py`, running a model in `ranking.py`.
"""

from collections.abc import Mapping

import numpy as np

from recsys_assets.playlists import MISSING, Catalog, Float64, Int32, Int64, PlaylistSet

CUTOFFS = (1, 10, 20, 100)
HIT_RATE_1, HIT_RATE_10, HIT_RATE_20, HIT_RATE_100 = (f"hit_rate_{k}" for k in CUTOFFS)
MRR_20 = "mrr_20"
NDCG_20 = "ndcg_20"
ARTIST_HIT_RATE_100 = "artist_hit_rate_100"
POPULARITY_RANK = "mean_popularity_rank"
COLD_TARGET_SHARE = "cold_target_share"
COLD_QUERY_SHARE = "cold_query_share"
COVERAGE_100 = "coverage_100"
GINI_100 = "gini_100"
TUTORIAL_HIT_RATE_100 = "tutorial_hit_rate_100"
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
    COLD_TARGET_SHARE: "share of playlists whose target training never saw (each a miss)",
    COLD_QUERY_SHARE: "share of playlists of whose query training saw no track",
    COVERAGE_100: "share of the training catalogue that is recommended to anybody",
    GINI_100: "inequality of how often items are recommended: 0 all alike, 1 one item only",
    TUTORIAL_HIT_RATE_100: "hit rate @100 by the tutorial's rules: last track only, random if cold",
}


def target_ranks(items: Int32, targets: Int32) -> Int32:
    """Return each target's place among the recommendations, from 1; 0 where it is not.

    Parameters
    ----------
    items
        int32[n, k], distinct within a row; `MISSING` fills rows and is never a hit.
    targets
        int32[n]; `MISSING` for a target that the catalogue lacks.
    """
    found = (items == targets[:, None]) & (items != MISSING)
    return np.where(found.any(axis=1), found.argmax(axis=1) + 1, 0).astype(np.int32)


def per_playlist(
    items: Int32,
    targets: Int32,
    queries: PlaylistSet,
    catalog: Catalog,
    training_counts: Int64,
) -> dict[str, Float64]:
    """Return the value of every mean-type metric for every playlist.

    A target that repeats a track of its query counts as a miss, since those are not recommended. A
    target without an artist counts as a miss of the artist hit rate, which is left out when no item
    of the catalogue has an artist.

    Parameters
    ----------
    items
        int32[n, k]: the recommendations, best first.
    training_counts
        int64[catalogue]: plays of every item in training.

    Returns
    -------
    dict of float64[n]
    """
    ranks = target_ranks(items, targets)
    hit = ranks > 0
    place = np.where(hit, ranks, 1).astype(float)
    within = hit & (ranks <= 20)
    values: dict[str, Float64] = {
        f"hit_rate_{k}": (hit & (ranks <= k)).astype(float) for k in CUTOFFS
    }
    values[MRR_20] = np.where(within, 1 / place, 0.0)
    values[NDCG_20] = np.where(within, 1 / np.log2(1 + place), 0.0)
    if (catalog.artist_index != MISSING).any():
        artists = np.where(items == MISSING, MISSING, catalog.artist_index[items])
        wanted = np.where(targets == MISSING, MISSING, catalog.artist_index[targets])
        values[ARTIST_HIT_RATE_100] = (
            ((artists == wanted[:, None]) & (wanted[:, None] != MISSING)).any(axis=1).astype(float)
        )
    places = popularity_places(training_counts)
    shown = items != MISSING
    values[POPULARITY_RANK] = np.where(shown, places[items], 0).sum(axis=1) / np.maximum(
        shown.sum(axis=1), 1
    )
    seen = training_counts > 0
    values[COLD_TARGET_SHARE] = (~seen_at(seen, targets)).astype(float)
    known = np.concatenate([[0], np.cumsum(seen_at(seen, queries.items))])
    values[COLD_QUERY_SHARE] = (known[queries.offsets[1:]] == known[queries.offsets[:-1]]).astype(
        float
    )
    return values


def seen_at(seen: np.ndarray, items: Int32) -> np.ndarray:
    """bool: was each of `items` seen in training? `MISSING` was not."""
    return np.asarray((items != MISSING) & seen[items])


def popularity_places(training_counts: Int64) -> Int64:
    """int64[catalogue]: place of every item by falling plays, from 1, ties by index."""
    places = np.empty(len(training_counts), np.int64)
    places[np.argsort(-training_counts, kind="stable")] = np.arange(1, len(training_counts) + 1)
    return places


def coverage_and_gini(items: Int32, training_counts: Int64) -> tuple[float, float]:
    """Return coverage and Gini coefficient of the recommendations over the training catalogue.

    These are properties of the whole list of recommendations, not means over playlists. A bootstrap
    resample repeats playlists and so covers fewer items by construction: its percentile interval
    need not even hold the value, so none is given.
    """
    shown = items[items != MISSING]
    counts = np.sort(np.bincount(shown, minlength=len(training_counts))[training_counts > 0])
    total, size = counts.sum(), len(counts)
    if total == 0:
        return 0.0, 0.0
    order = 2 * np.arange(1, size + 1) - size - 1
    return float((counts > 0).mean()), float((order * counts).sum() / (size * total))
