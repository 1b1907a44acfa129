"""Every check passes on sound tables and fails on the defect that it is there for."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pytest

from recsys_assets import columns as c
from recsys_assets.assets.candidates import MODEL_FOLDER, candidate_folder
from recsys_assets.assets.delivery import artists_file, tracks_file
from recsys_assets.assets.ingestion import cleaned_file, rejected_file, report_file
from recsys_assets.checks import delivery, ingestion, preparation, selection
from recsys_assets.evaluation.metrics import HIT_RATE_100
from recsys_assets.grid import load_grid
from recsys_assets.models.base import ARRAYS_FILE
from recsys_assets.resources.database import DuckDBReader
from recsys_assets.settings import Settings
from recsys_assets.sources.ingest import ingest
from recsys_assets.sources.manifest import scan_raw
from recsys_assets.sources.options import IngestOptions

Database = Callable[..., DuckDBReader]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Make a database by SQL statements."""

    def make(*statements: str) -> DuckDBReader:
        path = tmp_path / "checks.duckdb"
        with duckdb.connect(str(path)) as connection:
            for statement in statements:
                connection.execute(statement)
        return DuckDBReader(database=str(path))

    return make


def check_named(checks: list[dg.AssetChecksDefinition], asset: str, name: str):
    """Find a check by its asset and name."""
    return next(
        one
        for one in checks
        if any(
            spec.name == name and spec.asset_key.to_user_string() == asset
            for spec in one.check_specs
        )
    )


CATALOG = (
    f"CREATE TABLE {c.TRACK_CATALOG} AS SELECT * FROM (VALUES {{rows}}) t(track_index, track_id)"
)


@pytest.mark.parametrize(
    ("rows", "nulls", "duplicates"),
    [
        ("(0, 'a'), (1, 'b')", (0, 0), (0, 0)),
        ("(1, 'b'), (0, 'a')", (0, 0), (0, 0)),
        ("(0, 'a'), (1, 'a'), (2, 'a')", (0, 0), (0, 2)),
        ("(0, 'a'), (0, 'b')", (0, 0), (1, 0)),
        ("(1, 'a'), (0, 'c'), (1, 'b')", (0, 0), (1, 0)),
        ("(0, 'a'), (1, NULL), (2, NULL)", (0, 2), (0, 0)),
        ("(NULL, 'a'), (1, 'b'), (1, NULL)", (1, 1), (1, 0)),
    ],
)
def test_keys(
    database: Database, rows: str, nulls: tuple[int, int], duplicates: tuple[int, int]
) -> None:
    """Prevents duplicate or missing keys from reaching the models."""
    check = check_named(preparation.CHECKS, c.TRACK_CATALOG, "keys_are_unique_and_not_null")
    result = check(database=database(CATALOG.format(rows=rows)))
    assert result.passed is not any(nulls + duplicates)
    assert {name: value.value for name, value in result.metadata.items()} == {
        "track_index_nulls": nulls[0],
        "track_index_duplicates": duplicates[0],
        "track_id_nulls": nulls[1],
        "track_id_duplicates": duplicates[1],
    }


@pytest.mark.parametrize(
    ("tracks", "artists", "count", "passed"),
    [
        ("[1, 2, 3]", "[1, 1, -1]", 3, True),
        ("[1, 2]", "[1, 1]", 2, False),
        ("[1, 2, 3]", "[1, 1]", 3, False),
        ("[1, 2, 3]", "[1, 1, 1]", 4, False),
    ],
)
def test_sequence_lengths(
    database: Database, tracks: str, artists: str, count: int, passed: bool
) -> None:
    """Prevents playlists that are too short, or whose columns disagree."""
    reader = database(
        f"CREATE TABLE {c.PLAYLIST_SEQUENCES} AS "
        f"SELECT {tracks} AS {c.TRACK_SEQUENCE}, {artists} AS {c.ARTIST_SEQUENCE}, "
        f"{count} AS {c.TRACK_COUNT}"
    )
    assert preparation.sequence_lengths(database=reader).passed is passed


