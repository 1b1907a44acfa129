"""Connections to the DuckDB file: opened late, closed early, retried when another process holds it.

What the IO manager and the asset checks share. Writing tables belongs in `resources/io_manager.py`.
One process at a time may write a DuckDB file, so nothing may keep a connection while it trains.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
from pydantic import Field

from recsys_assets.errors import StorageError

_LOCK_MARKERS = ("could not set lock", "conflicting lock")
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 2.0


@contextmanager
def open_database(
    path: str,
    *,
    read_only: bool,
    config: dict[str, Any] | None = None,
    lock_timeout: float = 60.0,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB file; while another process holds it, wait with growing pauses.

    Raises
    ------
    StorageError
        If the file is still held after `lock_timeout` seconds (names the holder, as DuckDB gives
        it), or does not exist when opened for reading.
    """
    if read_only and not Path(path).exists():
        raise StorageError(
            f"{path}: no DuckDB file there; materialise the assets that this one reads first"
        )
    connection = _connect(path, read_only, config or {}, lock_timeout)
    try:
        yield connection
    finally:
        connection.close()


def _connect(
    path: str, read_only: bool, config: dict[str, Any], lock_timeout: float
) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + lock_timeout
    wait = _FIRST_WAIT
    while True:
        try:
            return duckdb.connect(path, read_only=read_only, config=config)
        except duckdb.IOException as error:
            if not any(marker in str(error).lower() for marker in _LOCK_MARKERS):
                raise
            if time.monotonic() + wait > deadline:
                raise StorageError(
                    f"{path}: another process held the DuckDB file for {lock_timeout:.0f} s. Close "
                    f"whatever has it open (a duckdb shell, a notebook, another run) and start "
                    f"again. DuckDB says: {error}"
                ) from error
        logging.getLogger(__name__).info("%s is locked; waiting %.2f s", path, wait)
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)


class DuckDBReader(dg.ConfigurableResource[Any]):
    """Read-only queries against the tables, for asset checks and summaries."""

    database: str = Field(description="Path of the DuckDB file.")
    lock_timeout: float = Field(default=60.0, description="Seconds to wait for another process.")

    def query(self, sql: str, parameters: dict[str, Any] | None = None) -> pa.Table:
        """Run one SELECT and return its rows; the connection is closed before this returns."""
        with open_database(
            self.database, read_only=True, lock_timeout=self.lock_timeout
        ) as connection:
            return connection.execute(sql, parameters).to_arrow_table()

    def scalar(self, sql: str, parameters: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
        """Run one SELECT that gives a single value."""
        return self.query(sql, parameters).column(0)[0].as_py()
