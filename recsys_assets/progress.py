"""Reporting of progress, independent of who listens.

Long work takes a `Progress`: any callable that accepts one line of text. Assets pass Dagster's logger,
the command line passes a printer, tests pass `silent` or a list's `append`. `Ticker` turns a stream of
counts into at most one line every few seconds with the time left. No Dagster import.
"""

import time
from collections.abc import Callable

Progress = Callable[[str], object]


def silent(_: str) -> None:
    """Discard a progress line (the default of every function that reports)."""


class Ticker:
    """Turn counts of finished units into throttled lines: done, total, rate, time left.

    Parameters
    ----------
    progress
        Receives the lines.
    what
        The unit, in the plural, for example ``"queries"``.
    total
        How many units there will be, known beforehand.
    every
        Seconds between two lines, at least.
    """

    def __init__(self, progress: Progress, what: str, total: int, *, every: float = 5.0) -> None:
        self._progress, self._what, self._total, self._every = progress, what, total, every
        self._start = self._last = time.monotonic()

    def done(self, count: int) -> None:
        """Say that `count` units in all are finished; prints only when `every` seconds passed."""
        now = time.monotonic()
        if now - self._last < self._every:
            return
        self._last = now
        elapsed = now - self._start
        left = elapsed / max(count, 1) * (self._total - count)
        self._progress(
            f"{self._what}: {count:,} of {self._total:,}, "
            f"{count / max(elapsed, 1e-9):,.0f}/s, {left:.0f} s left"
        )
