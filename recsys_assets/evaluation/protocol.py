"""The evaluation protocol, start to end: one call that measures a fitted model on held-out playlists.

All but the last track is the query, the last is the target; full ranking; cold targets are misses.
Candidates (on validation) and the best model (on test) go through the same call.
"""

from dataclasses import dataclass

import numpy as np

from recsys_assets.errors import DataError
from recsys_assets.evaluation.concentration import coverage_and_gini
from recsys_assets.evaluation.intervals import mean_interval
from recsys_assets.evaluation.metrics import (
    COVERAGE_100,
    GINI_100,
    HIT_RATE_100,
    PLAYLISTS,
    QUERIES_PER_SECOND,
    TUTORIAL_HIT_RATE_100,
    per_playlist,
)
from recsys_assets.evaluation.ranking import Ranker, evaluate_ranking
from recsys_assets.evaluation.records import Measurement
from recsys_assets.evaluation.slices import slices
from recsys_assets.evaluation.tutorial import tutorial_hits
from recsys_assets.playlists import Catalog, Int32, PlaylistSet
from recsys_assets.progress import Progress, silent

ALL_PLAYLISTS = "all"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All measurements of a model, and each target's place (int32[n], 0 where not in the list)."""

    measurements: tuple[Measurement, ...]
    ranks: Int32


def evaluate(
    model: Ranker,
    playlists: PlaylistSet,
    catalog: Catalog,
    train: PlaylistSet,
    *,
    seed: int,
    progress: Progress = silent,
) -> Evaluation:
    """Measure a fitted model on playlists that it has not seen.

    Parameters
    ----------
    playlists
        n held-out playlists of two or more tracks.
    catalog
        What is known of every item.
    train
        What the model was fitted on: decides which targets and queries are cold.
    seed
        Decides the resamples of the intervals and the tutorial's random bets.
    progress
        Told of the queries done, every few seconds.

    Returns
    -------
    Evaluation
        Every metric of `metrics.DESCRIPTIONS` over all playlists, by the tutorial's rules over a
        sample of many; hit rate @100 and the number of playlists on every slice.

    Raises
    ------
    DataError
        If there is no playlist to measure on, or one is too short to be a query and a target.
    """
    if len(playlists) == 0:
        raise DataError(
            "expected at least one held-out playlist to measure on, found none: the input is too "
            "small for a 70/20/10 split, or sample_percent is too low"
        )
    short = np.flatnonzero(playlists.lengths < 2)
    if len(short):
        raise DataError(
            f"expected held-out playlists of at least 2 tracks, a query and its target; {len(short)} "
            f"of {len(playlists)} are shorter, the first at row {short[0]} with "
            f"{playlists.lengths[short[0]]}; leave them out of the split"
        )
    queries, targets = playlists.leave_last_out()
    training_counts = np.bincount(train.items, minlength=len(catalog)).astype(np.int64)
    ranked = evaluate_ranking(model, queries, targets, progress=progress)
    values = per_playlist(
        ranked.items, ranked.target_ranks, targets, queries, catalog, training_counts
    )
    values[TUTORIAL_HIT_RATE_100] = tutorial_hits(
        model, queries, targets, seed=seed, progress=progress
    )
    measurements = [
        Measurement(name, ALL_PLAYLISTS, *mean_interval(column, seed=seed))
        for name, column in values.items()
    ]
    coverage, gini = coverage_and_gini(ranked.items, training_counts, seed=seed)
    speed = len(playlists) / max(ranked.seconds, 1e-9)
    measurements += [
        Measurement(COVERAGE_100, ALL_PLAYLISTS, *coverage),
        Measurement(GINI_100, ALL_PLAYLISTS, *gini),
        Measurement(QUERIES_PER_SECOND, ALL_PLAYLISTS, speed, None, None),
        Measurement(PLAYLISTS, ALL_PLAYLISTS, float(len(playlists)), None, None),
    ]
    for name, mask in slices(queries, targets, training_counts, ranked.tiers):
        measured = values[HIT_RATE_100][mask]
        measurements += [
            Measurement(HIT_RATE_100, name, *mean_interval(measured, seed=seed)),
            Measurement(PLAYLISTS, name, float(len(measured)), None, None),
        ]
    return Evaluation(tuple(measurements), ranked.target_ranks)
