"""Small tables for people: candidates side by side, in Markdown and in plain text.

Works on candidate records. What the numbers mean belongs in `evaluation/`.
"""

from collections.abc import Sequence

import pyarrow as pa

from recsys_assets.evaluation.intervals import paired_difference
from recsys_assets.evaluation.leaderboard import hits
from recsys_assets.evaluation.metrics import (
    ARTIST_HIT_RATE_100,
    COVERAGE_100,
    DIVERSITY_20,
    GINI_100,
    HIT_RATE_10,
    HIT_RATE_20,
    HIT_RATE_100,
    MRR_20,
    NDCG_20,
    NOVELTY_20,
    OWN_ARTIST_SHARE_20,
    PLAYLISTS,
    QUERIES_PER_SECOND,
    TUTORIAL_HIT_RATE_100,
)
from recsys_assets.evaluation.records import CandidateRecord, Measurement
from recsys_assets.models.tiers import TIERS
from recsys_assets.preparation.queries import markdown_table

COLUMNS = {HIT_RATE_100: "hit rate @100", HIT_RATE_10: "@10", MRR_20: "MRR@20"}


def percent(one: Measurement, *, digits: int = 1) -> str:
    """Return a share as percent with its interval, for example ``18.6 % (16.2 to 21.1)``."""
    text = f"{100 * one.value:.{digits}f} %"
    if one.low is None or one.high is None:
        return text
    return f"{text} ({100 * one.low:.{digits}f} to {100 * one.high:.{digits}f})"


def candidate_rows(ordered: Sequence[CandidateRecord]) -> list[dict[str, str]]:
    """Return one row of texts per candidate, in the order given."""
    return [
        {
            "candidate": record.candidate,
            "family": record.family,
            **{title: percent(record.value(metric)) for metric, title in COLUMNS.items()},
            "fit, s": f"{record.fit_seconds:.1f}",
            "rank, s": f"{record.evaluate_seconds:.1f}",
        }
        for record in ordered
    ]


def candidates_markdown(ordered: Sequence[CandidateRecord]) -> str:
    """Return the candidates as a Markdown table."""
    return markdown_table(pa.Table.from_pylist(candidate_rows(ordered)))


def text_table(rows: Sequence[dict[str, str]]) -> str:
    """Return rows of texts as columns aligned by spaces, with a header."""
    if not rows:
        return ""
    names = list(rows[0])
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    lines = ["  ".join(name.ljust(widths[name]) for name in names)]
    lines += ["  ".join(row[name].ljust(widths[name]) for name in names) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


DETAILS = {
    HIT_RATE_20: "@20",
    HIT_RATE_10: "@10",
    MRR_20: "MRR@20",
    NDCG_20: "NDCG@20",
    ARTIST_HIT_RATE_100: "artist @100",
    COVERAGE_100: "coverage",
    TUTORIAL_HIT_RATE_100: "@100 by the tutorial's rules",
}
LISTS = {
    COVERAGE_100: ("coverage, %", 100),
    GINI_100: ("Gini", 1),
    NOVELTY_20: ("novelty @20, bits", 1),
    DIVERSITY_20: ("different artists @20, % of pairs", 100),
    OWN_ARTIST_SHARE_20: ("own artists @20, %", 100),
}
"""Metric -> title and factor."""


def leaderboard_markdown(ordered: Sequence[CandidateRecord], *, seed: int) -> str:
    """Return the leaderboard in detail as Markdown tables, best first.

    How good the candidates are; what their lists are like; how good each tier and slice is.
    """
    return "\n\n".join(
        [
            _quality_markdown(ordered, seed=seed),
            "What the lists are like:",
            _lists_markdown(ordered),
            "Hit rate @100 by what the answer is made of, percent:",
            _tiers_markdown(ordered),
            "Hit rate @100 by plays of the target in training and by length of the query, percent:",
            _slices_markdown(ordered),
        ]
    )


def _quality_markdown(ordered: Sequence[CandidateRecord], *, seed: int) -> str:
    """Return a table of the metrics in percent, and the costs.

    The interval of the difference to the best is paired: a candidate is worse only if it is below 0.
    """
    rows = []
    for record in ordered:
        found = {one.metric: one for one in record.measurements if one.slice == "all"}
        gap = paired_difference(hits(record), hits(ordered[0]), seed=seed)
        rows.append(
            {
                "candidate": record.candidate,
                "family": record.family,
                "hit rate @100": percent(found[HIT_RATE_100]),
                "minus the best": "–"
                if record is ordered[0]
                else f"{100 * gap.value:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})",
                **{
                    title: f"{100 * found[metric].value:.1f}" if metric in found else "–"
                    for metric, title in DETAILS.items()
                },
                "fit, s": f"{record.fit_seconds:.1f}",
                "rank, s": f"{record.evaluate_seconds:.1f}",
                "queries/s": f"{found[QUERIES_PER_SECOND].value:,.0f}"
                if QUERIES_PER_SECOND in found
                else "–",
                "MB": f"{record.model_bytes / 1e6:.0f}",
            }
        )
    return markdown_table(pa.Table.from_pylist(rows))


def _lists_markdown(ordered: Sequence[CandidateRecord]) -> str:
    rows = []
    for record in ordered:
        found = {one.metric: one for one in record.measurements if one.slice == "all"}
        rows.append(
            {
                "candidate": record.candidate,
                **{
                    title: _bounded(found[metric], factor) if metric in found else "–"
                    for metric, (title, factor) in LISTS.items()
                },
            }
        )
    return markdown_table(pa.Table.from_pylist(rows))


def _tiers_markdown(ordered: Sequence[CandidateRecord]) -> str:
    rows = []
    for record in ordered:
        measured, counted = _by_slice(record, HIT_RATE_100), _by_slice(record, PLAYLISTS)
        rows.append(
            {
                "candidate": record.candidate,
                **{
                    tier: f"{_bounded(measured[f'tier_{tier}'], 100)} of "
                    f"{counted[f'tier_{tier}'].value:,.0f}"
                    if f"tier_{tier}" in measured
                    else "–"
                    for tier in TIERS
                },
            }
        )
    return markdown_table(pa.Table.from_pylist(rows))


def _slices_markdown(ordered: Sequence[CandidateRecord]) -> str:
    """Return hit rates by slice; the slices are of the playlists, so the same for all candidates."""
    first = _by_slice(ordered[0], PLAYLISTS)
    titles = {
        name: f"{name.replace('_', ' ')}: {one.value:,.0f}"
        for name, one in first.items()
        if not name.startswith("tier_") and name != "all"
    }
    rows = []
    for record in ordered:
        measured = _by_slice(record, HIT_RATE_100)
        rows.append(
            {
                "candidate": record.candidate,
                **{title: f"{100 * measured[name].value:.1f}" for name, title in titles.items()},
            }
        )
    return markdown_table(pa.Table.from_pylist(rows))


def _by_slice(record: CandidateRecord, metric: str) -> dict[str, Measurement]:
    return {one.slice: one for one in record.measurements if one.metric == metric}


def _bounded(one: Measurement, factor: int) -> str:
    digits = 2 if factor == 1 else 1
    text = f"{factor * one.value:.{digits}f}"
    if one.low is None or one.high is None:
        return text
    return f"{text} ({factor * one.low:.{digits}f} to {factor * one.high:.{digits}f})"
