"""The command line: `recsys-assets setup | run | summary | leaderboard | tune`.

Parses arguments and turns errors that are the user's to mend into one message and exit status 2 (a
failed refresh: 1), without a traceback. What the commands do is in `automation/launch.py` and
`automation/tune.py`.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from recsys_assets.errors import UserError
from recsys_assets.settings import Settings

FAILED, UNUSABLE = 1, 2
_Number = TypeVar("_Number", int, float)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(prog="recsys-assets", description="Playlist continuation.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="prepare Dagster's instance and the MLflow store")
    run = commands.add_parser("run", help="refresh everything, from raw files to similarity files")
    run.add_argument("--raw", type=Path, help="raw file or folder (default: RECSYS_RAW, or demo)")
    run.add_argument("--force", action="store_true", help="run even when nothing has changed")
    commands.add_parser("summary", help="print the summary of the last refresh")
    commands.add_parser("leaderboard", help="print the last refresh's leaderboard as Markdown")
    search = commands.add_parser("tune", help="search better hyperparameters, inside train")
    search.add_argument("--family", required=True, help="family of the entries to search")
    search.add_argument("--entry", help="one entry (default: all of the family with a search)")
    search.add_argument(
        "--trials", type=_positive(int), default=40, help="trials in all, earlier ones included"
    )
    search.add_argument("--minutes", type=_positive(float), help="begin no trial after so long")
    search.add_argument("--metric", default="hit_rate_100", help="what to maximise")
    search.add_argument("--raw", type=Path, help="raw file or folder (default: as for run)")
    chosen = parser.parse_args(arguments)
    try:
        settings = Settings.from_environment()
        if getattr(chosen, "raw", None) is not None:
            settings = Settings.model_validate({**settings.model_dump(), "raw": chosen.raw})
        # Imported late: a bad setting must be told before dagster's seconds of import.
        from recsys_assets.automation import launch  # noqa: PLC0415

        if chosen.command == "setup":
            launch.set_up(settings, progress=_say)
        elif chosen.command == "summary":
            _say(launch.summary(settings, {}))
        elif chosen.command == "leaderboard":
            _say(launch.leaderboard(settings))
        elif chosen.command == "tune":
            _tune(settings, chosen)
        else:
            launch.refresh(settings, force=chosen.force, progress=_say)
    except UserError as error:
        print(f"recsys-assets: {error}", file=sys.stderr)  # noqa: T201
        return FAILED if type(error).__name__ == "RefreshError" else UNUSABLE
    return 0


def _tune(settings: Settings, chosen: argparse.Namespace) -> None:
    from recsys_assets.automation.tune import tune  # noqa: PLC0415
    from recsys_assets.tuning.search import Limits  # noqa: PLC0415

    tune(
        settings,
        chosen.family,
        entry=chosen.entry,
        metric=chosen.metric,
        limits=Limits(chosen.trials, None if chosen.minutes is None else 60 * chosen.minutes),
        progress=_say,
    )


def _positive(kind: type[_Number]) -> Callable[[str], _Number]:
    """Return an argument type that refuses what is not greater than 0."""

    def number(text: str) -> _Number:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"expected a number greater than 0, found {text}")
        return value

    number.__name__ = f"{kind.__name__} greater than 0"
    return number


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
