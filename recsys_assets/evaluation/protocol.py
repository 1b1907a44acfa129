"""The evaluation protocol, start to end: one call that measures a fitted model on held-out playlists.

All but the last track is the query, the last is the target; full ranking; cold targets are misses.
Candidates (on validation) and the best model (on test) go through the same call.
"""

from dataclasses import dataclass

import numpy as np

from recsys_assets.errors import DataError
from recsys_assets.evaluation.intervals import mean_intervals
from recsys_assets.evaluation.metrics import (
    COVERAGE_100,
    GINI_100,
    HIT_RATE_100,
    TUTORIAL_HIT_RATE_100,
    coverage_and_gini,
    per_playlist,
)
from recsys_assets.evaluation.ranking import Ranker, evaluate_ranking
from recsys_assets.evaluation.records import Measurement
from recsys_assets.evaluation.slices import slices
from recsys_assets.evaluation.tutorial import tutorial_hits
from recsys_assets.playlists import Catalog, Int32, PlaylistSet
from recsys_assets.progress import Progress, silent

ALL_PLAYLISTS = "all"
QUERIES_PER_SECOND = "queries_per_second"


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
        Held-out playlists of two or more tracks.
    train
        What the model was fitted on: decides which targets and queries are cold.

    Raises
    ------
    DataError
        If there is no playlist to measure on.
    """
    if len(playlists) == 0:
        raise DataError(
            "expected at least one held-out playlist to measure on, found none: the input is too "
            "small for a 70/20/10 split, or sample_percent is too low"
        )
    queries, targets = playlists.leave_last_out()
    training_counts = np.bincount(train.items, minlength=len(catalog)).astype(np.int64)
    ranked = evaluate_ranking(model, queries, targets, progress=progress)
    values = per_playlist(ranked.items, targets, queries, catalog, training_counts)
    values[TUTORIAL_HIT_RATE_100] = tutorial_hits(
        model, queries, targets, seed=seed, progress=progress
    )
    mean, low, high = mean_intervals(np.column_stack(list(values.values())), seed=seed)
    measurements = [
        Measurement(name, ALL_PLAYLISTS, float(mean[i]), float(low[i]), float(high[i]))
        for i, name in enumerate(values)
    ]
    coverage, gini = coverage_and_gini(ranked.items, training_counts)
    measurements += [
        Measurement(COVERAGE_100, ALL_PLAYLISTS, coverage, None, None),
        Measurement(GINI_100, ALL_PLAYLISTS, gini, None, None),
        Measurement(
            QUERIES_PER_SECOND,
            ALL_PLAYLISTS,
            len(playlists) / max(ranked.seconds, 1e-9),
            None,
            None,
        ),
    ]
    hits = values[HIT_RATE_100].reshape(-1, 1)
    for name, mask in slices(queries, targets, training_counts):
        share, share_low, share_high = mean_intervals(hits[mask], seed=seed)
        measurements.append(
            Measurement(
                HIT_RATE_100, name, float(share[0]), float(share_low[0]), float(share_high[0])
            )
        )
    return Evaluation(tuple(measurements), ranked.target_ranks)
