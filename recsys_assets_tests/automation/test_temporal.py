"""The whole graph with a temporal split on generated listening events, and the challenge's metrics."""

from pathlib import Path

import duckdb
import numpy as np
import pytest

from recsys_assets import columns as c
from recsys_assets.automation.launch import RefreshError, leaderboard, refresh
from recsys_assets.definitions import build_tracking
from recsys_assets.settings import Settings

pytestmark = pytest.mark.slow

GRID = """
candidates:
  - {name: popularity, family: popularity}
  - {name: cooccurrence, family: cooccurrence}
"""
HOUR_MS = 3_600_000
FIRST_MS = 1_500_000_000_000
GENRES = 20


def write_events(path: Path, sessions: range) -> None:
    """Write a session of seven tracks of one genre for every hour in `sessions`, newest first."""
    lines = []
    for hour in sessions:
        generator = np.random.default_rng(hour)
        genre = int(generator.integers(GENRES))
        for place, track in enumerate(generator.permutation(20)[:7]):
            time = FIRST_MS + hour * HOUR_MS + place * 60_000
            lines.append(f"user{hour % 9},{time},track {track},artist {genre},album\n")
    path.write_text("user_id,date,track,artist,album\n" + "".join(reversed(lines)))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str]:
    """A home folder after a refresh on 300 sessions, and what was printed."""
    folder = tmp_path_factory.mktemp("temporal")
    (folder / "grid.yaml").write_text(GRID)
    (folder / "raw").mkdir()
    write_events(folder / "raw" / "1.csv", range(300))
    settings = Settings(
        home=folder / "var",
        raw=folder / "raw",
        candidates=folder / "grid.yaml",
        split="temporal",
        neighbours=10,
    )
    return settings, run(settings)


def run(settings: Settings) -> str:
    """Refresh and return what was printed."""
    lines: list[str] = []
    refresh(settings, force=False, progress=lines.append)
    return "\n".join(lines)


def query(settings: Settings, sql: str) -> list[tuple]:
    """Ask the database of a home folder."""
    with duckdb.connect(str(settings.database), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_oldest_train_and_newest_test(first: tuple[Settings, str]) -> None:
    """Prevents a graph whose tables are not divided by time, or not in the sizes asked for."""
    settings, text = first
    found = [
        query(settings, f"SELECT count(*), min({c.STARTED_AT}), max({c.STARTED_AT}) FROM {table}")[
            0
        ]
        for table in (c.TRAIN_PLAYLISTS, c.VALIDATION_PLAYLISTS, c.TEST_PLAYLISTS)
    ]
    assert [count for count, _, _ in found] == [210, 60, 30]
    bounds = [time for _, low, high in found for time in (low, high)]
    assert bounds == sorted(set(bounds))
    assert f"split by started_at: train until {bounds[1]}, test from {bounds[4]}" in text
    # What training counts, and what the index is ordered by, is of training alone.
    trained = query(settings, f"SELECT sum({c.TRAIN_PLAYLIST_COUNT}) FROM {c.TRACK_CATALOG}")
    assert trained == [(210 * 7,)]


def test_leaderboard_measures_by_the_challenges_rules_once(first: tuple[Settings, str]) -> None:
    """Prevents figures of other candidates or data, and measuring again what is measured."""
    settings, _ = first
    text = leaderboard(settings)
    assert "| candidate | 1 seed |" in text  # seven tracks: five withheld behind one or two
    rows = query(
        settings,
        f"SELECT {c.CANDIDATE}, {c.METRIC}, {c.VALUE}, {c.LOW}, {c.HIGH}, {c.PLAYLISTS} "
        f"FROM {c.CHALLENGE_METRICS} WHERE {c.SEEDS} = 1",
    )
    assert {name for name, *_ in rows} == {"popularity", "cooccurrence"}
    assert all(low <= value <= high and count == 60 for _, _, value, low, high, count in rows)
    value = {(name, metric): value for name, metric, value, *_ in rows}
    # 20 genres of 20 tracks: whoever learned them finds most of the genre before the rest.
    assert value["cooccurrence", "ndcg_500"] > value["popularity", "ndcg_500"] + 0.2
    assert value["cooccurrence", "clicks"] <= value["popularity", "clicks"]
    before = settings.database.stat().st_mtime_ns
    assert leaderboard(settings) == text
    assert settings.database.stat().st_mtime_ns == before


def test_champion_is_compared_on_later_playlists_only(first: tuple[Settings, str]) -> None:
    """Prevents a champion from being measured on what it was trained on, when the cut moves."""
    settings, _ = first
    assert run(settings).startswith("up to date")
    write_events(settings.raw / "2.csv", range(300, 400))
    text = run(settings.model_copy(update={"test_size": 0.4}))
    # Trained up to session 270; the test side is now 241 to 400.
    assert "on the 130 of 160 test playlists later than its training" in text
    tracking = build_tracking(settings)
    until = [tracking.trained_on(version).until for version in ("1", "2")]
    assert until == [(FIRST_MS + hour * HOUR_MS) * 1000 for hour in (269, 239)]


def test_another_split_is_not_up_to_date(first: tuple[Settings, str]) -> None:
    """Prevents a changed split from doing nothing, and ids that are no order from being used."""
    settings, _ = first
    asked = settings.model_copy(update={"split_time": "playlist_id"})
    with pytest.raises(RefreshError, match="whole numbers in time order, but 400 of 400 are not"):
        run(asked)
