"""The leaderboard: every candidate and metric, best first, with differences to the best.

Pure functions over candidate records. Selection is by hit rate @100 on validation, ties by name; two
candidates differ only if the paired bootstrap interval of their difference excludes 0.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from recsys_assets import columns as c
from recsys_assets.errors import DataError
from recsys_assets.evaluation.intervals import paired_difference
from recsys_assets.evaluation.metrics import HIT_RATE_100
from recsys_assets.evaluation.records import CandidateRecord, Measurement

ALL_PLAYLISTS = "all"
DIFFERENCE_TO_BEST = "hit_rate_100_minus_best"
FIT_SECONDS, EVALUATE_SECONDS, MODEL_BYTES = "fit_seconds", "evaluate_seconds", "model_bytes"

LEADERBOARD_SCHEMA = pa.schema(
    [
        (c.PLACE, pa.int32()),
        (c.CANDIDATE, pa.string()),
        (c.FAMILY, pa.string()),
        (c.METRIC, pa.string()),
        (c.SLICE, pa.string()),
        (c.VALUE, pa.float64()),
        (c.LOW, pa.float64()),
        (c.HIGH, pa.float64()),
        (c.DATA_VERSION, pa.string()),
    ]
)


def order_candidates(records: Sequence[CandidateRecord]) -> list[CandidateRecord]:
    """Return the records, best first: by hit rate @100 on validation, ties by name."""
    return sorted(records, key=lambda one: (-one.value(HIT_RATE_100).value, one.candidate))


def build_leaderboard(records: Sequence[CandidateRecord], *, seed: int) -> pa.Table:
    """Return one row per candidate, metric and slice, with columns `LEADERBOARD_SCHEMA`.

    Raises
    ------
    DataError
        If there are no records, or they were measured on different data.
    """
    if not records:
        raise DataError("the leaderboard needs at least one candidate; the grid is empty")
    versions = {record.data_version: record.candidate for record in records}
    if len(versions) > 1:
        raise DataError(
            "candidates were measured on different data, so they cannot be compared: "
            + ", ".join(f"{name} on {version}" for version, name in sorted(versions.items()))
            + "; materialise all candidates again"
        )
    ordered = order_candidates(records)
    rows = [
        {
            c.PLACE: place,
            c.CANDIDATE: record.candidate,
            c.FAMILY: record.family,
            c.METRIC: one.metric,
            c.SLICE: one.slice,
            c.VALUE: one.value,
            c.LOW: one.low,
            c.HIGH: one.high,
            c.DATA_VERSION: record.data_version,
        }
        for place, record in enumerate(ordered, start=1)
        for one in (*record.measurements, *_about(record, ordered[0], seed))
    ]
    return pa.Table.from_pylist(rows, LEADERBOARD_SCHEMA)


def _about(record: CandidateRecord, best: CandidateRecord, seed: int) -> list[Measurement]:
    difference, low, high = paired_difference(hits(record), hits(best), seed=seed)
    return [
        Measurement(DIFFERENCE_TO_BEST, ALL_PLAYLISTS, difference, low, high),
        Measurement(FIT_SECONDS, ALL_PLAYLISTS, record.fit_seconds, None, None),
        Measurement(EVALUATE_SECONDS, ALL_PLAYLISTS, record.evaluate_seconds, None, None),
        Measurement(MODEL_BYTES, ALL_PLAYLISTS, float(record.model_bytes), None, None),
    ]


def hits(record: CandidateRecord) -> np.ndarray:
    """float64[n]: 1 where the target is among the recommendations."""
    return (record.ranks > 0).astype(np.float64)
