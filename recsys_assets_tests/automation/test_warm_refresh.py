"""Refreshes that go on from the last models (`RECSYS_WARM_START`), through the whole graph."""

from pathlib import Path

import pytest

from recsys_assets.assets.candidates import MODEL_FOLDER, candidate_folder
from recsys_assets.evaluation.records import CandidateRecord
from recsys_assets.files import folder_bytes
from recsys_assets.models.base import ARRAYS_FILE, META_FILE
from recsys_assets.resources.tracking import CHAMPION
from recsys_assets.settings import Settings
from recsys_assets.sources.demo import write_demo
from recsys_assets_tests.automation.test_refresh import run, settings_in


def training(settings: Settings, candidate: str) -> tuple[str, bytes]:
    """Return how a candidate's training began, and what it learned."""
    folder = candidate_folder(settings, candidate)
    arrays = (folder / MODEL_FOLDER / ARRAYS_FILE).read_bytes()
    return CandidateRecord.load(folder).training, arrays


@pytest.mark.slow
def test_a_refresh_goes_on_from_the_last_models(tmp_path: Path) -> None:
    """Prevents a setting that changes nothing, or a repeated run from ending elsewhere."""
    settings = settings_in(tmp_path).model_copy(update={"warm_start": True})
    run(settings)
    assert training(settings, "word2vec")[0] == "from scratch: no earlier model is kept"
    write_demo(settings.raw_or_demo / "z.csv", seed=99, playlists=12)
    run(settings)
    once = training(settings, "word2vec")
    folder = candidate_folder(settings, "word2vec")
    assert CandidateRecord.load(folder).model_bytes == folder_bytes(folder / MODEL_FOLDER)
    assert once[0].startswith("going on from a model of ")
    assert once[0].endswith("plays, 1 of 3 epochs")
    assert training(settings, "cooccurrence")[0] == "from scratch"
    run(settings, force=True)
    assert training(settings, "word2vec") == once
    assert not list((settings.models / CHAMPION).rglob("warm_start"))


@pytest.mark.slow
def test_a_champion_of_another_version_is_no_obstacle(tmp_path: Path) -> None:
    """Prevents an upgrade after which no refresh succeeds, because the champion cannot be read."""
    settings = settings_in(tmp_path)
    run(settings)
    meta = settings.models / CHAMPION / "model" / META_FILE
    meta.write_text(meta.read_text().replace('"format_version": 1', '"format_version": 0'))
    write_demo(settings.raw_or_demo / "z.csv", seed=99, playlists=12)
    said = run(settings)
    assert "promoted without a comparison: the champion, version 1: " in said
    assert "model format 0, expected 1" in said
