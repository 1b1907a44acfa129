"""The command line: `recsys-assets setup | run | summary | leaderboard`.

Parses arguments and turns errors that are the user's to mend into one message and exit status 2 (a
failed refresh: 1), without a traceback. What the commands do is in `automation/launch.py`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from recsys_assets.errors import UserError
from recsys_assets.settings import Settings

FAILED, UNUSABLE = 1, 2


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
        else:
            launch.refresh(settings, force=chosen.force, progress=_say)
    except UserError as error:
        print(f"recsys-assets: {error}", file=sys.stderr)  # noqa: T201
        return FAILED if type(error).__name__ == "RefreshError" else UNUSABLE
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
