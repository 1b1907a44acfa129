"""Small tables for people: candidates side by side, in Markdown and in plain text.

Works on candidate records. What the numbers mean belongs in `evaluation/`.
"""

from collections.abc import Sequence

import pyarrow as pa

from recsys_assets.evaluation.metrics import HIT_RATE_10, HIT_RATE_100, MRR_20
from recsys_assets.evaluation.records import CandidateRecord, Measurement
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
