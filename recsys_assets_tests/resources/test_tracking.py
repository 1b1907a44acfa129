"""MLflow: runs that end as they should, aliases that people may move, and servers that are away."""

import time
from pathlib import Path

import pytest

from recsys_assets.definitions import build_tracking
from recsys_assets.errors import StorageError
from recsys_assets.evaluation.comparable import TrainedOn
from recsys_assets.evaluation.promotion import Decision
from recsys_assets.models.popularity import Popularity
from recsys_assets.models.tiers import Tiered
from recsys_assets.playlists import Catalog, PlaylistSet
from recsys_assets.preparation.split import SplitRule
from recsys_assets.resources.server import require_server
from recsys_assets.resources.tracking import MlflowTracking
from recsys_assets.serving.bundle import Bundle
from recsys_assets.settings import Settings


@pytest.fixture
def tracking(settings: Settings) -> MlflowTracking:
    """A tracking resource on a fresh SQLite store."""
    return build_tracking(settings)


def test_absent_server_is_told_at_once() -> None:
    """Prevents minutes of silence before an error, as MLflow's own client gives."""
    start = time.monotonic()
    with pytest.raises(StorageError, match="no server answers there"):
        require_server("http://127.0.0.1:9")
    assert time.monotonic() - start < 10


def test_failed_candidate_is_a_failed_run(tracking: MlflowTracking) -> None:
    """Prevents a candidate that raised from looking finished or running for ever."""
    with pytest.raises(ZeroDivisionError), tracking.child_run("run", "name", "key") as child:
        raise ZeroDivisionError
    assert tracking.client.get_run(child).info.status == "FAILED"
    tracking.finish("run")
    parent = tracking.client.get_run(child).data.tags["mlflow.parentRunId"]
    assert tracking.client.get_run(parent).info.status == "FINISHED"


def test_values_per_epoch(tracking: MlflowTracking) -> None:
    """Prevents learning curves that are lost, or of which only the last epoch is left."""
    with tracking.child_run("run", "name", "key") as child:
        tracking.log(
            child, params={}, metrics={"hit": 0.5}, history={"loss": [0.7, 0.4], "valid": [0.9]}
        )
    found = tracking.client.get_metric_history(child, "loss")
    assert [(one.step, one.value) for one in found] == [(1, 0.7), (2, 0.4)]
    assert tracking.client.get_run(child).data.metrics == {"hit": 0.5, "loss": 0.4, "valid": 0.9}


def test_open_runs_of_a_killed_refresh_are_closed(tracking: MlflowTracking) -> None:
    """Prevents runs of a killed refresh from running for ever; other installations' are left."""
    killed = tracking.parent_run("killed")
    other = tracking.client.create_run(tracking.prepare(), tags={"recsys.home": "/elsewhere"})
    again = MlflowTracking(
        **{name: getattr(tracking, name) for name in type(tracking).model_fields}
    )
    mine = again.parent_run("next")
    assert tracking.client.get_run(killed).info.status == "KILLED"
    assert tracking.client.get_run(mine).info.status == "RUNNING"
    assert tracking.client.get_run(other.info.run_id).info.status == "RUNNING"


def register(tracking: MlflowTracking, folder: Path, fingerprint: str, *, promote: bool) -> str:
    """Register a small model."""
    catalog = Catalog.anonymous(4)
    model = Tiered.fit(Popularity(), PlaylistSet.from_lists([[0, 1, 2]]), catalog, seed=0)
    Bundle(model, catalog).save(folder)
    with tracking.child_run("run", "best", "best_model") as run:
        version = tracking.register(
            run,
            folder,
            fingerprint=fingerprint,
            candidate="x",
            decision=Decision(promote, "why"),
            trained_on=TrainedOn.by(SplitRule("salt"), None),
        )
    tracking.apply_decision(version)
    return version


def test_registry(tracking: MlflowTracking, tmp_path: Path) -> None:
    """Prevents lost decisions, and a refresh that undoes an alias which a person has moved."""
    assert tracking.version_with_fingerprint("a") is None
    assert tracking.champion() is None
    first = register(tracking, tmp_path / "bundle", "a", promote=True)
    second = register(tracking, tmp_path / "bundle", "b", promote=False)
    assert tracking.champion() == first
    assert tracking.outcome(second).aliases == ("challenger",)
    assert tracking.outcome(second).reason == "why"
    assert tracking.version_with_fingerprint("b") == second
    third = register(tracking, tmp_path / "bundle", "c", promote=True)
    assert tracking.champion() == third
    tracking.client.set_registered_model_alias(tracking.registered_model, "champion", first)
    tracking.apply_decision(third)  # what an unchanged refresh does again
    assert tracking.champion() == first
    assert tracking.trained_on(first) == TrainedOn.by(SplitRule("salt"), None)
    for copy in (tmp_path / "copy", tmp_path / "again"):  # what is registered stays where it is
        tracking.download_bundle(first, copy)
        assert Bundle.load(copy).recommend_ids([["0"]], 2)[0] == [["1", "2"]]
        assert {one.name for one in copy.iterdir()} == {
            one.name for one in (tmp_path / "bundle").iterdir()
        }