def test_no_playlists_at_all(database: Database) -> None:
    """Prevents training on an input in which every playlist is too short."""
    reader = database(
        f"CREATE TABLE {c.PLAYLIST_SEQUENCES} ({c.TRACK_SEQUENCE} INTEGER[], "
        f"{c.ARTIST_SEQUENCE} INTEGER[], {c.TRACK_COUNT} INTEGER)"
    )
    result = preparation.sequence_lengths(database=reader)
    assert not result.passed
    assert "nothing can be learned" in result.description


def split_tables(train: range, validation: range, test: range, all_: range) -> list[str]:
    """Return statements that make the four tables of the split."""
    sides = {
        c.TRAIN_PLAYLISTS: train,
        c.VALIDATION_PLAYLISTS: validation,
        c.TEST_PLAYLISTS: test,
        c.PLAYLIST_SEQUENCES: all_,
    }
    return [
        f"CREATE TABLE {table} AS SELECT 'p' || i AS {c.PLAYLIST_ID} "
        f"FROM range({ids.start}, {ids.stop}) t(i)"
        for table, ids in sides.items()
    ]


@pytest.mark.parametrize(
    ("sides", "passed"),
    [
        ((range(70), range(70, 90), range(90, 100), range(100)), True),
        ((range(71), range(70, 90), range(90, 100), range(100)), False),
        ((range(69), range(70, 90), range(90, 100), range(100)), False),
        ((range(70), range(70, 90), range(90, 101), range(100)), False),
    ],
    ids=["sound", "in two sides", "in no side", "unknown"],
)
def test_splits(database: Database, sides: tuple[range, ...], passed: bool) -> None:
    """Prevents a playlist that is trained on and tested on."""
    result = preparation.splits_are_disjoint_and_complete(database=database(*split_tables(*sides)))
    assert result.passed is passed


@pytest.mark.parametrize(("validation", "passed"), [(200, True), (100, False)])
def test_shares(database: Database, settings: Settings, validation: int, passed: bool) -> None:
    """Prevents a split that is not 70 / 20 / 10."""
    tables = split_tables(range(700), range(validation), range(100), range(1000))
    result = preparation.split_shares(database=database(*tables), settings=settings)
    assert result.passed is passed
    assert result.severity == dg.AssetCheckSeverity.WARN


@pytest.mark.parametrize(("train", "validation", "passed"), [(880, 100, True), (878, 102, False)])
def test_sizes_of_a_temporal_split(
    database: Database, settings: Settings, train: int, validation: int, passed: bool
) -> None:
    """Prevents a number of validation playlists that is not the one asked for."""
    asked = settings.model_copy(
        update={"split": "temporal", "validation_size": 100, "test_size": 0.02}
    )
    tables = split_tables(range(train), range(validation), range(20), range(1000))
    result = preparation.split_shares(database=database(*tables), settings=asked)
    assert result.passed is passed


@pytest.mark.parametrize(
    ("split", "validation_day", "passed"),
    [("temporal", 3, True), ("temporal", 2, True), ("temporal", 1, False), ("hash", 1, True)],
)
def test_time_order(
    database: Database, settings: Settings, split: str, validation_day: int, passed: bool
) -> None:
    """Prevents training on playlists that are later than those it is measured on."""
    days = {
        c.TRAIN_PLAYLISTS: (1, 2),
        c.VALIDATION_PLAYLISTS: (validation_day, 4),
        c.TEST_PLAYLISTS: (4, 5),
    }
    reader = database(
        *(
            f"CREATE TABLE {table} AS SELECT 'p' AS {c.PLAYLIST_ID}, "
            f"unnest([TIMESTAMP '2020-01-0{low}', TIMESTAMP '2020-01-0{high}']) AS {c.STARTED_AT}"
            for table, (low, high) in days.items()
        )
    )
    asked = settings.model_copy(update={"split": split})
    result = preparation.splits_are_in_time_order(database=reader, settings=asked)
    assert result.passed is passed


