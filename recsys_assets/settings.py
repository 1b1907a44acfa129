"""Settings: the one place that reads the environment.

A frozen object with a documented field for everything that a user may choose, and the paths derived
from it. Nothing else in the package calls `os.environ`; tests and `build_defs` pass a `Settings` of
their own. Hyperparameters do not belong here but in `candidates.yaml`.
"""

import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from recsys_assets.errors import SettingsError
from recsys_assets.memory import memory_budget, parse_bytes

ENVIRONMENT_PREFIX = "RECSYS_"
MLFLOW_TRACKING_URI = "MLFLOW_TRACKING_URI"

_CRON = re.compile(r"[\dA-Za-z*/,-]+( +[\dA-Za-z*/,-]+){4}")
"""The shape of a cron expression; what its fields may hold is judged by Dagster's schedule."""


class Settings(BaseModel):
    """Everything that a user may set; each field is the environment variable RECSYS_<FIELD>."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    home: Path = Field(
        default=Path("var"),
        description="Folder of all state: DuckDB, parquet, models, MLflow, Dagster's storage.",
    )
    raw: Path | None = Field(
        default=None,
        description="Raw file or folder; without it the embedded demo data is written and used.",
    )
    candidates: Path | None = Field(
        default=None, description="A grid of candidates of your own; goes before RECSYS_GRID."
    )
    grid: Literal["default", "full"] = Field(
        default="default",
        description="Which shipped grid: default (minutes), or full (every family, longer).",
    )
    sample_percent: float = Field(
        default=100.0,
        gt=0,
        le=100,
        description="Development: the share of playlists to use, chosen by hash, in percent.",
    )
    seed: int = Field(default=42, ge=0, description="Seed of everything random.")
    split_salt: str = Field(
        default="recsys_assets",
        min_length=1,
        description="Salt of the hash that puts a playlist into train, validation or test.",
    )
    split: Literal["hash", "temporal"] = Field(
        default="hash",
        description=(
            "How playlists are divided: hash (an old playlist never changes side), or temporal "
            "(the oldest train, the newest test)."
        ),
    )
    split_time: Literal["started_at", "playlist_id"] = Field(
        default="started_at",
        description=(
            "Temporal split: what orders playlists, their time, or playlist_id where all ids are "
            "whole numbers in time order."
        ),
    )
    validation_size: float = Field(
        default=0.2,
        gt=0,
        description="Share of validation playlists; from 1 on their number (temporal split only).",
    )
    test_size: float = Field(
        default=0.1,
        gt=0,
        description="Share of test playlists; from 1 on their number (temporal split only).",
    )
    session_gap_minutes: float = Field(
        default=30.0, gt=0, description="Listening events: a longer gap starts a new session."
    )
    truncated_json: Literal["reject_file", "keep_whole_playlists"] = Field(
        default="reject_file",
        description="A JSON slice that is cut off: reject it whole, or take its whole playlists.",
    )
    max_rejected_share: float = Field(
        default=0.05, ge=0, le=1, description="Largest share of defective rows that may pass."
    )
    min_playlist_tracks: int | None = Field(
        default=None, ge=0, description="Keep playlists of more than so many tracks."
    )
    top_artists: int | None = Field(
        default=None, ge=1, description="Keep rows of the so many most mentioned artists."
    )
    min_artist_mentions: int | None = Field(
        default=None, ge=0, description="Keep rows of artists with more than so many mentions."
    )
    incremental: bool = Field(
        default=True,
        description=(
            "Hash and read only raw files that are new, and keep what was made of each; false hashes "
            "and reads all of them, and keeps nothing more."
        ),
    )
    neighbours: int = Field(
        default=20, ge=1, le=1000, description="Neighbours of each item in the similarity files."
    )
    similarity_min_plays: int = Field(
        default=1,
        ge=1,
        description="The similarity file of tracks has those with so many plays or more.",
    )
    similarity_search: Literal["auto", "exact", "approximate"] = Field(
        default="auto",
        description=(
            "How models of vectors find neighbours: exact, approximate (an index, its recall "
            "measured), or auto: exact up to 10**12 multiplications, then approximate."
        ),
    )
    similarity_recall: float = Field(
        default=0.98,
        gt=0,
        lt=1,
        description="Least share of the exact neighbours that an approximate search has to find.",
    )
    warm_start: bool = Field(
        default=False,
        description=(
            "Candidates that can, word2vec, go on from their last model where a refresh brings little "
            "new data; what is registered is always trained from scratch."
        ),
    )
    promotion_policy: Literal["default", "strict"] = Field(
        default="default",
        description=(
            "default: a new version becomes champion unless significantly worse; "
            "strict: only if significantly better."
        ),
    )
    refresh_cron: str = Field(default="0 4 * * *", description="Cron of the daily refresh (UTC).")
    experiment: str = Field(default="recsys_assets", description="Name of the MLflow experiment.")
    registered_model: str = Field(
        default="playlist-continuation", description="Name of the model in the MLflow registry."
    )
    tracking_uri: str | None = Field(
        default=None,
        description="MLflow server (MLFLOW_TRACKING_URI); without it SQLite under the home folder.",
    )
    memory_limit: str | None = Field(
        default=None,
        description=(
            "The memory budget, such as '4GB', of DuckDB and of each model; without it 60 % of what "
            "the machine or the container has."
        ),
    )
    threads: int | None = Field(
        default=None, ge=1, description="DuckDB's threads; without it all of the machine's."
    )

    @field_validator("home", "raw", "candidates")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else Path(os.path.abspath(value.expanduser()))  # noqa: PTH100

    @field_validator("memory_limit")
    @classmethod
    def _a_size(cls, value: str | None) -> str | None:
        if value is not None:
            parse_bytes(value)
        return value

    @field_validator("refresh_cron")
    @classmethod
    def _five_fields(cls, value: str) -> str:
        if not _CRON.fullmatch(value):
            raise ValueError("expected a cron expression of five fields, such as '0 4 * * *'")
        return value

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        sizes = {"validation_size": self.validation_size, "test_size": self.test_size}
        for name, size in sizes.items():
            if size >= 1 and (self.split == "hash" or size != round(size)):
                raise SettingsError(
                    f"{ENVIRONMENT_PREFIX}{name.upper()}={size:g} cannot be used: expected a share "
                    "below 1, or a whole number of playlists with RECSYS_SPLIT=temporal"
                )
        if sum(size for size in sizes.values() if size < 1) >= 1:
            raise SettingsError(
                f"RECSYS_VALIDATION_SIZE={self.validation_size:g} and RECSYS_TEST_SIZE="
                f"{self.test_size:g} leave nothing to train on; their sum has to be below 1"
            )
        return self

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings from RECSYS_* variables and MLFLOW_TRACKING_URI; empty means unset.

        Raises
        ------
        SettingsError
            Naming the variable, its value and what was expected, or an unknown RECSYS_* variable.
        """
        source = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for name, value in source.items():
            if name.startswith(ENVIRONMENT_PREFIX) and value != "":
                values[name.removeprefix(ENVIRONMENT_PREFIX).lower()] = value
        if source.get(MLFLOW_TRACKING_URI):
            values.setdefault("tracking_uri", source[MLFLOW_TRACKING_URI])
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError(_explain(error)) from None

    # --- where things are ----------------------------------------------------------------------
    @cached_property
    def database(self) -> Path:
        """The DuckDB file of all tables."""
        return self.home / "recsys.duckdb"

    @cached_property
    def cleaned(self) -> Path:
        """Folder of cleaned playlists, rejected rows and the ingestion's counts."""
        return self.home / "cleaned"

    @cached_property
    def parts(self) -> Path | None:
        """Folder of what was made of each raw file; None where nothing is kept."""
        return self.home / "parts" if self.incremental else None

    @cached_property
    def known_files(self) -> Path:
        """What was found of the raw files when they were last looked at."""
        return self.home / "raw_files.json"

    @cached_property
    def models(self) -> Path:
        """Folder of model files."""
        return self.home / "models"

    @cached_property
    def similarity(self) -> Path:
        """Folder of similarity files."""
        return self.home / "similarity"

    @cached_property
    def reports(self) -> Path:
        """Folder of reports for people."""
        return self.home / "reports"

    @cached_property
    def mlflow(self) -> Path:
        """Folder of the default MLflow store and of all artifacts that it holds."""
        return self.home / "mlflow"

    @cached_property
    def dagster(self) -> Path:
        """Folder to be used as DAGSTER_HOME."""
        return self.home / "dagster"

    @cached_property
    def scratch(self) -> Path:
        """Folder of temporary files: DuckDB's spill and unpacked archives."""
        return self.home / "scratch"

    @cached_property
    def raw_or_demo(self) -> Path:
        """The raw input: the user's, or the embedded demo data's place under the home folder."""
        return self.raw if self.raw is not None else self.home / "demo" / "demo.csv"

    @cached_property
    def mlflow_uri(self) -> str:
        """The tracking and registry address: the server's, or SQLite under the home folder."""
        return self.tracking_uri or f"sqlite:///{self.mlflow / 'mlflow.db'}"


def quiet_mlflow() -> None:
    """Switch off MLflow's telemetry and its progress bar per artifact, unless the user set them.

    Must run before MLflow is imported.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def duckdb_memory_limit(settings: Settings) -> str:
    """Return the memory that DuckDB may use: the whole budget, since nothing trains beside it."""
    return f"{memory_budget(settings.memory_limit) // 2**20}MiB"


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        name = str(problem["loc"][0])
        variable = (
            MLFLOW_TRACKING_URI if name == "tracking_uri" else ENVIRONMENT_PREFIX + name.upper()
        )
        if problem["type"] == "extra_forbidden":
            known = ", ".join(ENVIRONMENT_PREFIX + field.upper() for field in Settings.model_fields)
            lines.append(f"{variable} is not a setting; the settings are {known}")
        else:
            field = Settings.model_fields[name]
            lines.append(
                f"{variable}={problem['input']!r}: {problem['msg']}. ({field.description})"
            )
    return "settings cannot be used:\n  " + "\n  ".join(lines)
