"""The only wiring: assets, checks, jobs, schedules, sensors and resources of one code location.

`build_defs(settings)` makes the whole project for any settings (tests use it with a temporary
folder); `defs` is the one that Dagster loads. Logic belongs elsewhere.
"""

import gc

import dagster as dg

from recsys_assets.assets import (
    candidates,
    challenge,
    delivery,
    ingestion,
    preparation,
    selection,
)
from recsys_assets.assets.common import DATABASE_KEY, IO_MANAGER_KEY, MLFLOW_KEY, SETTINGS_KEY
from recsys_assets.automation.jobs import build_jobs
from recsys_assets.automation.schedules import build_schedules
from recsys_assets.automation.sensors import build_sensors
from recsys_assets.automation.terminal import TERMINAL, terminal_logger
from recsys_assets.checks import build_checks
from recsys_assets.grid import chosen_grid
from recsys_assets.resources.database import DuckDBReader
from recsys_assets.resources.event_storage import commit_without_waiting
from recsys_assets.resources.io_manager import RecsysDuckDBIOManager
from recsys_assets.resources.run_lock import locked_settings
from recsys_assets.resources.tracking import MlflowTracking
from recsys_assets.settings import Settings, duckdb_memory_limit


def build_defs(
    settings: Settings | None = None, *, resource_overrides: dict[str, object] | None = None
) -> dg.Definitions:
    """Build the code location.

    Parameters
    ----------
    settings
        Where everything is and how it is done; read from the environment when not given.
    resource_overrides
        Resources to use instead of the default ones, by key.

    Raises
    ------
    SettingsError, GridError
        If the environment or the candidates file cannot be used.
    """
    settings = Settings.from_environment() if settings is None else settings
    grid = chosen_grid(settings.candidates, settings.grid)
    return dg.Definitions(
        assets=[
            *ingestion.ASSETS,
            *preparation.ASSETS,
            *(candidates.candidate_asset(spec) for spec in grid),
            selection.leaderboard_asset(grid),
            selection.best_model_asset(grid),
            challenge.challenge_asset(grid),
            *delivery.ASSETS,
        ],
        asset_checks=build_checks(grid),
        jobs=build_jobs(),
        schedules=build_schedules(settings),
        sensors=build_sensors(settings),
        resources={
            SETTINGS_KEY: locked_settings(settings),
            DATABASE_KEY: DuckDBReader(database=str(settings.database)),
            IO_MANAGER_KEY: RecsysDuckDBIOManager(
                database=str(settings.database),
                connection_config={
                    "memory_limit": duckdb_memory_limit(settings),
                    "temp_directory": str(settings.scratch / "duckdb"),
                    **({"threads": settings.threads} if settings.threads else {}),
                },
            ),
            MLFLOW_KEY: build_tracking(settings),
            **(resource_overrides or {}),
        },
        # Starting a process for each step costs 5 to 7 s, and training itself uses the cores.
        executor=dg.in_process_executor,
        loggers={TERMINAL: terminal_logger},
    )


def build_tracking(settings: Settings) -> MlflowTracking:
    """Return the MLflow resource for these settings."""
    return MlflowTracking(
        tracking_uri=settings.mlflow_uri,
        artifact_root=str(settings.mlflow / "artifacts"),
        experiment=settings.experiment,
        registered_model=settings.registered_model,
        home=str(settings.home),
    )


_settings = Settings.from_environment()
defs = build_defs(_settings)
commit_without_waiting(_settings.dagster)

# What imports made stays until the end: a run is 0.9 s shorter when collections and the exit skip it.
gc.freeze()
