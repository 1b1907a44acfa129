"""Launching a whole refresh from the command line: set-up, run, summary, exit status.

The same job that the UI launches, in this process, on the same Dagster instance. What a refresh does
belongs in `assets/`; what the summary says in `reports/summary.py`.
"""

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
from dagster import DagsterEventType, DagsterInstance

from recsys_assets import columns as c
from recsys_assets.assets.candidates import candidate_folder
from recsys_assets.assets.challenge import CHALLENGE_SCHEMA
from recsys_assets.assets.delivery import artists_file, tracks_file
from recsys_assets.assets.ingestion import cleaned_file, ingestion_report, rejected_file
from recsys_assets.assets.selection import champion_folder, registration_file
from recsys_assets.automation.jobs import CHALLENGE, PREPARE, REFRESH
from recsys_assets.automation.sensors import last_materialised_version
from recsys_assets.automation.terminal import TERMINAL
from recsys_assets.code_version import code_version, library_versions
from recsys_assets.definitions import build_defs, build_tracking
from recsys_assets.errors import UserError
from recsys_assets.evaluation.leaderboard import order_candidates
from recsys_assets.evaluation.records import CandidateRecord
from recsys_assets.files import read_json, replaced_file, write_json
from recsys_assets.grid import asked_grid, chosen_grid, left_out
from recsys_assets.progress import Progress
from recsys_assets.reports.challenge import challenge_markdown
from recsys_assets.reports.summary import summarise
from recsys_assets.reports.tables import leaderboard_markdown
from recsys_assets.resources.database import open_database
from recsys_assets.resources.run_lock import wait_until_free
from recsys_assets.settings import Settings
from recsys_assets.similarity.files import parquet_path
from recsys_assets.sources.known_files import scan_known
from recsys_assets.training import combine

STATE_FILE = "last_refresh.json"
PREPARED_FILE = "last_prepare.json"
SUMMARY_FILE = "summary.txt"
PREPARING_CODE = (
    "sources",
    "preparation",
    "assets/ingestion.py",
    "assets/preparation.py",
    "columns.py",
)
NOT_OF_THE_DATA = {
    *("candidates", "grid", "seed", "neighbours", "promotion_policy", "refresh_cron"),
    *("similarity_min_plays", "similarity_search", "similarity_recall"),
    *("incremental", "warm_start"),
    *("experiment", "registered_model", "tracking_uri", "memory_limit", "threads"),
}
"""Settings that change nothing in the splits."""
INSTANCE_FILE = Path(__file__).parent.parent / "dagster.yaml"


class RefreshError(UserError):
    """A refresh in which an asset or a blocking check failed; says which and why."""


def set_up(settings: Settings, *, progress: Progress) -> None:
    """Prepare Dagster's instance and the MLflow store, once, before anything runs side by side.

    Two first-ever processes on one fresh instance folder broke Dagster's SQLite for good: one sets
    up while others wait, and `dagster.yaml` is there only when its databases are.
    """
    settings.dagster.mkdir(parents=True, exist_ok=True)
    locks = settings.home / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / "setup.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the file is closed
        with replaced_file(settings.dagster / "dagster.yaml") as aside:
            shutil.copyfile(INSTANCE_FILE, aside)
            with DagsterInstance.from_config(str(settings.dagster), aside.name) as instance:
                instance.get_runs_count()
                instance.event_log_storage.get_concurrency_keys()
                instance.all_instigator_state()
            build_tracking(settings).prepare()
    progress(f"Dagster's instance is ready in {settings.dagster}")
    progress(f"MLflow's store is ready: {settings.mlflow_uri}")


