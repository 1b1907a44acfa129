"""Tests of what the benchmarks read out of logs, and of the tables that they write."""

from dagster_shared.utils.timing import format_duration

from benchmarks.report import _comparison
from benchmarks.run import _printed_hit_rate, _steps


def test_seconds_of_every_step():
    """Prevents a step of an hour from missing in the table of growth."""
    taken = {"a": 8.3, "b__of[c]": 533.0, "d": 5_600.0, "e": 123_000.0, "f": 3_840_000.0}
    log = "".join(
        f'INFO - Finished execution of step "{step}" in {format_duration(milliseconds)}.\n'
        for step, milliseconds in taken.items()
    )
    assert _steps(log) == {step: milliseconds / 1000 for step, milliseconds in taken.items()}


def test_the_last_printed_hit_rate():
    """Prevents the rate of an earlier round from standing beside the last one's."""
    log = "hit rate @100: 0.0500 of 9 playlists\nhit rate @100: 0.0970 of 45,670\nevaluate: 2 s\n"
    assert _printed_hit_rate(log) == {"value": 0.097, "playlists": 45_670.0}


def test_a_comparison_with_hit_rates_has_their_intervals():
    """Prevents a faster model that is worse from passing for a better one."""
    figures = {
        "seconds": 2.0,
        "processor": 3.0,
        "peak": 2**20,
        "seconds_ratio": 1.0,
        "peak_ratio": 1.0,
    }
    found = {"rows": 1_000, "rounds": 1, "date": "2026-12-01", "machine": "one"}
    measured = {**figures, "hit_rate": {"value": 0.1, "playlists": 900.0}}
    # 1.96 * sqrt(0.1 * 0.9 / 900) = 0.0196
    table = _comparison("Set", {**found, "results": {"ours": measured}})
    assert "peak / ours | hit rate @100, % (95 %) |\n|---|---|---|---|---|---|---|\n" in table
    assert "| ours | 2.0 | 3.0 | 1 | 1.00 | 1.00 | 10.0 (8.0 to 12.0), 900 playlists |" in table
    assert "hit rate" not in _comparison("Set", {**found, "results": {"ours": figures}})
