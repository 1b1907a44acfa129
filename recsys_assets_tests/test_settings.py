"""Settings: every variable read once, and messages that name it."""

from pathlib import Path

import pytest

from recsys_assets.errors import SettingsError
from recsys_assets.settings import Settings, duckdb_memory_limit


def test_defaults_keep_everything_under_home() -> None:
    """Prevents state outside RECSYS_HOME."""
    settings = Settings.from_environment({"RECSYS_HOME": "/somewhere"})
    paths = [
        settings.database,
        settings.cleaned,
        settings.models,
        settings.similarity,
        settings.reports,
        settings.mlflow,
        settings.dagster,
        settings.scratch,
        settings.raw_or_demo,
    ]
    assert all(path.is_relative_to("/somewhere") for path in paths)
    assert settings.mlflow_uri == "sqlite:////somewhere/mlflow/mlflow.db"


def test_relative_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Prevents a process with another working folder from using another home."""
    monkeypatch.chdir(tmp_path)
    assert Settings.from_environment({}).home == tmp_path / "var"


def test_empty_variables_are_unset() -> None:
    """Prevents `RAW= make run` from reading the working folder."""
    assert Settings.from_environment({"RECSYS_RAW": "", "MLFLOW_TRACKING_URI": ""}).raw is None


def test_tracking_server_is_taken_from_mlflows_own_variable() -> None:
    """Prevents a server from being ignored."""
    settings = Settings.from_environment({"MLFLOW_TRACKING_URI": "http://mlflow:5000"})
    assert settings.mlflow_uri == "http://mlflow:5000"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("RECSYS_SAMPLE_PERCENT", "0", "greater than 0"),
        ("RECSYS_SAMPLE_PERCENT", "many", "valid number"),
        ("RECSYS_PROMOTION_POLICY", "lenient", "'default' or 'strict'"),
        ("RECSYS_REFRESH_CRON", "every day", "five fields"),
        ("RECSYS_TRUNCATED_JSON", "keep", "keep_whole_playlists"),
        ("RECSYS_SPLIT", "time", "'hash' or 'temporal'"),
        ("RECSYS_SPLIT_TIME", "date", "'started_at' or 'playlist_id'"),
        ("RECSYS_TEST_SIZE", "0", "greater than 0"),
    ],
)
def test_bad_value_is_named(name: str, value: str, expected: str) -> None:
    """Prevents a typo's value from being used or shown as a traceback."""
    with pytest.raises(SettingsError, match=name) as caught:
        Settings.from_environment({name: value})
    assert expected in str(caught.value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"RECSYS_VALIDATION_SIZE": "6000"}, "RECSYS_VALIDATION_SIZE=6000.*RECSYS_SPLIT=temporal"),
        ({"RECSYS_TEST_SIZE": "6.5", "RECSYS_SPLIT": "temporal"}, "RECSYS_TEST_SIZE=6.5.*whole"),
        ({"RECSYS_VALIDATION_SIZE": "0.9"}, "below 1"),
    ],
)
def test_sizes_that_cannot_be(given: dict[str, str], expected: str) -> None:
    """Prevents a number of playlists from being taken for a share, and a split without train."""
    with pytest.raises(SettingsError, match=expected):
        Settings.from_environment(given)


def test_unknown_variable_is_refused() -> None:
    """Prevents a misspelt setting from doing nothing."""
    with pytest.raises(SettingsError, match=r"RECSYS_SEEED is not a setting.*RECSYS_SEED"):
        Settings.from_environment({"RECSYS_SEEED": "1"})


def test_memory_limit_defaults_to_a_share_of_the_machine() -> None:
    """Prevents DuckDB from taking the memory that training needs."""
    assert duckdb_memory_limit(Settings(memory_limit="1GiB")) == "1024MiB"
    assert duckdb_memory_limit(Settings()).endswith("MiB")
