"""One run at a time per home folder, and recovery from runs that were killed.

The settings resource, which every asset asks for, takes the lock, so the in-process executor holds it
from the first step to the last. A second run waits, saying for whom. A killed run's lock goes with its
process; its Dagster run would stay "started" and keep its pool slots, so the next holder clears both.
Dagster's own run queue covers only runs that the daemon launches, not `make run`.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import dagster as dg
from dagster import DagsterInstance, DagsterRunStatus

from recsys_assets.progress import Progress, silent
from recsys_assets.settings import Settings

POLL_SECONDS = 0.5
TELL_EVERY_SECONDS = 10.0


def locked_settings(settings: Settings) -> dg.ResourceDefinition:
    """Return the resource that gives assets the settings while their run holds the home folder.

    One resource for both, so that no asset can know where to write without holding the lock.
    """

    @dg.resource(description="The settings; holds the home folder's lock while a run executes.")
    def settings_under_lock(context: dg.InitResourceContext) -> Iterator[Settings]:
        run = context.run
        run_id = run.run_id if run is not None else f"process-{os.getpid()}"
        folder = settings.home / "locks"
        log = silent if context.log is None else context.log.info
        with hold(folder, run_id, log=log) as alone:
            if alone:
                # Only a killed run leaves anything there: unpacked archives, DuckDB's spill.
                shutil.rmtree(settings.scratch, ignore_errors=True)
                settings.scratch.mkdir(parents=True)
            if context.instance is not None:
                clear_dead_runs(context.instance, folder, run_id, log=log)
            yield settings

    return settings_under_lock


@contextmanager
def hold(folder: Path, run_id: str, *, log: Progress) -> Iterator[bool]:
    """Hold `folder`'s lock for `run_id`, waiting for other runs; processes of one run share it.

    Yields whether this process is the one that took the lock (not a sibling of the one that did).
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{run_id}.run").open("a+") as own, (folder / "home.lock").open("a+") as home:
        fcntl.flock(own, fcntl.LOCK_SH)
        told = -TELL_EVERY_SECONDS
        while (holder := _acquire(home, run_id)) is None:
            if time.monotonic() - told >= TELL_EVERY_SECONDS:
                told = time.monotonic()
                home.seek(0)
                log(f"another run works on this home folder ({home.read().strip()}); waiting")
            time.sleep(POLL_SECONDS)
        try:
            yield holder
        finally:
            (folder / f"{run_id}.run").unlink(missing_ok=True)


def wait_until_free(folder: Path, *, progress: Progress) -> None:
    """Return when no run holds `folder`'s lock."""
    with hold(folder, f"launcher-{os.getpid()}", log=progress):
        pass


def _acquire(home: IO[str], run_id: str) -> bool | None:
    """Take the lock if it is free (True), or join a process of the same run that has it (False)."""
    try:
        fcntl.flock(home, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        # With the multiprocess executor each step is a process: siblings go on together, and the
        # lock is free for a moment whenever the step that took it has ended.
        home.seek(0)
        return False if home.read().startswith(f"run {run_id} ") else None
    home.seek(0)
    home.truncate()
    home.write(f"run {run_id} process {os.getpid()}")
    home.flush()
    return True


def clear_dead_runs(instance: DagsterInstance, folder: Path, run_id: str, *, log: Progress) -> None:
    """Fail runs whose process was killed and free what they hold; live and waiting runs are left.

    A run that got as far as its resources keeps a lock on a file of its own until it ends. A file
    that is there and not locked belongs to a dead run.
    """
    for marker in folder.glob("*.run"):
        dead = marker.stem
        if dead == run_id or not _is_unlocked(marker):
            continue
        record = instance.get_run_by_id(dead)
        if record is not None and record.status in (
            DagsterRunStatus.STARTED,
            DagsterRunStatus.CANCELING,
        ):
            instance.report_run_failed(record, "the run's process was killed")
            log(f"run {dead} was killed; it is marked as failed")
        if instance.event_log_storage.supports_global_concurrency_limits:
            instance.event_log_storage.free_concurrency_slots_for_run(dead)
        marker.unlink(missing_ok=True)


def _is_unlocked(marker: Path) -> bool:
    try:
        with marker.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    return True
