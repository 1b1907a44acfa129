"""The code location as a whole: it loads, is complete, and every asset says what it is."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from recsys_assets import columns as c
from recsys_assets.definitions import build_defs
from recsys_assets.settings import Settings

ROOT = Path(__file__).parent.parent

CANDIDATE_NAMES = [
    "als",
    "als_explicit",
    "blend",
    "artist_knn",
    "artist_tracks",
    "cooccurrence",
    "cooccurrence_two_hop",
    "ease",
    "pair_counts",
    "popularity",
    "ppmi_svd",
    "session_knn",
    "title",
    "word2vec_min_count_3",
    "word2vec_min_count_5",
    "word2vec_min_count_10",
    "word2vec_skipgram",
]

SPLITS = {c.TRAIN_PLAYLISTS, c.VALIDATION_PLAYLISTS}
LINEAGE = {
    c.RAW_PLAYLISTS: set(),
    c.CLEANED_PLAYLISTS: {c.RAW_PLAYLISTS},
    c.REJECTED_ROWS: {c.RAW_PLAYLISTS},
    c.ARTIST_CATALOG: {c.CLEANED_PLAYLISTS},
    c.TRACK_CATALOG: {c.CLEANED_PLAYLISTS, c.ARTIST_CATALOG},
    c.PLAYLIST_SEQUENCES: {c.CLEANED_PLAYLISTS, c.TRACK_CATALOG},
    c.TRAIN_PLAYLISTS: {c.PLAYLIST_SEQUENCES},
    c.VALIDATION_PLAYLISTS: {c.PLAYLIST_SEQUENCES},
    c.TEST_PLAYLISTS: {c.PLAYLIST_SEQUENCES},
    **{f"candidates/{name}": {*SPLITS, c.TRACK_CATALOG} for name in CANDIDATE_NAMES},
    c.LEADERBOARD: {f"candidates/{name}" for name in CANDIDATE_NAMES},
    c.BEST_MODEL: {c.LEADERBOARD, *SPLITS, c.TEST_PLAYLISTS, c.TRACK_CATALOG},
    c.CHALLENGE_METRICS: {c.LEADERBOARD, *SPLITS, c.TRACK_CATALOG},
    c.TRACK_SIMILARITY: {c.BEST_MODEL, c.TRACK_CATALOG},
    c.ARTIST_SIMILARITY: {c.BEST_MODEL, *SPLITS, c.ARTIST_CATALOG},
}
TABLES = {key for key in LINEAGE if key in vars(c).values()} - {
    c.BEST_MODEL,
    c.TRACK_SIMILARITY,
    c.ARTIST_SIMILARITY,
}
BLOCKING = {
    (c.CLEANED_PLAYLISTS, "rows_are_conserved"),
    (c.CLEANED_PLAYLISTS, "rejected_share_is_small"),
    (c.ARTIST_CATALOG, "keys_are_unique_and_not_null"),
    (c.TRACK_CATALOG, "keys_are_unique_and_not_null"),
    (c.PLAYLIST_SEQUENCES, "keys_are_unique_and_not_null"),
    (c.PLAYLIST_SEQUENCES, "sequence_lengths"),
    (c.VALIDATION_PLAYLISTS, "splits_are_disjoint_and_complete"),
    (c.VALIDATION_PLAYLISTS, "splits_are_in_time_order"),
    *((f"candidates/{name}", "vectors_are_finite") for name in CANDIDATE_NAMES),
    (c.LEADERBOARD, "complete_for_this_data_version"),
    (c.LEADERBOARD, "best_beats_popularity"),
    (c.TRACK_SIMILARITY, "file_format"),
    (c.ARTIST_SIMILARITY, "file_format"),
}
NOT_BLOCKING = {(c.VALIDATION_PLAYLISTS, "split_shares")}


@pytest.fixture
def definitions(settings: Settings) -> dg.Definitions:
    """The code location on a temporary folder."""
    return build_defs(settings)


def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    """Return all asset specs by their key."""
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def test_loads(definitions: dg.Definitions) -> None:
    """Prevents definitions that fail in Dagster only."""
    dg.Definitions.validate_loadable(definitions)


def test_lineage(definitions: dg.Definitions) -> None:
    """Prevents an asset or a dependency from appearing or going unnoticed."""
    found = {
        key: {dep.asset_key.to_user_string() for dep in spec.deps}
        for key, spec in specs(definitions).items()
    }
    assert found == LINEAGE


def test_every_asset_says_what_it_is(definitions: dg.Definitions) -> None:
    """Prevents assets without description, group, owner, kinds, tags or code version."""
    for key, spec in specs(definitions).items():
        assert spec.description, key
        assert spec.group_name != "default", key
        assert spec.owners, key
        assert spec.kinds, key
        assert spec.tags.get("domain"), key
        assert spec.code_version, key
        if key in TABLES:
            assert "dagster/column_schema" in spec.metadata, key
            schema = spec.metadata["dagster/column_schema"]
            assert all(column.description for column in schema.columns), key


def test_delivered_assets_have_freshness_policies(definitions: dg.Definitions) -> None:
    """Prevents stale deliveries that nobody notices."""
    with_policy = {key for key, spec in specs(definitions).items() if spec.freshness_policy}
    assert with_policy == {c.BEST_MODEL, c.TRACK_SIMILARITY, c.ARTIST_SIMILARITY}


def test_checks_are_complete(definitions: dg.Definitions) -> None:
    """Prevents a load-bearing check from going, or from no longer blocking."""
    found = {
        (spec.asset_key.to_user_string(), spec.name): spec.blocking
        for checks in definitions.asset_checks or []
        for spec in checks.check_specs
    }
    assert {check for check, blocking in found.items() if blocking} == BLOCKING
    assert {check for check, blocking in found.items() if not blocking} == NOT_BLOCKING


def test_jobs_schedules_and_sensors_are_complete(definitions: dg.Definitions) -> None:
    """Prevents an automation that is written but not wired, or wired but not expected."""
    repository = definitions.get_repository_def()
    assert {job.name for job in repository.get_all_jobs()} >= {
        "refresh",
        "prepare",
        "train_and_select",
    }
    assert [schedule.name for schedule in repository.schedule_defs] == ["daily_refresh"]
    assert [sensor.name for sensor in repository.sensor_defs] == ["raw_files_changed"]


def test_jobs_select_what_they_promise(definitions: dg.Definitions) -> None:
    """Prevents `prepare` from training, or `train_and_select` from reading raw files again."""

    def selected(job: str) -> set[str]:
        keys = definitions.resolve_job_def(job).asset_layer.selected_asset_keys
        return {key.to_user_string() for key in keys}

    prepared = {key for key in LINEAGE if key in TABLES} - {c.LEADERBOARD, c.CHALLENGE_METRICS}
    trained = {f"candidates/{name}" for name in CANDIDATE_NAMES} | {c.LEADERBOARD, c.BEST_MODEL}
    assert selected("refresh") == set(LINEAGE) - {c.CHALLENGE_METRICS}
    assert selected("challenge") == {c.CHALLENGE_METRICS}
    assert selected("prepare") == prepared
    assert selected("train_and_select") == trained


def test_bad_setting_has_no_traceback(tmp_path: Path) -> None:
    """Prevents a user's typo from showing a traceback of ours."""
    done = subprocess.run(
        [sys.executable, "-m", "recsys_assets", "run"],
        env={"RECSYS_HOME": str(tmp_path), "RECSYS_SEED": "many", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert "RECSYS_SEED='many'" in done.stderr
    assert "Traceback" not in done.stderr
