"""What every asset module shares: groups, owners, pools, error translation, small metadata.

Anything about a particular table's columns belongs in `assets/tables.py`; anything about a
particular asset in its lineage group's module.
"""

import contextlib
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from recsys_assets.errors import UserError

OWNERS = ["team:recsys"]
DOMAIN_TAGS = {"domain": "recommendations"}

INGESTION = "ingestion"
PREPARATION = "preparation"
CANDIDATES = "candidates"
SELECTION = "selection"
DELIVERY = "delivery"
REPORTS = "reports"

DUCKDB_WRITER = "duckdb_writer"
"""Pool of everything that writes recsys.duckdb: DuckDB takes one writing process at a time."""

FRESHNESS = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=48), warn_window=timedelta(hours=30)
)
"""Delivered assets are refreshed daily: late after 30 hours, broken after two days."""

SETTINGS_KEY = "settings"
MLFLOW_KEY = "mlflow"
IO_MANAGER_KEY = "io_manager"
DATABASE_KEY = "database"


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Turn an error that is the user's to mend into a Dagster failure with just its message."""
    try:
        yield
    except UserError as error:
        raise dg.Failure(
            description=str(error),
            metadata={"kind_of_error": type(error).__name__},
            allow_retries=False,
        ) from error


class Stopwatch:
    """Seconds since it was made, for metadata."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def seconds(self) -> dg.FloatMetadataValue:
        """Elapsed seconds, rounded to milliseconds."""
        return dg.MetadataValue.float(round(time.perf_counter() - self._start, 3))


def file_metadata(path: Path) -> dict[str, Any]:
    """Return path and size of a file that an asset wrote."""
    return {
        "path": dg.MetadataValue.path(str(path)),
        "bytes": dg.MetadataValue.int(path.stat().st_size),
    }
