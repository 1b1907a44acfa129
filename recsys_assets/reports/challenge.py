"""The challenge's metrics as tables for people: one per metric, candidates by numbers of seed tracks.

Works on the table `challenge_metrics`; measuring is in `evaluation/challenge.py`.
"""

import pyarrow as pa

from recsys_assets import columns as c
from recsys_assets.evaluation.challenge import (
    CLICKS,
    COLD_WITHHELD_SHARE,
    NDCG,
    R_PRECISION,
)
from recsys_assets.preparation.queries import markdown_table

TITLES = {
    R_PRECISION: ("R-precision, percent (more is better)", 100, 1),
    NDCG: ("NDCG@500, percent (more is better)", 100, 1),
    CLICKS: ("Recommended-songs clicks (fewer is better)", 1, 2),
}
"""Metric -> title, factor and digits."""


def challenge_markdown(table: pa.Table) -> str:
    """Return the table `challenge_metrics` as Markdown, candidates in the leaderboard's order."""
    rows = table.to_pylist()
    if not rows:
        return (
            "No validation playlist has six or more tracks (one seed and five withheld), so there are "
            "no figures by the challenge's rules."
        )
    seeds = sorted({row[c.SEEDS] for row in rows})
    candidates = dict.fromkeys(
        row[c.CANDIDATE] for row in sorted(rows, key=lambda row: row[c.PLACE])
    )
    cells = {(row[c.METRIC], row[c.CANDIDATE], row[c.SEEDS]): row for row in rows}
    parts = []
    for metric, (title, factor, digits) in TITLES.items():
        lines = [
            {
                "candidate": candidate,
                **{
                    _seeds(count): _with_interval(cells[metric, candidate, count], factor, digits)
                    for count in seeds
                },
            }
            for candidate in candidates
        ]
        parts.append(f"**{title}**\n\n{markdown_table(pa.Table.from_pylist(lines))}")
    counted = "; ".join(
        _playlists(cells[COLD_WITHHELD_SHARE, next(iter(candidates)), count]) for count in seeds
    )
    parts.append(f"Playlists, and share of the withheld tracks that training never saw: {counted}.")
    return "\n\n".join(parts)


def _seeds(count: int) -> str:
    return f"{count} seed" if count == 1 else f"{count} seeds"


def _with_interval(row: dict[str, float], factor: float, digits: int) -> str:
    value, low, high = (f"{factor * row[name]:.{digits}f}" for name in (c.VALUE, c.LOW, c.HIGH))
    return f"{value} ({low} to {high})"


def _playlists(row: dict[str, float]) -> str:
    return f"{_seeds(int(row[c.SEEDS]))} {int(row[c.PLAYLISTS]):,}, {100 * row[c.VALUE]:.1f} %"