def refresh(settings: Settings, *, force: bool, progress: Progress) -> None:
    """Run the job `refresh` in this process, unless nothing changed, and print the summary.

    Raises
    ------
    RefreshError
        If an asset or a blocking check failed.
    """
    if not (settings.dagster / "dagster.yaml").exists():
        set_up(settings, progress=progress)
    wait_until_free(settings.home / "locks", progress=progress)
    state = settings.home / STATE_FILE
    with DagsterInstance.from_config(str(settings.dagster)) as instance:
        if not force and state.exists() and read_json(state) == _state(settings):
            progress(
                "up to date: raw files, code, libraries, grid and settings are those of the last "
                "refresh"
            )
            progress(summary(settings, {}))
            return
        for line in left_out(asked_grid(settings.candidates, settings.grid)):
            progress(line)
        _forget(settings)
        result = _execute(settings, instance, REFRESH)
        raw = last_materialised_version(instance)
        write_json(state, {**_state(settings), "raw": raw})
        write_json(settings.home / PREPARED_FILE, {**_prepared_state(settings), "raw": raw})
        text = summary(settings, _seconds_per_asset(result))
        with replaced_file(settings.reports / SUMMARY_FILE) as aside:
            aside.write_text(text + "\n")
        progress(text)


def prepare(settings: Settings, *, progress: Progress) -> None:
    """Run the job `prepare` (up to the splits) in this process, unless nothing changed.

    Raises
    ------
    RefreshError
        If an asset or a blocking check failed.
    """
    if not (settings.dagster / "dagster.yaml").exists():
        set_up(settings, progress=progress)
    wait_until_free(settings.home / "locks", progress=progress)
    state = settings.home / PREPARED_FILE
    if state.exists() and read_json(state) == _prepared_state(settings):
        return
    with DagsterInstance.from_config(str(settings.dagster)) as instance:
        _forget(settings)
        _execute(settings, instance, PREPARE)
        raw = last_materialised_version(instance)
        write_json(state, {**_prepared_state(settings), "raw": raw})


def _forget(settings: Settings) -> None:
    """Take the home folder's tables for out of date, before a run begins to change them."""
    for name in (STATE_FILE, PREPARED_FILE):
        (settings.home / name).unlink(missing_ok=True)


def _execute(settings: Settings, instance: DagsterInstance, job: str) -> dg.ExecuteInProcessResult:
    result = (
        build_defs(settings)
        .resolve_job_def(job)
        .execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {TERMINAL: {"config": {}}}},
        )
    )
    if not result.success:
        raise RefreshError("\n".join(_failures(result)))
    return result


def _state(settings: Settings) -> dict[str, Any]:
    """Return everything that decides what a refresh makes."""
    grid = [
        (spec.name, spec.family, spec.parameters.model_dump(mode="json"))
        for spec in chosen_grid(settings.candidates, settings.grid)
    ]
    return {
        "raw": _raw_version(settings),
        "code": code_version("."),
        "libraries": list(library_versions()),
        "grid": combine(grid),
        "settings": combine(settings.model_dump(mode="json")),
    }


def _prepared_state(settings: Settings) -> dict[str, Any]:
    """Return everything that decides what the splits hold."""
    values = settings.model_dump(mode="json")
    return {
        "raw": _raw_version(settings),
        "code": code_version(*PREPARING_CODE),
        "settings": combine({k: v for k, v in values.items() if k not in NOT_OF_THE_DATA}),
    }


def _raw_version(settings: Settings) -> str | None:
    if settings.raw is None and not settings.raw_or_demo.exists():
        return None
    known = scan_known(settings.raw_or_demo, settings.known_files, trust=settings.incremental)
    return known.data_version


def summary(settings: Settings, seconds_per_asset: dict[str, float]) -> str:
    """Return the summary of what the home folder holds."""
    return summarise(
        settings,
        report=ingestion_report(settings),
        candidate_folders=[
            candidate_folder(settings, spec.name)
            for spec in chosen_grid(settings.candidates, settings.grid)
        ],
        registration=read_json(registration_file(settings)),
        paths=[
            settings.database,
            cleaned_file(settings),
            rejected_file(settings),
            champion_folder(settings),
            settings.reports / SUMMARY_FILE,
            *(
                path
                for text in (tracks_file(settings), artists_file(settings))
                for path in (text, parquet_path(text))
            ),
        ],
        seconds_per_asset=seconds_per_asset,
        left_out=left_out(asked_grid(settings.candidates, settings.grid)),
    )


