"""The texts that people read: numbers in the right place, and aligned."""

import numpy as np

from recsys_assets.evaluation.metrics import (
    DIVERSITY_20,
    HIT_RATE_10,
    HIT_RATE_100,
    MRR_20,
    NOVELTY_20,
    PLAYLISTS,
    QUERIES_PER_SECOND,
)
from recsys_assets.evaluation.records import CandidateRecord, Measurement
from recsys_assets.reports.tables import (
    candidate_rows,
    leaderboard_markdown,
    percent,
    text_table,
)


def record(name: str, ranks: list[int]) -> CandidateRecord:
    """Make a record with the metrics that the tables show."""
    value = float((np.array(ranks) > 0).mean())
    return CandidateRecord(
        candidate=name,
        family="family",
        parameters={},
        seed=0,
        data_version="v",
        fingerprint="f",
        mlflow_run="r",
        fit_seconds=1.25,
        evaluate_seconds=0.5,
        model_bytes=3_000_000,
        measurements=(
            *(
                Measurement(metric, "all", value, value - 0.1, value + 0.1)
                for metric in (HIT_RATE_100, HIT_RATE_10, MRR_20)
            ),
            Measurement(NOVELTY_20, "all", 12.345, 12.0, 12.5),
            Measurement(DIVERSITY_20, "all", 0.9, 0.85, 0.95),
            Measurement(QUERIES_PER_SECOND, "all", 1234.5, None, None),
            Measurement(PLAYLISTS, "all", 4, None, None),
            Measurement(HIT_RATE_100, "tier_track", 0.5, 0.25, 0.75),
            Measurement(PLAYLISTS, "tier_track", 3, None, None),
            Measurement(HIT_RATE_100, "target_plays_unseen", 0.0, 0.0, 0.0),
            Measurement(PLAYLISTS, "target_plays_unseen", 1, None, None),
        ),
        ranks=np.array(ranks, np.int32),
    )


def test_percent() -> None:
    """Prevents shares from being shown a hundred times too small, or without their interval."""
    assert percent(Measurement("m", "all", 0.186, 0.162, 0.211)) == "18.6 % (16.2 to 21.1)"
    assert percent(Measurement("m", "all", 0.186, None, None)) == "18.6 %"


def test_columns_are_aligned() -> None:
    """Prevents a table that cannot be read in a terminal."""
    lines = text_table(candidate_rows([record("a", [1, 1]), record("longer", [1, 0])])).split("\n")
    assert len({line.index("family") for line in lines}) == 1
    assert "100.0 %" in lines[1]
    assert "50.0 % (40.0 to 60.0)" in lines[2]
    assert text_table([]) == ""


def test_leaderboard_shows_the_paired_difference() -> None:
    """Prevents a difference with the wrong sign, and a metric that was not measured from failing."""
    text = leaderboard_markdown([record("a", [1, 1, 1, 1]), record("b", [1, 1, 1, 0])], seed=0)
    best, other = text.split("\n")[2:4]
    assert "| – |" in best
    assert "-25.0 (" in other
    assert "| 1,234 | 3 |" in other


def test_leaderboard_shows_lists_tiers_and_slices() -> None:
    """Prevents a metric, a tier or a slice that was measured from being left out of the text."""
    text = leaderboard_markdown([record("a", [1, 1, 1, 1]), record("b", [1, 1, 1, 0])], seed=0)
    assert "| b | – | – | 12.35 (12.00 to 12.50) | 90.0 (85.0 to 95.0) | – |" in text
    assert "| candidate | track | artist | title | popularity |" in text
    assert "| b | 50.0 (25.0 to 75.0) of 3 | – | – | – |" in text
    assert "| candidate | target plays unseen: 1 |" in text
    assert "| b | 0.0 |" in text
