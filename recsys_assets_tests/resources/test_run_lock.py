"""One run at a time per home folder, and recovery after a kill."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterInstance, DagsterRunStatus

from recsys_assets.progress import silent
from recsys_assets.resources.run_lock import clear_dead_runs, hold, locked_settings
from recsys_assets.settings import Settings


def _hold_and_record(folder: Path, run_id: str, seconds: float, log: Path) -> None:
    with hold(folder, run_id, log=silent):
        with log.open("a") as file:
            file.write(f"{run_id} in\n")
        time.sleep(seconds)
        with log.open("a") as file:
            file.write(f"{run_id} out\n")


def start(*arguments: Any) -> Any:
    """Start `_hold_and_record` in another process."""
    process = multiprocessing.get_context("spawn").Process(target=_hold_and_record, args=arguments)
    process.start()
    return process


def wait_for(path: Path, text: str) -> None:
    """Wait until a file holds `text`."""
    deadline = time.monotonic() + 30
    while not (path.exists() and text in path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_runs_take_turns(tmp_path: Path) -> None:
    """Prevents two refreshes from writing the same folder at once."""
    log = tmp_path / "log"
    first = start(tmp_path / "locks", "one", 1.0, log)
    wait_for(log, "one in")
    second = start(tmp_path / "locks", "two", 0.0, log)
    first.join(30)
    second.join(30)
    assert log.read_text().split("\n")[:-1] == ["one in", "one out", "two in", "two out"]


def test_waiting_run_says_for_whom(tmp_path: Path) -> None:
    """Prevents a run that seems to hang."""
    log = tmp_path / "log"
    first = start(tmp_path / "locks", "one", 1.5, log)
    wait_for(log, "one in")
    told: list[str] = []
    with hold(tmp_path / "locks", "two", log=told.append):
        pass
    first.join(30)
    assert "run one" in told[0]


def test_processes_of_one_run_share_the_lock(tmp_path: Path) -> None:
    """Prevents the multiprocess executor's steps from waiting for each other."""
    log = tmp_path / "log"
    first = start(tmp_path / "locks", "one", 30.0, log)
    wait_for(log, "one in")
    try:
        with hold(tmp_path / "locks", "one", log=silent) as alone:
            assert first.is_alive()
            assert not alone
    finally:
        first.kill()
        first.join(30)


def test_killed_run_lets_go_and_is_cleared(tmp_path: Path) -> None:
    """Prevents a killed run from blocking the next one, or staying "started" for ever."""
    locks, log = tmp_path / "locks", tmp_path / "log"
    with DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:

        @dg.op
        def nothing() -> None: ...

        @dg.job
        def refresh() -> None:
            nothing()

        dead = instance.create_run_for_job(refresh, status=DagsterRunStatus.STARTED)
        alive = instance.create_run_for_job(refresh, status=DagsterRunStatus.STARTED)
        killed = start(locks, dead.run_id, 30.0, log)
        wait_for(log, "in")
        waiting = start(locks, alive.run_id, 1.0, log)
        while not (locks / f"{alive.run_id}.run").exists():
            time.sleep(0.02)
        os.kill(killed.pid, signal.SIGKILL)
        killed.join(30)
        clear_dead_runs(instance, locks, "mine", log=silent)
        assert instance.get_run_by_id(dead.run_id).status == DagsterRunStatus.FAILURE
        assert instance.get_run_by_id(alive.run_id).status == DagsterRunStatus.STARTED
        assert not (locks / f"{dead.run_id}.run").exists()
        waiting.join(30)


def test_assets_get_the_settings_under_the_lock(settings: Settings) -> None:
    """Prevents an asset from writing without the lock, and a killed run's spill from piling up."""
    seen = {}

    @dg.asset
    def writer(settings: dg.ResourceParam[Settings]) -> None:
        seen["home"] = settings.home
        seen["lock"] = (settings.home / "locks" / "home.lock").read_text()

    settings.scratch.mkdir(parents=True)
    (settings.scratch / "left by a killed run").write_text("spill")
    result = dg.materialize([writer], resources={"settings": locked_settings(settings)})
    assert seen["home"] == settings.home
    assert seen["lock"].startswith(f"run {result.run_id} ")
    assert list(settings.scratch.iterdir()) == []
