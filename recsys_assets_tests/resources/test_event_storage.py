"""Tests of how Dagster's SQLite files are written."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from recsys_assets.resources import event_storage

FULL, NORMAL = 2, 1


@pytest.fixture
def held(tmp_path: Path) -> Iterator[event_storage._HeldFiles]:
    """The files below tmp_path / "instance", for engines that are told to ask it."""
    (tmp_path / "instance").mkdir()
    held = event_storage._HeldFiles(tmp_path / "instance")
    yield held
    held.close()


def engine_of(path: Path, held: event_storage._HeldFiles, *, mode: str = "WAL") -> sa.Engine:
    """Return an engine like Dagster's, for a file in a journal mode."""
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE events (number INTEGER)")
    connection.close()
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=NullPool)
    sa.event.listen(engine, "connect", held.opened)
    sa.event.listen(engine, "close", held.closed)
    return engine


def store(engine: sa.Engine, number: int) -> int:
    """Store an event over a connection of its own; returns its setting `synchronous`."""
    with engine.begin() as connection:
        connection.execute(sa.text(f"INSERT INTO events VALUES ({number})"))
        return int(connection.execute(sa.text("PRAGMA synchronous")).scalar_one())


def log_of(path: Path) -> Path:
    """Return where the file's write-ahead log is."""
    return path.with_name(f"{path.name}-wal")


def test_no_checkpoint_at_every_event(tmp_path: Path, held: event_storage._HeldFiles) -> None:
    """Prevents a wait for the disk at every event, and a log that stays behind at the end."""
    path = tmp_path / "instance" / "index.db"
    engine = engine_of(path, held)
    assert [store(engine, number) for number in range(3)] == [NORMAL] * 3
    size = path.stat().st_size
    assert log_of(path).stat().st_size > 0
    held.close()
    assert not log_of(path).exists()
    assert path.stat().st_size >= size
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT sum(number) FROM events").fetchone() == (3,)
    connection.close()


def test_watchers_see_every_event(tmp_path: Path, held: event_storage._HeldFiles) -> None:
    """Prevents the page of a run from showing nothing until the run is over."""
    path = tmp_path / "instance" / "run.db"
    engine = engine_of(path, held)
    store(engine, 1)
    for written in (False, True):
        os.utime(path, (0, 0))
        if written:
            store(engine, 2)
        else:
            with engine.connect() as connection:
                connection.execute(sa.text("SELECT number FROM events")).fetchall()
        assert (path.stat().st_mtime > 0) is written


@pytest.mark.parametrize(("place", "mode"), [("other/x.db", "WAL"), ("instance/x.db", "DELETE")])
def test_other_files_are_left(
    tmp_path: Path, held: event_storage._HeldFiles, place: str, mode: str
) -> None:
    """Prevents MLflow's file, or one without a write-ahead log, from being spoilt by a power cut."""
    (tmp_path / "other").mkdir()
    engine = engine_of(tmp_path / place, held, mode=mode)
    assert store(engine, 1) == FULL
    assert not log_of(tmp_path / place).exists()


def test_few_are_held(tmp_path: Path, held: event_storage._HeldFiles) -> None:
    """Prevents a code server from running out of file handles, one run after the other."""
    paths = [tmp_path / "instance" / f"{n}.db" for n in range(event_storage._MOST_HELD + 2)]
    for path in paths:
        store(engine_of(path, held), 1)
    assert [log_of(path).exists() for path in paths] == [False] * 2 + [True] * 8


def test_killed_process_loses_nothing(tmp_path: Path) -> None:
    """Prevents a killed run's events from being lost, which recovery goes by."""
    program = f"""
import os, signal, sqlite3, sys
from pathlib import Path
import sqlalchemy as sa
from recsys_assets.resources.event_storage import commit_without_waiting
commit_without_waiting(Path({str(tmp_path)!r}))
path = Path({str(tmp_path / "index.db")!r})
with sqlite3.connect(path) as connection:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE events (number INTEGER)")
connection.close()
for number in range(3):
    with sa.create_engine(f"sqlite:///{{path}}", poolclass=sa.NullPool).begin() as connection:
        connection.execute(sa.text(f"INSERT INTO events VALUES ({{number}})"))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert log_of(tmp_path / "index.db").exists()
    with sqlite3.connect(tmp_path / "index.db") as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (3,)
    connection.close()
