"""Compare this project with the tutorial's way and with a bare scan, whole processes, in one run.

Each round runs every contender once, in turn, so that a change of the machine's speed meets all of
them; medians of the rounds, and the median of the rounds' ratios, go into docs/performance.md with a
plot. Run it: ``python -m benchmarks.run prepare growth --rows 1289168``, or ``make bench``.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.generate import FULL_ROWS
from benchmarks.measure import Figures, machine, median, run_once, total
from benchmarks.report import write_report
from recsys_assets.evaluation.metrics import PLAYLISTS, TUTORIAL_HIT_RATE_100
from recsys_assets.evaluation.records import CandidateRecord
from recsys_assets.evaluation.tutorial import MOST_QUERIES

SEED = 1
GROWTH = (100, 10, 3, 1)
"""Parts of the chosen number of rows that the growth is measured at."""

_FREQUENT = {"RECSYS_SIMILARITY_MIN_PLAYS": "5"}
"""Similarity of tracks with 5 or more plays, the figure that a goal is set for."""

_TUTORIAL_SET = "word2vec_min_count_3"
_HIT_RATE = re.compile(r"hit rate @100: ([\d.]+) of ([\d,]+)")
_STEP = re.compile(r'Finished execution of step "([^"]+)" in ([\d.hms]+)')
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Bench:
    """The folder that everything is run in: data, homes, logs, results."""

    def __init__(self, work: Path, rounds: int) -> None:
        self.work, self.rounds = work, rounds
        self.log = work / "log.txt"
        work.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)

    def data(self, rows: int) -> Path:
        """Return the CSV of so many rows, written if it is not there."""
        path = self.work / f"rows_{rows}_seed_{SEED}.csv"
        if not path.exists():
            print(f"writing {path.name}", flush=True)
            # A process of its own: a child's peak begins at what its parent holds.
            self.python(
                "-m", "benchmarks.generate", "--rows", str(rows), "--seed", str(SEED),
                "--out", str(path),
            )  # fmt: skip
        return path

    def python(self, *arguments: str, **environment: str) -> Figures:
        """Run this Python with arguments and more environment variables."""
        # Modules are compiled once, as on any machine, also where the shell here forbids to keep that.
        kept = {
            name: value
            for name, value in os.environ.items()
            if "RECSYS" not in name and name != "PYTHONDONTWRITEBYTECODE"
        }
        return run_once([sys.executable, *arguments], kept | environment, self.log)

    def home(self, name: str, raw: Path) -> dict[str, str]:
        """Return the environment of an empty home folder, set up (not timed: it is done once)."""
        home = self.work / name
        shutil.rmtree(home, ignore_errors=True)
        environment = {
            "RECSYS_HOME": str(home),
            "RECSYS_RAW": str(raw),
            "DAGSTER_HOME": str(home / "dagster"),
            "NUMBA_CACHE_DIR": str(self.work / "numba"),
        }
        self.python("-m", "recsys_assets", "setup", **environment)
        return environment

    def job(self, environment: Mapping[str, str], job: str) -> Figures:
        """Run a job through Dagster's command line, as a user or a cron would."""
        return self.python(
            "-m", "dagster", "job", "execute", "-m", "recsys_assets.definitions", "-j", job,
            **environment,
        )  # fmt: skip

    def tutorial(self, folder: Path, *steps: tuple[str, ...]) -> Figures:
        """Run steps of the tutorial's way, each as a process."""
        return total(
            [self.python("-m", "benchmarks.tutorial", *step, str(folder)) for step in steps]
        )

    def rounds_of(
        self, contenders: Mapping[str, Callable[[], Figures]]
    ) -> dict[str, dict[str, float]]:
        """Run all contenders in every round; returns medians, and ratios to the first one."""
        runs: dict[str, list[Figures]] = {name: [] for name in contenders}
        for turn in range(self.rounds):
            for name, run in contenders.items():
                figures = run()
                runs[name].append(figures)
                print(
                    f"round {turn + 1}: {name}: {figures.seconds:.1f} s, processor "
                    f"{figures.processor:.1f} s, peak {figures.peak / 2**20:,.0f} MiB",
                    flush=True,
                )
        ours = next(iter(runs.values()))
        return {
            name: {
                **asdict(median(taken)),
                "seconds_ratio": _ratio(taken, ours, lambda one: one.seconds),
                "processor_ratio": _ratio(taken, ours, lambda one: one.processor),
                "peak_ratio": _ratio(taken, ours, lambda one: one.peak),
            }
            for name, taken in runs.items()
        }

    def save(
        self, name: str, rows: int, results: Mapping[str, object], *, rounds: int | None = None
    ) -> None:
        """Keep results, with what they belong to."""
        stamp = {"rows": rows, "rounds": rounds or self.rounds, "machine": machine()}
        date = datetime.now(UTC).date().isoformat()
        path = self.work / f"{name}-{rows}.json"
        path.write_text(json.dumps({**stamp, "date": date, "results": results}, indent=2) + "\n")


