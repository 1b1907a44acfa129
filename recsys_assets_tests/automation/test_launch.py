"""Set-up, and what decides whether anything is made again."""

import fcntl
from pathlib import Path

import pytest

from recsys_assets.automation import launch
from recsys_assets.automation.launch import _prepared_state
from recsys_assets.settings import Settings


@pytest.mark.parametrize(
    ("name", "value", "same"),
    [
        ("similarity_search", "exact", True),
        ("similarity_recall", 0.9, True),
        ("neighbours", 3, True),
        ("warm_start", True, True),
        ("incremental", False, True),
        ("top_artists", 3, False),
        ("split_salt", "another", False),
    ],
)
def test_settings_that_change_the_splits(
    settings: Settings, name: str, value: object, *, same: bool
) -> None:
    """Prevents `make tune` from reading everything again for a setting of the delivery, or from not."""
    changed = settings.model_copy(update={name: value})
    assert (_prepared_state(changed) == _prepared_state(settings)) == same


def test_an_instance_appears_when_it_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a second process from opening databases that the first is still making."""
    settings = Settings(home=tmp_path)
    config, lock = settings.dagster / "dagster.yaml", tmp_path / "locks" / "setup.lock"
    seen: list[bool] = []

    class Store:
        def prepare(self) -> None:
            seen.append(config.exists())
            with lock.open("a+") as other, pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)

    monkeypatch.setattr(launch, "build_tracking", lambda _: Store())
    launch.set_up(settings, progress=lambda _: None)
    assert seen == [False]
    assert config.exists()
    assert (settings.dagster / "history").is_dir()
