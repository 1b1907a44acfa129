"""The whole graph on a temporary folder, through the launcher that `make run` uses."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster import DagsterInstance, DagsterRunStatus

from recsys_assets import columns as c
from recsys_assets.automation import launch
from recsys_assets.automation.launch import RefreshError, refresh
from recsys_assets.automation.sensors import RAW_FILES_CHANGED
from recsys_assets.definitions import build_defs, build_tracking
from recsys_assets.files import read_json
from recsys_assets.settings import Settings
from recsys_assets.similarity.files import read_similarity
from recsys_assets.sources.demo import demo_genre, write_demo

GRID = """
candidates:
  - {name: popularity, family: popularity}
  - {name: cooccurrence, family: cooccurrence}
  - name: word2vec
    family: word2vec
    parameters: {vector_size: 16, window: 5, min_count: 2, epochs: 3, sg: 0, engine: compiled}
"""
PLAYLISTS = 400


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str]:
    """A home folder after one refresh of a small demo, and what was printed."""
    folder = tmp_path_factory.mktemp("refresh")
    return settings_in(folder), run(settings_in(folder))


def settings_in(folder: Path) -> Settings:
    """Write raw files and a grid below `folder` and return settings for them."""
    raw = folder / "raw" / "playlists.csv"
    if not raw.exists():
        raw.parent.mkdir(parents=True)
        write_demo(raw, playlists=PLAYLISTS)
        (folder / "grid.yaml").write_text(GRID)
    return Settings(home=folder / "var", raw=raw.parent, candidates=folder / "grid.yaml")


def run(settings: Settings, *, force: bool = False) -> str:
    """Refresh and return what was printed."""
    lines: list[str] = []
    refresh(settings, force=force, progress=lines.append)
    return "\n".join(lines)


def versions(settings: Settings) -> dict[int, list[str]]:
    """Return the registered versions with their aliases."""
    client = build_tracking(settings).client
    found = client.search_model_versions(f"name = '{settings.registered_model}'")
    return {
        int(one.version): sorted(
            client.get_model_version(settings.registered_model, one.version).aliases
        )
        for one in found
    }


def content(settings: Settings) -> dict[str, str]:
    """Hash every table, similarity file and cleaned file of a home folder."""
    hashes = {
        str(path.relative_to(settings.home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in (settings.cleaned, settings.similarity)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "ingestion.json"  # holds seconds
    }
    with duckdb.connect(str(settings.database), read_only=True) as connection:
        for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            if table == c.RAW_PLAYLISTS:
                continue  # holds paths and times of change
            columns = "*" if table != c.LEADERBOARD else "COLUMNS(x -> x <> 'value')"
            rows = connection.execute(f"SELECT {columns} FROM {table}").fetchall()
            hashes[table] = hashlib.sha256(repr(rows).encode()).hexdigest()
    return hashes


def test_summary_says_what_happened(refreshed: tuple[Settings, str]) -> None:
    """Prevents a run that ends without telling a person what it did."""
    settings, text = refreshed
    with duckdb.connect(str(settings.database), read_only=True) as connection:
        tracks = connection.execute(f"SELECT count(*) FROM {c.TRACK_CATALOG}").fetchall()[0][0]
    assert f"{tracks:,} tracks" in text
    for expected in ("cleaned", "rejected", "hit rate @100", "cooccurrence", "word2vec", "on test"):
        assert expected in text
    assert "playlist-continuation version 1, @champion" in text
    assert str(settings.similarity / "tracks.txt") in text
    assert "best_model" in text.split("Seconds per asset")[1]


def test_everything_is_below_home(refreshed: tuple[Settings, str]) -> None:
    """Prevents state outside RECSYS_HOME."""
    settings, _ = refreshed
    beside = {path.name for path in settings.home.parent.iterdir()}
    assert beside == {"raw", "grid.yaml", "var"}
    expected = {"recsys.duckdb", "cleaned", "models", "similarity", "mlflow", "dagster"}
    assert expected <= {path.name for path in settings.home.iterdir()}


def test_learned_neighbours_share_a_genre(refreshed: tuple[Settings, str]) -> None:
    """Prevents similarity files without sense: the demo's structure is known."""
    settings, _ = refreshed
    same = total = 0
    for key, neighbours in read_similarity(settings.similarity / "tracks.txt"):
        for neighbour in neighbours[:5]:
            total += 1
            same += demo_genre(key) == demo_genre(neighbour)
    assert same / total > 0.6


def test_unchanged_input_is_up_to_date(refreshed: tuple[Settings, str]) -> None:
    """Prevents a second `make run` from doing everything again."""
    settings, _ = refreshed
    assert run(settings).startswith("up to date")


