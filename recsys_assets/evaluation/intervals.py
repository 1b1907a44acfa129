"""Bootstrap intervals over playlists, for means and for paired differences of means.

Percentile bootstrap (Efron 1979): playlists are drawn with replacement, the metric's mean is taken
anew. Only for metrics that are means over playlists. Which metrics there are belongs in `metrics.py`.
"""

import numpy as np

from recsys_assets.errors import DataError
from recsys_assets.playlists import Float64

RESAMPLES = 1000
CONFIDENCE = 0.95
_BLOCK_CELLS = 4_000_000
"""Counts drawn at once: bounds memory at 32 MB."""


def mean_intervals(values: Float64, *, seed: int) -> tuple[Float64, Float64, Float64]:
    """Return means with 95 % percentile bootstrap intervals over rows.

    Parameters
    ----------
    values
        float64[n, m]: one row per playlist, one column per metric.
    seed
        The same seed gives the same resamples for every column, and the same bits everywhere.

    Returns
    -------
    mean, low, high : float64[m]

    Raises
    ------
    DataError
        If there are no rows.
    """
    n = len(values)
    if n == 0:
        raise DataError(
            "expected at least one held-out playlist to measure on, found none; check the split, "
            "sample_percent and the input's size"
        )
    generator = np.random.default_rng(seed)
    means = np.empty((RESAMPLES, values.shape[1]))
    block = max(1, _BLOCK_CELLS // n)
    for start in range(0, RESAMPLES, block):
        stop = min(start + block, RESAMPLES)
        drawn = generator.multinomial(n, np.full(n, 1 / n), size=stop - start)
        # einsum without BLAS: a matrix product's last bits depend on the number of threads.
        means[start:stop] = np.einsum("rn,nm->rm", drawn.astype(float), values, optimize=False) / n
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(means, [tail, 100 - tail], axis=0)
    return values.mean(axis=0), low, high


def paired_difference(a: Float64, b: Float64, *, seed: int) -> tuple[float, float, float]:
    """Return mean(a - b) with its 95 % interval, for two models on the same playlists.

    Raises
    ------
    ValueError
        If the two were not measured on the same number of playlists.
    """
    if len(a) != len(b):
        raise ValueError(f"paired values of different playlists: {len(a)} and {len(b)}")
    mean, low, high = mean_intervals((a - b).reshape(-1, 1), seed=seed)
    return float(mean[0]), float(low[0]), float(high[0])
