"""The Million Playlist challenge's protocol: first tracks of a playlist are given, the rest is asked.

For 1, 5, 10, 25 and 100 seed tracks: 500 recommendations, R-precision, NDCG and recommended-songs
clicks (Chen, Lamere, Schedl & Zamani, RecSys Challenge 2018: automatic music playlist continuation,
RecSys 2018; Zamani, Schedl, Lamere & Chen, An analysis of approaches taken in the ACM RecSys Challenge
2018, TIST 2019). The project's own protocol (the last track is the target) is in `protocol.py`.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recsys_assets.evaluation.intervals import Interval, mean_interval
from recsys_assets.evaluation.ranking import Ranker
from recsys_assets.playlists import MISSING, Bool, Catalog, Float64, Int32, Int64, PlaylistSet
from recsys_assets.progress import Progress, Ticker, silent

SEEDS = (1, 5, 10, 25, 100)
RECOMMENDED = 500
MIN_WITHHELD = 5
"""Fewest tracks behind the seeds: R-precision over fewer is all or nothing."""
MOST_PLAYLISTS = 1000
"""Most playlists for one number of seeds, as in each of the challenge's categories."""
TRACKS_PER_CLICK = 10
NO_CLICKS = RECOMMENDED // TRACKS_PER_CLICK + 1
ARTIST_CREDIT = 0.25

R_PRECISION, NDCG, CLICKS = "r_precision", "ndcg_500", "clicks"
COLD_WITHHELD_SHARE = "cold_withheld_share"

DESCRIPTIONS: Mapping[str, str] = {
    R_PRECISION: "found among the first |withheld|: tracks, and 0.25 for each artist, per withheld",
    NDCG: "discounted gain of the withheld tracks among 500, over the best possible",
    CLICKS: "refreshes of ten tracks until one of the withheld is shown, 51 if none is",
    COLD_WITHHELD_SHARE: "share of the withheld tracks that training never saw",
}

_DISCOUNTS = 1 / np.log2(1 + np.arange(1, RECOMMENDED + 1))
_IDEAL = np.concatenate([[0.0], np.cumsum(_DISCOUNTS)])


@dataclass(frozen=True)
class ChallengeMeasurement:
    """One metric of a model at one number of seed tracks, over the playlists that are long enough."""

    seeds: int
    metric: str
    interval: Interval
    playlists: int


@dataclass(frozen=True)
class ChallengeResult:
    """All measurements of a model, and the seconds that it took to answer."""

    measurements: tuple[ChallengeMeasurement, ...]
    seconds: float


def seed_queries(
    playlists: PlaylistSet, seeds: int, *, seed: int
) -> tuple[PlaylistSet, PlaylistSet]:
    """Cut playlists that are long enough into their first tracks and the withheld rest.

    Parameters
    ----------
    playlists
        Held-out playlists, with titles where they have them: the challenge gives the title too.
    seeds
        Tracks that are given, at least 1.
    seed
        Decides which playlists are drawn where more than `MOST_PLAYLISTS` are long enough.

    Returns
    -------
    queries, withheld : PlaylistSet
        m playlists of `seeds` tracks, and their rests of `MIN_WITHHELD` or more, in the order given.
    """
    long_enough = np.flatnonzero(playlists.lengths >= seeds + MIN_WITHHELD)
    if len(long_enough) > MOST_PLAYLISTS:
        drawn = np.random.default_rng(seed).permutation(len(long_enough))[:MOST_PLAYLISTS]
        long_enough = long_enough[np.sort(drawn)]
    chosen = playlists.take(long_enough)
    place = np.arange(len(chosen.items)) - np.repeat(chosen.offsets[:-1], chosen.lengths)
    given = np.arange(len(chosen) + 1, dtype=np.int64) * seeds
    return (
        PlaylistSet(given, chosen.items[place < seeds], chosen.titles),
        PlaylistSet(chosen.offsets - given, chosen.items[place >= seeds]),
    )