def test_another_library_is_a_change(
    refreshed: tuple[Settings, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents "up to date" of models that the installed libraries have not learned."""
    settings, _ = refreshed
    before = launch._state(settings)
    monkeypatch.setattr(launch, "library_versions", lambda: ("lightgbm 0.1",))
    assert launch._state(settings) != before


def test_forced_run_registers_nothing_twice(refreshed: tuple[Settings, str]) -> None:
    """Prevents a registry full of the same model, and files that differ between equal runs."""
    settings, _ = refreshed
    before = content(settings)
    run(settings, force=True)
    assert versions(settings) == {1: ["champion"]}
    assert content(settings) == before


def test_mlflow_holds_the_runs(refreshed: tuple[Settings, str]) -> None:
    """Prevents candidates without parameters, intervals, data or a way back to Dagster."""
    settings, _ = refreshed
    tracking = build_tracking(settings)
    runs = tracking.client.search_runs([tracking.prepare()])
    parents = [one for one in runs if one.data.tags.get("recsys.role") == "refresh"]
    children = [one for one in runs if one.data.tags.get("dagster.asset_key")]
    assert all(one.info.status == "FINISHED" for one in runs)
    first = min(parents, key=lambda one: one.info.start_time)
    mine = {
        one.data.tags["dagster.asset_key"]: one
        for one in children
        if one.data.tags["mlflow.parentRunId"] == first.info.run_id
    }
    assert set(mine) == {
        "candidates/popularity",
        "candidates/cooccurrence",
        "candidates/word2vec",
        "best_model",
    }
    word2vec = mine["candidates/word2vec"]
    assert word2vec.data.params["vector_size"] == "16"
    low, high = (word2vec.data.metrics[f"hit_rate_100_{end}"] for end in ("low", "high"))
    assert low <= word2vec.data.metrics["hit_rate_100"] <= high
    assert word2vec.data.tags["dagster.run_id"] == first.data.tags["dagster.run_id"]
    assert {one.dataset.name for one in word2vec.inputs.dataset_inputs} == {
        c.TRAIN_PLAYLISTS,
        c.VALIDATION_PLAYLISTS,
    }
    assert [one.path for one in tracking.client.list_artifacts(word2vec.info.run_id)] == ["model"]


def test_new_data_gives_a_new_version_and_asks_once(
    refreshed: tuple[Settings, str], tmp_path: Path
) -> None:
    """Prevents new files from going unnoticed, or from being asked for again and again."""
    old, _ = refreshed
    shutil.copytree(old.home.parent, tmp_path / "copy")
    settings = Settings(
        home=tmp_path / "fresh", raw=tmp_path / "copy" / "raw", candidates=old.candidates
    )
    run(settings)
    assert versions(settings) == {1: ["champion"]}
    sensor = build_defs(settings).get_repository_def().get_sensor_def(RAW_FILES_CHANGED)
    with DagsterInstance.from_config(str(settings.dagster)) as instance:

        def ask(cursor: str | None) -> dg.SensorResult:
            context = dg.build_sensor_context(instance=instance, cursor=cursor)
            answer = sensor(context)
            assert isinstance(answer, dg.SensorResult)
            return answer

        assert not ask(None).run_requests
        os.utime(settings.raw / "playlists.csv")
        (settings.raw / "playlists.csv").rename(settings.raw / "renamed.csv")
        assert not ask(None).run_requests
        write_demo(settings.raw / "more.csv", seed=99, playlists=100)
        first = ask(None)
        second = ask(first.cursor)
        assert len(first.run_requests) == len(second.run_requests) == 1
        assert first.run_requests[0].run_key == second.run_requests[0].run_key
    run(settings)
    found = versions(settings)
    assert set(found) == {1, 2}
    assert sorted(alias for aliases in found.values() for alias in aliases)[0] in {
        "challenger",
        "champion",
    }
    assert sum("champion" in aliases for aliases in found.values()) == 1


def test_source_without_names_or_artists(tmp_path: Path) -> None:
    """Prevents baskets (ids only) from failing at the last steps."""
    settings = settings_in(tmp_path)
    cleaned = tmp_path / "raw" / "playlists.csv"
    duckdb.execute(
        f"""
        COPY (SELECT user_id || playlistname AS playlist_id, artistname || trackname AS track_id,
                row_number() OVER (PARTITION BY playlist_id) AS position
            FROM read_csv('{cleaned}', ignore_errors=true, normalize_names=true,
                names=['user_id', 'artistname', 'trackname', 'playlistname'], header=true)
            WHERE artistname <> '' AND trackname <> '')
        TO '{tmp_path}/raw/baskets.parquet'
        """
    )
    cleaned.unlink()
    text = run(settings)
    assert "(interactions)" in text
    assert (settings.similarity / "artists.txt").read_bytes() == b""
    assert (settings.similarity / "tracks.txt").stat().st_size > 0


def test_too_many_bad_rows_stop_the_run(tmp_path: Path) -> None:
    """Prevents training on what is left of a broken file."""
    settings = settings_in(tmp_path)
    with (tmp_path / "raw" / "playlists.csv").open("a") as file:
        file.writelines('"user","artist"\n' for _ in range(2000))
    with pytest.raises(RefreshError, match=r"rejected_share_is_small.*failed") as caught:
        run(settings)
    assert "2,006 x missing fields" in str(caught.value)
    assert "line" in str(caught.value)
    assert not (settings.models / "candidates").exists()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda raw: None, "nothing at this path"),
        (lambda raw: raw.mkdir(), "expected"),
        (lambda raw: raw.write_text("a,b\n1,2\n"), "a,b"),
        (lambda raw: raw.write_bytes(b""), "expected"),
        (
            lambda raw: raw.write_text('"user_id", "artistname", "trackname", "playlistname"\n'),
            "expected",
        ),
    ],
    ids=["missing", "empty folder", "other csv", "empty file", "header only"],
)
def test_unusable_input_is_one_clear_error(tmp_path: Path, make, expected: str) -> None:
    """Prevents a traceback, or a run on nothing, for input that cannot be used."""
    raw = tmp_path / "raw"
    make(raw)
    settings = Settings(home=tmp_path / "var", raw=raw)
    with pytest.raises(RefreshError) as caught:
        run(settings)
    assert expected in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert str(caught.value).count("failed:") == 1


def start(settings: Settings, log: Path) -> subprocess.Popen[bytes]:
    """Start a refresh as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "recsys_assets", "run"],
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        env=environment(settings),
    )


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment for a process that works on `settings`."""
    # mlflow.set_tracking_uri() of an earlier test has left its own address in os.environ.
    inherited = {name: value for name, value in os.environ.items() if "MLFLOW" not in name}
    return inherited | {
        "RECSYS_HOME": str(settings.home),
        "RECSYS_RAW": str(settings.raw),
        "RECSYS_CANDIDATES": str(settings.candidates),
    }


def step_started(settings: Settings, step: str) -> bool:
    """Ask Dagster's event log whether a step has started in the newest run."""
    with DagsterInstance.from_config(str(settings.dagster)) as instance:
        runs = instance.get_runs(limit=1)
        return bool(runs) and any(
            event.dagster_event is not None
            and event.dagster_event.step_key == step
            and event.dagster_event.is_step_start
            for event in instance.all_logs(runs[0].run_id)
        )


