"""Coverage and Gini coefficient: how widely a model's recommendations spread over the catalogue.

Properties of all lists together, not means over playlists, so a bootstrap resample misses them: it
holds 63 % of the playlists and covers less by construction. In 150 simulated samples of 300 playlists
its percentile interval never held the expected value; the jackknife's used here did in 95 to 100 %.
"""

from typing import NamedTuple

import numpy as np

from recsys_assets.evaluation.intervals import jackknife_bounds
from recsys_assets.playlists import MISSING, Float64, Int32, Int64

GROUPS = 100


class Share(NamedTuple):
    """A share with its 95 % bounds, None where a single playlist gives none."""

    value: float
    low: float | None
    high: float | None


def coverage_and_gini(items: Int32, training_counts: Int64, *, seed: int) -> tuple[Share, Share]:
    """Return coverage and Gini coefficient of the recommendations over the training catalogue.

    Coverage is the share of training items that are recommended at least once. The Gini coefficient
    of the recommendation counts (Gini 1912; for recommenders Fleder & Hosanagar 2009) is 0 when all
    training items are recommended equally often and close to 1 when only one is.

    Parameters
    ----------
    items
        int32[n, k]: the recommendations, `MISSING` where the catalogue has no more.
    training_counts
        int64[catalogue]: plays of every item in training; items with 0 are left out.
    seed
        Decides which playlists form a group of the jackknife.
    """
    trained = np.cumsum(training_counts > 0) - 1
    rows, columns = np.nonzero((items != MISSING) & (training_counts > 0)[items])
    shown = trained[items[rows, columns]]
    counts = np.bincount(shown, minlength=int((training_counts > 0).sum()))
    histogram = np.bincount(counts, minlength=len(items) + 1)
    coverage, gini = _of_histogram(histogram)
    groups = min(GROUPS, len(items))
    if groups < 2:
        return Share(coverage, None, None), Share(gini, None, None)
    group_of = np.random.default_rng(seed).permutation(len(items)) % groups
    left_out = _without_each_group(shown, group_of[rows], groups, counts, histogram)
    return (
        Share(coverage, *jackknife_bounds(coverage, left_out[:, 0])),
        Share(gini, *jackknife_bounds(gini, left_out[:, 1])),
    )


def _without_each_group(
    shown: Int64, owner: Int64, groups: int, counts: Int64, histogram: Int64
) -> Float64:
    """Return float64[groups, 2]: coverage and Gini without the recommendations of each group.

    Costs as much as there are recommendations, however large the catalogue: only the counts of the
    items that a group was shown are taken out of the histogram and put back lower.
    """
    order = np.argsort(owner, kind="stable")
    ends = np.cumsum(np.bincount(owner, minlength=groups))
    left_out = np.empty((groups, 2))
    for group, end in enumerate(ends):
        start = ends[group - 1] if group else 0
        touched, taken = np.unique(shown[order[start:end]], return_counts=True)
        before = counts[touched]
        changed = histogram - np.bincount(before, minlength=len(histogram))
        changed += np.bincount(before - taken, minlength=len(histogram))
        left_out[group] = _of_histogram(changed)
    return left_out


def _of_histogram(histogram: Int64) -> tuple[float, float]:
    """Return coverage and Gini from int64[m]: how many items were recommended 0, 1, 2, … times.

    Both are 0 where nothing was recommended. The Gini's sums are of integers, so exact.
    """
    size = int(histogram.sum())
    times = np.arange(len(histogram))
    total = int((histogram * times).sum())
    if total == 0:
        return 0.0, 0.0
    # Twice the mean rank of the items that were recommended equally often, ranks from 1.
    twice_rank = 2 * np.cumsum(histogram) - histogram + 1
    spread = int((histogram * times * (twice_rank - size - 1)).sum())
    return 1 - int(histogram[0]) / size, spread / (size * total)
