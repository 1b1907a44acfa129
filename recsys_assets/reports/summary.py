"""The text that ends a run: what was read, how the candidates did, what was registered, where it is.

Everything is read back from what the run stored, so the summary cannot say what the files do not. The
launcher adds what only the run knows (seconds per asset).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from recsys_assets import columns as c
from recsys_assets.evaluation.leaderboard import order_candidates
from recsys_assets.evaluation.metrics import COLD_TARGET_SHARE, HIT_RATE_10, HIT_RATE_100, MRR_20
from recsys_assets.evaluation.records import CandidateRecord
from recsys_assets.preparation.split import SplitRule
from recsys_assets.reports.tables import candidate_rows, text_table
from recsys_assets.settings import Settings
from recsys_assets.sources.report import IngestReport

TESTED = {HIT_RATE_100: "hit rate @100", HIT_RATE_10: "hit rate @10", MRR_20: "MRR@20"}
MOST_REASONS = 6


def summarise(
    settings: Settings,
    *,
    report: IngestReport,
    candidate_folders: Sequence[Path],
    registration: Mapping[str, Any],
    paths: Sequence[Path],
    seconds_per_asset: Mapping[str, float],
    left_out: Sequence[str] = (),
) -> str:
    """Return the summary of a finished refresh as text of several lines."""
    records = order_candidates([CandidateRecord.load(folder) for folder in candidate_folders])
    parts = [
        _rows(report),
        _tables(settings),
        "Candidates on validation (95 % bootstrap intervals)\n"
        + _indent(text_table(candidate_rows(records)))
        + f"\n  targets that training never saw, each counted as a miss: "
        f"{100 * records[0].value(COLD_TARGET_SHARE).value:.1f} %"
        + "".join(f"\n  {line}" for line in left_out),
        _registered(settings, registration),
        "Written\n" + _indent("\n".join(str(path) for path in paths)),
        _seconds(seconds_per_asset),
    ]
    return "\n\n".join(part for part in parts if part)


def _rows(report: IngestReport) -> str:
    lines = [
        f"Rows      {report.rows_read:>12,} read ({report.format})",
        f"          {report.cleaned_written:>12,} cleaned",
        f"          {report.rejected_written:>12,} rejected",
    ]
    lines += [
        f"          {one.rows:>12,}   {one.reason}{' (filter)' if one.kind == c.KIND_FILTER else ''}"
        for one in report.rejected[:MOST_REASONS]
    ]
    if len(report.rejected) > MOST_REASONS:
        rest = sum(one.rows for one in report.rejected[MOST_REASONS:])
        lines.append(f"          {rest:>12,}   for other reasons")
    return "\n".join(lines)


def _tables(settings: Settings) -> str:
    counted = {
        "playlists of 3 or more tracks": c.PLAYLIST_SEQUENCES,
        "  train": c.TRAIN_PLAYLISTS,
        "  validation": c.VALIDATION_PLAYLISTS,
        "  test": c.TEST_PLAYLISTS,
        "tracks": c.TRACK_CATALOG,
        "artists": c.ARTIST_CATALOG,
    }
    cut = ""
    with duckdb.connect(str(settings.database), read_only=True) as connection:
        rows = {
            title: connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
            for title, table in counted.items()
        }
        if settings.split == "temporal":
            key = SplitRule.of(settings).order_key
            train, test = connection.execute(
                f"SELECT (SELECT max({key}) FROM {c.TRAIN_PLAYLISTS}), "
                f"(SELECT min({key}) FROM {c.TEST_PLAYLISTS})"
            ).fetchall()[0]
            cut = (
                f"\n          split by {settings.split_time}: train until {train}, test from {test}"
            )
    counts = "\n".join(f"          {count:>12,} {title}" for title, count in rows.items())
    return f"Data\n{counts}{cut}"


def _registered(settings: Settings, registration: Mapping[str, Any]) -> str:
    metrics = registration["metrics"]
    tested = ", ".join(
        f"{title} {100 * metrics[name]:.1f} % "
        f"({100 * metrics[name + '_low']:.1f} to {100 * metrics[name + '_high']:.1f})"
        for name, title in TESTED.items()
    )
    aliases = ", ".join(f"@{alias}" for alias in registration["aliases"]) or "no alias"
    return (
        f"Best      {registration['candidate']}, refitted on train + validation\n"
        f"  on test {tested}\n"
        f"  {registration['reason']}\n"
        f"Registry  {settings.registered_model} version {registration['version']}, {aliases}, in "
        f"{settings.mlflow_uri}"
    )


def _seconds(seconds_per_asset: Mapping[str, float]) -> str:
    if not seconds_per_asset:
        return ""
    longest = max(map(len, seconds_per_asset))
    lines = [f"  {name.ljust(longest)} {spent:8.1f}" for name, spent in seconds_per_asset.items()]
    total = sum(seconds_per_asset.values())
    return "\n".join(["Seconds per asset", *lines, f"  {'all'.ljust(longest)} {total:8.1f}"])


def _indent(text: str) -> str:
    return "\n".join("  " + line for line in text.splitlines())