def prepare(bench: Bench, rows: int) -> None:
    """CSV to splits: ours, the tutorial's way, a bare scan, a bare scan into parquet."""
    raw, folder = bench.data(rows), bench.work / "tutorial"

    def ours() -> Figures:
        return bench.job(bench.home("home", raw), "prepare")

    def tutorial() -> Figures:
        shutil.rmtree(folder, ignore_errors=True)
        return bench.tutorial(folder, ("clean", str(raw)), ("sequences",), ("split",))

    ours()  # compiles the kernels: done once on a machine
    results = bench.rounds_of(
        {
            "this project": ours,
            "tutorial": tutorial,
            "DuckDB scan": lambda: bench.python("-m", "benchmarks.scan", str(raw)),
            "DuckDB scan to parquet": lambda: bench.python(
                "-m", "benchmarks.scan", str(raw), str(bench.work / "scan.parquet")
            ),
        }
    )
    bench.save("prepare", rows, results)


def word2vec(bench: Bench, rows: int) -> None:
    """Train one default set and measure it on validation: ours, and the tutorial's way.

    Hit rates are of each one's own validation playlists, by the tutorial's rules.
    """
    raw, folder = bench.data(rows), bench.work / "tutorial"
    environment = bench.home("home", raw)
    bench.job(environment, "prepare")
    bench.tutorial(folder, ("clean", str(raw)), ("sequences",), ("split",))

    def ours() -> Figures:
        return bench.python(
            "-m", "dagster", "asset", "materialize", "-m", "recsys_assets.definitions",
            "--select", f"key:candidates/{_TUTORIAL_SET}", **environment,
        )  # fmt: skip

    ours()
    measured = bench.rounds_of(
        {
            "this project": ours,
            "tutorial": lambda: bench.tutorial(folder, ("train",), ("evaluate",)),
        }
    )
    home = Path(environment["RECSYS_HOME"])
    hit_rates = {
        "this project": _own_hit_rate(home / "models" / "candidates" / _TUTORIAL_SET),
        "tutorial": _printed_hit_rate(bench.log.read_text()),
    }
    results: dict[str, object] = {
        name: {**figures, "hit_rate": hit_rates[name]} for name, figures in measured.items()
    }
    bench.save("word2vec", rows, results)


def _own_hit_rate(candidate: Path) -> dict[str, float]:
    record = CandidateRecord.load(candidate)
    playlists = min(record.value(PLAYLISTS).value, MOST_QUERIES)
    return {"value": record.value(TUTORIAL_HIT_RATE_100).value, "playlists": playlists}


def _printed_hit_rate(log: str) -> dict[str, float]:
    """Return what the last evaluation of `benchmarks/tutorial.py` printed."""
    value, playlists = _HIT_RATE.findall(log)[-1]
    return {"value": float(value), "playlists": float(playlists.replace(",", ""))}


def growth(bench: Bench, rows: int) -> None:
    """Seconds of every asset of a whole refresh, and its peak memory, at parts of the rows.

    One round: the largest takes long. A refresh of the smallest part goes before, not measured: it
    compiles the kernels, which is done once on a machine.
    """
    results: dict[str, object] = {}
    for part in (GROWTH[0], *GROWTH):
        environment = bench.home("home", bench.data(rows // part))
        begin = bench.log.stat().st_size if bench.log.exists() else 0
        taken = bench.job({**environment, **_FREQUENT}, "refresh")
        steps = _steps(bench.log.read_bytes()[begin:].decode())
        results[str(rows // part)] = {**asdict(taken), "steps": steps}
        print(
            f"{rows // part:,} rows: {taken.seconds:.1f} s, processor {taken.processor:.1f} s, "
            f"peak {taken.peak / 2**20:,.0f} MiB",
            flush=True,
        )
    bench.save("growth", rows, results, rounds=1)


def _steps(log: str) -> dict[str, float]:
    """Return seconds of every step from Dagster's own log."""
    return {
        step: sum(
            float(value) * _UNITS[unit] for value, unit in re.findall(r"([\d.]+)(ms|[hms])", taken)
        )
        for step, taken in _STEP.findall(log)
    }


def _ratio(taken: list[Figures], ours: list[Figures], of: Callable[[Figures], float]) -> float:
    return statistics.median(of(one) / of(own) for one, own in zip(taken, ours, strict=True))


COMPARISONS = {"prepare": prepare, "word2vec": word2vec, "growth": growth}


def main() -> None:
    """Run comparisons and write the report, as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*COMPARISONS, []], help="default: all")
    parser.add_argument("--rows", type=int, default=FULL_ROWS // 10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("var/benchmarks"))
    parser.add_argument("--report", type=Path, default=Path("docs/performance.md"))
    chosen = parser.parse_args()
    bench = Bench(chosen.work.resolve(), chosen.rounds)
    for name in chosen.what or COMPARISONS:
        COMPARISONS[name](bench, chosen.rows)
    write_report(bench.work, chosen.report)


if __name__ == "__main__":
    main()
