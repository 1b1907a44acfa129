"""Whole-process measurement: seconds, processor seconds and peak memory of a child and its children.

Nothing is measured inside a process: imports and start-up count, as they do for a user.
"""

import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("dagster", "duckdb", "gensim", "numba", "numpy", "pandas", "pyarrow")


@dataclass(frozen=True)
class Figures:
    """What one run took: wall and processor seconds, and the peak of the largest process in bytes."""

    seconds: float
    processor: float
    peak: int


def run_once(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Figures:
    """Run a command to its end; its output goes to `log`.

    What others have left to be written is written first: syncs of a small file wait for all of it.

    Raises
    ------
    SystemExit
        If it fails, with the end of its output.
    """
    os.sync()
    with log.open("ab") as stream:
        started = time.perf_counter()
        child = os.posix_spawn(
            command[0],
            list(command),
            dict(environment),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stream.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, stream.fileno(), 2),
            ],
        )
        _, status, usage = os.wait4(child, 0)
        seconds = time.perf_counter() - started
    if status != 0:
        tail = log.read_text(errors="replace")[-2000:]
        raise SystemExit(f"{' '.join(command)}: status {status}; the end of its output:\n{tail}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Figures(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def total(parts: Sequence[Figures]) -> Figures:
    """Return processes that run one after the other as one."""
    return Figures(
        sum(one.seconds for one in parts),
        sum(one.processor for one in parts),
        max(one.peak for one in parts),
    )


def median(runs: Sequence[Figures]) -> Figures:
    """Return the median of each figure."""
    return Figures(
        statistics.median(one.seconds for one in runs),
        statistics.median(one.processor for one in runs),
        int(statistics.median(one.peak for one in runs)),
    )


def machine() -> str:
    """Return the machine and the versions that the figures belong to, in one line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB; {platform.system()}, "
        f"Python {platform.python_version()}, {versions}"
    )
