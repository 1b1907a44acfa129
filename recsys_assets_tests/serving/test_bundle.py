"""The saved model with its ids, and the registered model as its consumers get it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from recsys_assets.errors import DataError, StorageError
from recsys_assets.models.cooccurrence import Cooccurrence
from recsys_assets.models.tiers import Tiered
from recsys_assets.playlists import Catalog, PlaylistSet
from recsys_assets.resources.tracking import copy_served_code, served_signature
from recsys_assets.serving.bundle import Bundle

IDS = [f"track {i}" for i in range(12)]
PACKAGE = Path(__file__).parent.parent.parent / "recsys_assets"


@pytest.fixture
def bundle() -> Bundle:
    """A small co-occurrence model over two blocks of tracks."""
    catalog = Catalog(
        ids=pa.array(IDS),
        names=pa.array(IDS),
        artist_index=Catalog.anonymous(len(IDS)).artist_index,
    )
    lists = [[0, 1, 2, 3], [1, 2, 0, 4], [6, 7, 8], [7, 8, 9, 6], [3, 4, 5], [9, 10, 11]]
    model = Tiered.fit(Cooccurrence(), PlaylistSet.from_lists(lists), catalog, seed=0)
    return Bundle(model, catalog)


def test_every_playlist_gets_exactly_k_new_tracks(bundle: Bundle) -> None:
    """Prevents short, repeated or already played answers for odd playlists."""
    playlists = [[IDS[0]], ["unknown"], [], [*IDS[:4], "unknown", IDS[0]]]
    ids, scores, tiers = bundle.recommend_ids(playlists, 5)
    for playlist, answer in zip(playlists, ids, strict=True):
        assert len(answer) == len(set(answer)) == 5
        assert not set(answer) & set(playlist)
    assert scores.shape == (4, 5)
    assert ids[0][0] in IDS[1:5]
    assert tiers == ["track", "popularity", "popularity", "track"]


def test_more_than_there_is_says_how_many_there_are(bundle: Bundle) -> None:
    """Prevents fewer than k answers in silence."""
    with pytest.raises(DataError, match="ask for k <= 11"):
        bundle.recommend_ids([[IDS[0]]], 12)


def test_save_and_load_answer_alike(bundle: Bundle, tmp_path: Path) -> None:
    """Prevents a registered model that differs from the one that was measured."""
    bundle.save(tmp_path / "bundle")
    loaded = Bundle.load(tmp_path / "bundle")
    playlists = [[IDS[i], IDS[(i * 5) % 12]] for i in range(12)]
    before, after = bundle.recommend_ids(playlists, 4), loaded.recommend_ids(playlists, 4)
    assert before[0] == after[0]
    assert before[1].tobytes() == after[1].tobytes()
    with pytest.raises(StorageError, match="no model there"):
        Bundle.load(tmp_path / "nothing")


def test_cold_playlists_are_answered_by_artist_and_title(tmp_path: Path) -> None:
    """Prevents a registered model that forgets, on the way through files, who answers cold queries."""
    catalog = Catalog(
        ids=pa.array(IDS), names=pa.array(IDS), artist_index=np.arange(12, dtype=np.int32) // 4
    )
    lists = [[0, 1, 2], [2, 1, 0], [4, 5, 6], [6, 5, 4], [8, 9], [9, 8]]  # 3, 7, 10, 11 are new
    titles = ["rain", "rain", "sun", "sun", "snow", "snow"]
    train = PlaylistSet.from_lists(lists, titles)
    Bundle(Tiered.fit(Cooccurrence(), train, catalog, seed=0), catalog).save(tmp_path)
    ids, _, tiers = Bundle.load(tmp_path).recommend_ids(
        [[IDS[0]], [IDS[7], "unknown"], ["unknown"], []], 2, [None, "rain", "Snow!", "zz"]
    )
    assert tiers == ["track", "artist", "title", "popularity"]
    assert set(ids[0]) == {IDS[1], IDS[2]}
    assert set(ids[1]) < {IDS[4], IDS[5], IDS[6]}
    assert set(ids[2]) == {IDS[8], IDS[9]}
    assert ids[3] == [IDS[0], IDS[1]]


CLIENT = """
import json, sys
BLOCKED = {"dagster", "dagster_duckdb", "duckdb", "gensim", "yaml_of_ours"}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is not in the model's requirements")
sys.meta_path.insert(0, Refuse())
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
import recsys_assets
table = pd.DataFrame({"playlist": [["track 0"], ["unknown"], [], ["track 1"] * 500]})
answer = model.predict(table, params={"k": 3})
titled = model.predict(table.assign(title=["chill", None, "x", "y"]), params={"k": 3})
assert titled["track_ids"].tolist() == answer["track_ids"].tolist()
print(json.dumps([recsys_assets.__file__, answer["track_ids"].tolist(),
                  [len(s) for s in answer["scores"]], answer["tier"].tolist()]))
"""


def test_pyfunc_needs_only_what_it_carries(bundle: Bundle, tmp_path: Path) -> None:
    """Prevents a registered model that works only beside this project's own environment."""
    bundle.save(tmp_path / "bundle")
    copy_served_code(PACKAGE, tmp_path / "recsys_assets")
    mlflow.pyfunc.save_model(
        tmp_path / "model",
        python_model=str(PACKAGE / "serving" / "pyfunc_model.py"),
        code_paths=[str(tmp_path / "recsys_assets")],
        artifacts={"bundle": str(tmp_path / "bundle")},
        signature=served_signature(),
        pip_requirements=["mlflow"],
    )
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, str(tmp_path / "model")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    assert done.returncode == 0, done.stderr
    package, track_ids, lengths, tiers = json.loads(done.stdout.strip().splitlines()[-1])
    assert Path(package).is_relative_to(tmp_path / "model")
    expected, _, expected_tiers = bundle.recommend_ids(
        [["track 0"], ["unknown"], [], ["track 1"] * 500], 3
    )
    assert track_ids == expected
    assert tiers == expected_tiers
    assert lengths == [3, 3, 3, 3]
    assert list(tmp_path.glob("model/**/*.pkl")) == []


def test_pyfunc_refuses_a_bad_k(bundle: Bundle, tmp_path: Path) -> None:
    """Prevents k = 0 from giving empty answers."""
    from types import SimpleNamespace

    from recsys_assets.serving.pyfunc_model import PlaylistContinuation

    bundle.save(tmp_path)
    model = PlaylistContinuation()
    model.load_context(SimpleNamespace(artifacts={"bundle": str(tmp_path)}))
    with pytest.raises(DataError, match="k must be at least 1"):
        model.predict(None, pd.DataFrame({"playlist": [[]]}), {"k": 0})
