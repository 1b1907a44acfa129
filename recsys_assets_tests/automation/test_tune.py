"""`make tune` on a temporary folder: data, trials, MLflow runs, and the entry written back."""

from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from recsys_assets import columns as c
from recsys_assets.__main__ import main
from recsys_assets.automation.launch import STATE_FILE
from recsys_assets.automation.tune import chosen_entries, training_data, write_back
from recsys_assets.definitions import build_tracking
from recsys_assets.errors import GridError
from recsys_assets.files import write_json
from recsys_assets.grid import PACKAGED_GRID, load_grid
from recsys_assets.settings import Settings
from recsys_assets.sources.demo import write_demo

GRID = """# Mine.
candidates:
  - {name: popularity, family: popularity}   # the floor

  - name: near
    family: cooccurrence
    parameters:
      window: 1           # far too narrow
      query_items: 1
    search:
      window: {low: 1, high: 30, log: true}
      query_items: {low: 1, high: 30}

  - name: fixed
    family: cooccurrence
"""


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home folder with prepared data, a grid of one's own and three trials."""
    folder = tmp_path_factory.mktemp("tune")
    (folder / "raw").mkdir()
    write_demo(folder / "raw" / "playlists.csv", playlists=300)
    (folder / "grid.yaml").write_text(GRID)
    settings = Settings(
        home=folder / "var", raw=folder / "raw", candidates=folder / "grid.yaml", seed=1
    )
    write_json(settings.home / STATE_FILE, {"of": "other data"})
    assert tune(settings, "--trials", "3") == 0
    return settings


def tune(settings: Settings, *arguments: str) -> int:
    """Run the command in this process, in an environment of these settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("home", "raw", "candidates", "seed"):
            value = getattr(settings, name)
            patch.setenv(f"RECSYS_{name.upper()}", "" if value is None else str(value))
        # mlflow.set_tracking_uri() of an earlier test has left its own address there.
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return main(["tune", "--family", "cooccurrence", *arguments])


def runs(settings: Settings, role: str) -> list[Any]:
    """Return the MLflow runs of a role."""
    tracking = build_tracking(settings)
    found = tracking.client.search_runs([tracking.prepare()], f"tags.`recsys.role` = '{role}'")
    return sorted(found, key=lambda run: run.info.run_name)


def test_best_is_written_back(tuned: Settings) -> None:
    """Prevents a search without effect, and one that costs comments, order or other entries."""
    assert tuned.candidates is not None
    text = tuned.candidates.read_text()
    specs = {spec.name: spec for spec in load_grid(tuned.candidates)}
    window, items = (
        specs["near"].parameters.model_dump()[name] for name in ("window", "query_items")
    )
    assert (window, items) != (1, 1)
    expected = GRID.replace("window: 1           #", f"window: {window}".ljust(19) + " #")
    assert text == expected.replace("query_items: 1\n", f"query_items: {items}\n")
    assert not (tuned.home / "candidates.yaml").exists()


def test_trials_are_mlflow_runs(tuned: Settings) -> None:
    """Prevents trials that nobody can look up, without figures or apart from their search."""
    (parent,) = runs(tuned, "search")
    trials = runs(tuned, "trial")
    assert parent.info.run_name == "tune near"
    assert [run.info.run_name for run in trials] == [f"near trial {place}" for place in (1, 2, 3)]
    for run in [parent, *trials]:
        assert run.info.status == "FINISHED"
    for run in trials:
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert {"window", "query_items", "two_hop", "family"} <= set(run.data.params)
        metrics = run.data.metrics
        assert (
            metrics["hit_rate_100_low"] <= metrics["hit_rate_100"] <= metrics["hit_rate_100_high"]
        )
        assert metrics["seconds"] > 0
    assert (trials[0].data.params["window"], trials[0].data.params["query_items"]) == ("1", "1")
    assert parent.data.params["search.window"] == "1 to 30 (log)"
    assert parent.data.metrics["present_hit_rate_100"] == trials[0].data.metrics["hit_rate_100"]
    assert parent.data.metrics["best_hit_rate_100"] == max(
        run.data.metrics["hit_rate_100"] for run in trials
    )
    datasets = Counter(one.dataset.name for one in parent.inputs.dataset_inputs)
    assert datasets == {c.TRAIN_PLAYLISTS: 2}


def test_refresh_is_not_taken_for_done(tuned: Settings) -> None:
    """Prevents "up to date" after a search has prepared other data in the home folder."""
    assert not (tuned.home / STATE_FILE).exists()


def test_goes_on_without_validation_and_test(
    tuned: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prevents a search that looks at validation or test, prepares twice, or begins anew.

    Also: a kill leaves an MLflow run open, which the next call closes.
    """
    with duckdb.connect(str(tuned.database)) as connection:
        for table in (c.VALIDATION_PLAYLISTS, c.TEST_PLAYLISTS, c.PLAYLIST_SEQUENCES):
            connection.execute(f"DROP TABLE {table}")
    tracking = build_tracking(tuned)
    (parent,) = runs(tuned, "search")
    left = tracking.client.create_run(
        parent.info.experiment_id, tags={"mlflow.parentRunId": parent.info.run_id}
    )
    assert tune(tuned, "--trials", "5") == 0
    said = capsys.readouterr().out
    assert "trials of an earlier search that count: 3" in said
    assert "trial 4 of 5" in said
    assert "trial 3 of" not in said
    assert tracking.client.get_run(left.info.run_id).info.status == "KILLED"
    assert len(runs(tuned, "search")) == 1
    assert len(runs(tuned, "trial")) == 5