def challenge_values(
    items: Int32, withheld: PlaylistSet, artist_index: Int32
) -> dict[str, Float64]:
    """Return R-precision, NDCG and clicks of every playlist, float64[n] each.

    With G the distinct withheld tracks and their artists, and S the first size(G) recommendations,
    R-precision is (common tracks + 0.25 * common distinct artists) / size(G): up to 1.25. An unknown
    artist is common to nobody. NDCG discounts place i by log2(i + 1) and divides by the gain of
    min(size(G), 500) hits in front, as the evaluation code that the organisers published does (De
    Boom, Spotify 2017); the rules' printed formula has log2(i) and an ideal over the hits alone. A
    withheld track that training never saw, or that repeats a seed, stays in G: it cannot be found.

    Parameters
    ----------
    items
        int32[n, k], k <= 500: the recommendations, best first, distinct; `MISSING` fills rows.
    withheld
        n playlists of one or more tracks, none `MISSING`.
    artist_index
        int32[catalogue]: artist of every track, `MISSING` where not known.
    """
    owner = np.repeat(np.arange(len(withheld), dtype=np.int64), withheld.lengths)
    width = len(artist_index)
    wanted = _sorted_distinct(owner * width + withheld.items)
    sizes = np.bincount(wanted // width, minlength=len(withheld))
    found = _member(_keys(items, width), wanted) & (items != MISSING)
    place = np.arange(items.shape[1])
    in_front = place < sizes[:, None]

    artists = int(artist_index.max(initial=0)) + 1
    asked = artist_index[wanted % width]
    wanted_artists = _sorted_distinct((wanted // width * artists + asked)[asked != MISSING])
    shown = artist_index[items]
    known = in_front & (items != MISSING) & (shown != MISSING)
    shown_artists = _sorted_distinct(_keys(shown, artists)[known])
    common = shown_artists[_member(shown_artists, wanted_artists)]
    common_artists = np.bincount(common // artists, minlength=len(withheld))

    gain = np.where(found, _DISCOUNTS[: items.shape[1]], 0.0).sum(axis=1)
    return {
        R_PRECISION: ((found & in_front).sum(axis=1) + ARTIST_CREDIT * common_artists) / sizes,
        NDCG: gain / _IDEAL[np.minimum(sizes, RECOMMENDED)],
        CLICKS: np.where(
            found.any(axis=1), found.argmax(axis=1) // TRACKS_PER_CLICK, NO_CLICKS
        ).astype(np.float64),
    }


def _keys(values: Int32, width: int) -> Int64:
    """int64[n, k]: row and value as one number; meaningless for `MISSING`, which callers mask."""
    return np.arange(len(values), dtype=np.int64)[:, None] * width + values


def _sorted_distinct(keys: Int64) -> Int64:
    ordered = np.sort(keys)  # np.unique hashes (numpy 2.4), which is slower on integers
    first = np.ones(len(ordered), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]


def _member(keys: Int64, ordered: Int64) -> Bool:
    """Tell of each key whether it is in `ordered` (sorted, distinct)."""
    if len(ordered) == 0:
        return np.zeros(keys.shape, bool)
    at = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
    return np.asarray(ordered[at] == keys)


def evaluate_challenge(
    model: Ranker,
    playlists: PlaylistSet,
    catalog: Catalog,
    training_counts: Int64,
    *,
    seed: int,
    seeds: Sequence[int] = SEEDS,
    progress: Progress = silent,
) -> ChallengeResult:
    """Measure a fitted model by the challenge's rules on playlists that it has not seen.

    Parameters
    ----------
    playlists
        Held-out playlists; those of fewer than seeds + `MIN_WITHHELD` tracks are left out.
    training_counts
        int64[catalogue]: plays of every track in training, for the share of cold tracks.
    seed
        Decides the resamples of the intervals, and which playlists are drawn.
    seeds
        Numbers of seed tracks; those for which no playlist is long enough are left out.
    """
    cut = {count: seed_queries(playlists, count, seed=seed) for count in seeds}
    measurements: list[ChallengeMeasurement] = []
    seconds, done = 0.0, 0
    ticker = Ticker(progress, "queries ranked", sum(len(queries) for queries, _ in cut.values()))
    for count, (queries, withheld) in cut.items():
        if len(queries) == 0:
            continue
        started = time.perf_counter()
        items, _ = model.recommend(queries, RECOMMENDED)
        seconds += time.perf_counter() - started
        values = challenge_values(items, withheld, catalog.artist_index)
        cold = np.concatenate([[0], np.cumsum(training_counts[withheld.items] == 0)])
        values[COLD_WITHHELD_SHARE] = np.diff(cold[withheld.offsets]) / withheld.lengths
        measurements += [
            ChallengeMeasurement(count, name, mean_interval(column, seed=seed), len(queries))
            for name, column in values.items()
        ]
        done += len(queries)
        ticker.done(done)
    return ChallengeResult(tuple(measurements), seconds)
