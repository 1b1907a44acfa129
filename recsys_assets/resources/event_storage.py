"""Dagster's SQLite files written without a wait for the disk at every event.

Dagster opens a connection for each of a run's few hundred statements and closes it as the last one, so
that each ends with a checkpoint and several waits for the disk: 2 to 5 s of a run, the more the disk
has to do. Here one connection to each file stays open, and SQLite waits at checkpoints only. What the
events are is Dagster's business; tables are committed by the IO manager, which waits as before.
"""

import atexit
import contextlib
import os
import sqlite3
import threading
from pathlib import Path
from typing import Final

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import ConnectionPoolEntry

_PATH: Final = "recsys_assets_path"
"""Where the record of a connection notes its file, if that is one of these."""
_MOST_HELD: Final = 8
"""Every run has a file of its own, and a code server lives through many."""


def commit_without_waiting(folder: Path) -> None:
    """Let SQLAlchemy's connections to SQLite files below `folder` commit without waiting for the disk.

    Holds until the process ends. Of files with a write-ahead log alone, where a killed process loses
    nothing, and a power cut the last events but never the file (SQLite's documentation of
    ``synchronous = NORMAL``). What a run then did not note is done again by the next one.

    Parameters
    ----------
    folder
        Dagster's instance.
    """
    held = _HeldFiles(folder)
    event.listen(Engine, "connect", held.opened)
    event.listen(Engine, "close", held.closed)
    atexit.register(held.close)


class _HeldFiles:
    """The SQLite files below a folder, one connection to each of the latest ones kept open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._held: dict[Path, sqlite3.Connection] = {}
        self._lock = threading.Lock()

    def opened(self, connection: object, record: ConnectionPoolEntry) -> None:
        """Make a new connection commit without waiting, and see that it is not the last one."""
        if not isinstance(connection, sqlite3.Connection):
            return
        path = Path(connection.execute("PRAGMA database_list").fetchone()[2]).resolve()
        if not path.is_relative_to(self._folder):
            return
        # A file that is being set up has no such log yet, and without one a power cut may spoil it.
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            return
        connection.execute("PRAGMA synchronous = NORMAL")
        record.info[_PATH] = path
        with self._lock:
            if path not in self._held:
                self._held[path] = _reader(path)
            if len(self._held) > _MOST_HELD:
                self._held.pop(next(iter(self._held))).close()

    def closed(self, connection: object, record: ConnectionPoolEntry) -> None:
        """Change the time of a file that was written to, which until a checkpoint stays as it was.

        Dagster's page of a run shows new events when the run's file changes.
        """
        path = record.info.pop(_PATH, None)
        if path and isinstance(connection, sqlite3.Connection) and connection.total_changes:
            with contextlib.suppress(FileNotFoundError):  # `dagster run wipe` was there before
                os.utime(path)

    def close(self) -> None:
        """Close what is held: the last connection to a file moves its log into it."""
        with self._lock:
            while self._held:
                self._held.popitem()[1].close()


def _reader(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA schema_version").fetchone()  # a file is open once it has been read
    return connection