def test_lost_row_is_noticed(settings: Settings, tmp_path: Path) -> None:
    """Prevents a reader that loses a row without a trace."""
    raw = tmp_path / "raw.csv"
    lines = [f'"u","artist","track {i}","list"' for i in range(10)]
    header = '"user_id", "artistname", "trackname", "playlistname"'
    raw.write_text("\n".join([header, *lines, "broken"]) + "\n")
    report = ingest(
        scan_raw(raw),
        options=IngestOptions(),
        cleaned_path=cleaned_file(settings),
        rejected_path=rejected_file(settings),
        scratch=tmp_path / "scratch",
    )
    report_file(settings).write_text(report.to_json())
    sound = ingestion.rows_are_conserved(settings=settings)
    assert sound.passed
    assert sound.metadata["rows_read"].value == 11
    share = ingestion.rejected_share_is_small(settings=settings)
    assert not share.passed  # 1 of 11 is more than 5 %
    path = cleaned_file(settings)
    duckdb.execute(f"COPY (FROM '{path}' LIMIT 9) TO '{path}.less' (FORMAT parquet)")
    Path(f"{path}.less").replace(path)
    assert not ingestion.rows_are_conserved(settings=settings).passed


@pytest.mark.parametrize(("value", "passed"), [(1.0, True), (np.nan, False), (np.inf, False)])
def test_vectors_are_finite(settings: Settings, value: float, passed: bool) -> None:
    """Prevents a model with NaN from being chosen and served."""
    grid = load_grid()
    folder = candidate_folder(settings, grid[0].name) / MODEL_FOLDER
    folder.mkdir(parents=True)
    np.savez(folder / ARRAYS_FILE, vectors=np.array([1.0, value]), items=np.array([1]))
    checks = selection.build_checks(grid)
    check = check_named(checks, f"candidates/{grid[0].name}", "vectors_are_finite")
    assert check(settings=settings).passed is passed


@pytest.mark.parametrize(("popularity", "passed"), [(0.1, True), (0.2, False), (0.3, False)])
def test_best_beats_popularity(database: Database, popularity: float, passed: bool) -> None:
    """Prevents registering a model that is no better than the most popular tracks."""
    ordered = sorted([("cooccurrence", 0.2), ("popularity", popularity)], key=lambda one: -one[1])
    rows = ", ".join(f"({i}, '{name}', {value}::DOUBLE)" for i, (name, value) in enumerate(ordered))
    reader = database(
        f"CREATE TABLE {c.LEADERBOARD} AS SELECT *, '{HIT_RATE_100}' AS {c.METRIC}, "
        f"'all' AS {c.SLICE} FROM (VALUES {rows}) t({c.PLACE}, {c.CANDIDATE}, {c.VALUE})"
    )
    check = check_named(selection.build_checks(load_grid()), c.LEADERBOARD, "best_beats_popularity")
    assert check(database=reader).passed is passed


def test_similarity_format(database: Database, settings: Settings) -> None:
    """Prevents a broken file, or an empty one where there are items, from being served."""
    settings = settings.model_copy(update={"neighbours": 1})
    settings.similarity.mkdir(parents=True)
    reader = database(
        CATALOG.format(rows="(0, 'a')"), f"CREATE TABLE {c.ARTIST_CATALOG} (artist_index INTEGER)"
    )
    tracks_file(settings).write_bytes(b"")
    artists_file(settings).write_bytes(b"")
    tracks, artists = delivery.CHECKS
    assert not tracks(settings=settings, database=reader).passed
    assert artists(settings=settings, database=reader).passed
    artists_file(settings).write_bytes(b"a a\n")
    assert not artists(settings=settings, database=reader).passed