def test_training_data(tuned: Settings) -> None:
    """Prevents playlists of another side of the split from being searched on."""
    train, catalog = training_data(tuned)
    with duckdb.connect(str(tuned.database), read_only=True) as connection:
        rows = connection.execute(
            f"SELECT {c.TRACK_SEQUENCE} FROM {c.TRAIN_PLAYLISTS} ORDER BY {c.PLAYLIST_ID}"
        ).fetchall()
        ids = connection.execute(
            f"SELECT {c.TRACK_ID} FROM {c.TRACK_CATALOG} ORDER BY {c.TRACK_INDEX}"
        ).fetchall()
    assert len(train) == len(rows)
    assert train.items.tolist() == [item for (row,) in rows for item in row]
    assert catalog.ids.to_pylist() == [one for (one,) in ids]


def test_without_a_file_of_ones_own(tmp_path: Path) -> None:
    """Prevents an edit of the package, lost results of an earlier search, and a user not told."""
    settings, said = Settings(home=tmp_path), list[str]()
    shipped = PACKAGED_GRID.read_bytes()
    own = write_back(settings, "cooccurrence", {"window": 31}, progress=said.append)
    assert own == tmp_path / "candidates.yaml"
    assert said == [f"cooccurrence: written to {own}; set RECSYS_CANDIDATES to it to train it"]
    # The next search begins where this one ended.
    assert chosen_entries(settings, "cooccurrence", None)[0].parameters.model_dump()["window"] == 31
    write_back(settings, "title", {"gram_weight": 0.75}, progress=said.append)
    assert PACKAGED_GRID.read_bytes() == shipped
    changed = [new for old, new in zip(load_grid(), load_grid(own), strict=True) if old != new]
    assert [spec.name for spec in changed] == ["cooccurrence", "title"]
    mine = settings.model_copy(update={"candidates": own})
    write_back(mine, "title", {"gram_weight": 1.0}, progress=said.append)
    assert said[-1] == f"title: written to {own}"


def test_what_cannot_be_searched(tuned: Settings, tmp_path: Path) -> None:
    """Prevents a message that does not say which families and entries there are."""
    cases = {
        ("cooccurence", None): "no family 'cooccurence'; allowed are .*did you mean cooccurrence",
        (
            "title",
            None,
        ): "grid.yaml: no entry of family title; allowed are popularity, cooccurrence",
        ("popularity", None): "grid.yaml: popularity: no field 'search', so there is nothing to",
        ("cooccurrence", "fixed"): "grid.yaml: fixed: no field 'search'",
        ("cooccurrence", "neer"): "no entry 'neer' of family cooccurrence; .*did you mean near",
    }
    for (family, entry), message in cases.items():
        with pytest.raises(GridError, match=message):
            chosen_entries(tuned, family, entry)
    assert [spec.name for spec in chosen_entries(tuned, "cooccurrence", None)] == ["near"]
    shipped = Settings(home=tmp_path)
    assert [spec.name for spec in chosen_entries(shipped, "cooccurrence", None)] == [
        "cooccurrence",
        "cooccurrence_two_hop",
    ]


def test_wrong_arguments(tuned: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Prevents a traceback, or a search of no trials, where an argument is wrong."""
    for argument in ("--trials", "--minutes"):
        with pytest.raises(SystemExit):
            tune(tuned, argument, "0")
        assert "expected a number greater than 0, found 0" in capsys.readouterr().err
    assert tune(tuned, "--metric", "hit_rate") == 2
    assert (
        "metric 'hit_rate' is not searched for; allowed are hit_rate_100" in capsys.readouterr().err
    )
