"""The challenge's tables for people: the right number in the right cell."""

from recsys_assets import columns as c
from recsys_assets.assets.challenge import CHALLENGE_SCHEMA
from recsys_assets.evaluation.challenge import CLICKS, COLD_WITHHELD_SHARE, NDCG, R_PRECISION
from recsys_assets.reports.challenge import challenge_markdown


def test_cells() -> None:
    """Prevents values in another candidate's, metric's or seed count's cell, or without interval."""
    rows = [
        {
            c.PLACE: place,
            c.CANDIDATE: name,
            c.SEEDS: seeds,
            c.METRIC: metric,
            c.VALUE: base + place / 100 + seeds / 1000,
            c.LOW: 0.0,
            c.HIGH: 1.0,
            c.PLAYLISTS: 1000,
        }
        for place, name in ((2, "second"), (1, "first"))
        for seeds in (5, 1)
        for metric, base in ((R_PRECISION, 0.1), (NDCG, 0.2), (CLICKS, 7), (COLD_WITHHELD_SHARE, 0))
    ]
    import pyarrow as pa

    text = challenge_markdown(pa.Table.from_pylist(rows, CHALLENGE_SCHEMA))
    assert text.count("| candidate | 1 seed | 5 seeds |") == 3
    assert "| first | 11.1 (0.0 to 100.0) | 11.5 (0.0 to 100.0) |" in text
    assert "| second | 22.1 (0.0 to 100.0) | 22.5 (0.0 to 100.0) |" in text
    assert "| first | 7.01 (0.00 to 1.00) |" in text
    assert text.index("| first") < text.index("| second")
    assert "1 seed 1,000, 1.1 %; 5 seeds 1,000, 1.5 %" in text


def test_nobody_is_long_enough() -> None:
    """Prevents baskets of three tracks from failing `make leaderboard`."""
    assert "six or more" in challenge_markdown(CHALLENGE_SCHEMA.empty_table())