@pytest.mark.slow
@pytest.mark.parametrize("step", ["ingest_playlists", "candidates__word2vec", "best_model"])
def test_killed_run_is_mended_by_the_next(
    refreshed: tuple[Settings, str], tmp_path: Path, step: str
) -> None:
    """Prevents half-written tables or files, and locks that outlive a SIGKILL."""
    undisturbed, _ = refreshed
    settings = settings_in(tmp_path)
    refresh_once = start(settings, tmp_path / "first.log")
    deadline = time.monotonic() + 120
    while not ((settings.dagster / "dagster.yaml").exists() and step_started(settings, step)):
        assert refresh_once.poll() is None, (tmp_path / "first.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    refresh_once.send_signal(signal.SIGKILL)
    refresh_once.wait()
    run(settings)
    assert content(settings) == content(undisturbed)
    assert versions(settings) == {1: ["champion"]}
    with DagsterInstance.from_config(str(settings.dagster)) as instance:
        assert [one.status for one in instance.get_runs()] == [
            DagsterRunStatus.SUCCESS,
            DagsterRunStatus.FAILURE,
        ]


@pytest.mark.slow
def test_two_at_once_take_turns(refreshed: tuple[Settings, str], tmp_path: Path) -> None:
    """Prevents two first runs from setting up or writing at once, or registering a model twice."""
    undisturbed, _ = refreshed
    settings = settings_in(tmp_path)
    both = [start(settings, tmp_path / f"{number}.log") for number in range(2)]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    assert content(settings) == content(undisturbed)
    assert versions(settings) == {1: ["champion"]}
    assert read_json(settings.home / "last_refresh.json")["raw"]
