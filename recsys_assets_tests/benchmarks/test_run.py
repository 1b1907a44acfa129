"""Tests of what the benchmarks read out of Dagster's log."""

from dagster_shared.utils.timing import format_duration

from benchmarks.run import _steps


def test_seconds_of_every_step():
    """Prevents a step of an hour from missing in the table of growth."""
    taken = {"a": 8.3, "b__of[c]": 533.0, "d": 5_600.0, "e": 123_000.0, "f": 3_840_000.0}
    log = "".join(
        f'INFO - Finished execution of step "{step}" in {format_duration(milliseconds)}.\n'
        for step, milliseconds in taken.items()
    )
    assert _steps(log) == {step: milliseconds / 1000 for step, milliseconds in taken.items()}