def leaderboard(settings: Settings) -> str:
    """Return the last refresh's leaderboard in detail, and by the challenge's rules, as Markdown.

    The job `challenge` is run first unless its table is of these very candidates.

    Raises
    ------
    RefreshError
        If the job failed.
    """
    grid = chosen_grid(settings.candidates, settings.grid)
    records = [CandidateRecord.load(candidate_folder(settings, spec.name)) for spec in grid]
    table = _challenge_metrics(settings)
    made = {row[c.CANDIDATE]: row[c.FINGERPRINT] for row in table.to_pylist()}
    if made != {record.candidate: record.fingerprint for record in records}:
        with DagsterInstance.from_config(str(settings.dagster)) as instance:
            _execute(settings, instance, CHALLENGE)
        table = _challenge_metrics(settings)
    return "\n\n".join(
        [
            leaderboard_markdown(order_candidates(records), seed=settings.seed),
            "By the Million Playlist challenge's rules, with so many seed tracks:",
            challenge_markdown(table),
        ]
    )


def _challenge_metrics(settings: Settings) -> pa.Table:
    """Return the table `challenge_metrics`, empty where it was never made."""
    with open_database(str(settings.database), read_only=True) as connection:
        if connection.execute(
            "SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [c.CHALLENGE_METRICS]
        ).fetchall():
            return connection.execute(f"FROM {c.CHALLENGE_METRICS}").to_arrow_table()
    return CHALLENGE_SCHEMA.empty_table()


def _seconds_per_asset(result: dg.ExecuteInProcessResult) -> dict[str, float]:
    """Return wall seconds per step, in the order in which they finished; checks are summed up."""
    events = result.all_events
    checks = {
        event.step_key
        for event in events
        if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION
    }
    seconds: dict[str, float] = {}
    for event in events:
        if event.is_step_success and event.step_key is not None:
            name = "(all checks)" if event.step_key in checks else event.step_key.replace("__", "/")
            spent = event.step_success_data.duration_ms / 1000
            seconds[name] = seconds.get(name, 0.0) + spent
    return seconds


def _failures(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    """Return one text per failed asset or check; a traceback only for a defect of ours."""
    for event in result.all_events:
        if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            judged = event.asset_check_evaluation_data
            if not judged.passed:
                figures = ", ".join(f"{k} = {v.value}" for k, v in judged.metadata.items())
                yield (
                    f"check {judged.check_name} on {judged.asset_key.to_user_string()} failed: "
                    f"{judged.description or ''} ({figures})"
                )
        elif event.is_step_failure:
            yield from _failure(event)


def _failure(event: dg.DagsterEvent) -> Iterator[str]:
    data = event.step_failure_data
    name = (event.step_key or "").replace("__", "/")
    if data.user_failure_data is not None:
        yield f"{name} failed: {data.user_failure_data.description}"
        return
    error = data.error
    whole = "" if error is None else error.to_string()
    while error is not None and error.cause is not None and error.cls_name not in _USER_ERRORS:
        error = error.cause
    if error is None or error.cls_name == "DagsterAssetCheckFailedError":
        return  # the check's own evaluation says more
    if error.cls_name in _USER_ERRORS:
        yield f"{name} failed: {error.message.partition(': ')[2].strip()}"
    else:
        yield f"{name} failed with an error that is not the data's:\n{whole}"


def _user_error_names() -> frozenset[str]:
    found, queue = set(), [UserError]
    while queue:
        one = queue.pop()
        found.add(one.__name__)
        queue.extend(one.__subclasses__())
    return frozenset(found)


_USER_ERRORS = _user_error_names()
