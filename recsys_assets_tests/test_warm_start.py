"""Warm start: when training may go on from an earlier model, and that it begins at the same place."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from recsys_assets.files import replaced_folder
from recsys_assets.models.cooccurrence import Cooccurrence
from recsys_assets.models.word2vec import Word2Vec, Word2VecParameters
from recsys_assets.playlists import Catalog, PlaylistSet
from recsys_assets.warm_start import FOLDER, NEXT, Training, WarmStart
from recsys_assets_tests.models.blocks import SIZE, block_catalog, block_playlists

PARAMETERS = Word2VecParameters(
    vector_size=16, window=7, min_count=1, epochs=20, sample=0, sg=0, engine="compiled"
)


def texts(*values: str) -> pa.ChunkedArray:
    """Return strings as a column of a table has them."""
    return pa.chunked_array([list(values)], pa.string())


def of(playlists: PlaylistSet, catalog: Catalog, data: str, **other: object) -> Training:
    """Return a training on all of `playlists`, named 0, 1, 2, ..., with one held out."""
    names = texts(*(str(number) for number in range(len(playlists))))
    return replace(Training("setting", data, playlists, names, texts("held out"), catalog), **other)


def trained(home: Path, training: Training) -> tuple[Word2Vec, str]:
    """Train in `home` as a candidate does; return the model and how it began."""
    model = Word2Vec(PARAMETERS)
    with replaced_folder(home / "candidate") as aside:
        warm = WarmStart(home / "candidate", aside, training)
        begun = warm.begin(model)
        model.fit(training.train, training.catalog, seed=1)
        model.save(aside / "model")
        warm.keep(model, aside / "model")
    return model, begun


def grown() -> PlaylistSet:
    """Return the blocks' playlists with five more."""
    more = block_playlists(seed=6).slice(0, 5)
    return block_playlists().concat(more)


def test_training_goes_on_where_little_was_added(tmp_path: Path) -> None:
    """Prevents a refresh from starting anew, and vectors from going to other tracks than theirs."""
    first, begun = trained(tmp_path, of(block_playlists(), block_catalog(), "first"))
    assert begun == "from scratch: no earlier model is kept"
    # The new catalogue numbers all tracks the other way round.
    old = block_catalog()
    turn = pa.array(np.arange(SIZE)[::-1])
    catalog = Catalog(old.ids.take(turn), old.names.take(turn), old.artist_index[::-1].copy())
    playlists = grown()
    turned = PlaylistSet(playlists.offsets, (SIZE - 1 - playlists.items).astype(np.int32))
    second, begun = trained(tmp_path, of(turned, catalog, "second"))
    assert begun == "going on from a model of 1,920 plays, 4 of 20 epochs"
    same = (first._vectors * second._vectors[::-1]).sum(axis=1)
    other = (first._vectors * second._vectors).sum(axis=1)
    assert same.min() > 0.9
    assert other.mean() < 0.5


def test_the_same_data_again_begins_at_the_same_place(tmp_path: Path) -> None:
    """Prevents a run repeated after a kill from going on from its own result."""
    trained(tmp_path, of(block_playlists(), block_catalog(), "first"))
    once, begun = trained(tmp_path, of(grown(), block_catalog(), "second"))
    again, begun_again = trained(tmp_path, of(grown(), block_catalog(), "second"))
    assert begun == begun_again
    assert once._vectors.tobytes() == again._vectors.tobytes()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"setting": "another"}, "the hyperparameters, the seed or the code are others"),
        ({"held_out_ids": texts("x", "3", "7")}, "was trained on 2 playlists that are held out"),
        ({"train_ids": texts(*map(str, range(200)))}, "of 240 playlists before, 200 are left"),
        ({"train": block_playlists().slice(0, 200)}, "1,600 plays against 1,920 before"),
        ({"train": block_playlists().concat(block_playlists())}, "3,840 plays against 1,920"),
    ],
)
def test_what_is_not_sound_starts_from_scratch(
    tmp_path: Path, change: dict[str, object], why: str
) -> None:
    """Prevents held-out playlists from being learned from by way of an earlier model."""
    trained(tmp_path, of(block_playlists(), block_catalog(), "first"))
    model, begun = trained(tmp_path, of(block_playlists(), block_catalog(), "second", **change))
    assert begun.startswith("from scratch: ")
    assert why in begun
    train = change.get("train", block_playlists())
    fresh = Word2Vec(PARAMETERS).fit(train, block_catalog(), seed=1)
    assert model._vectors.tobytes() == fresh._vectors.tobytes()


def test_what_an_earlier_model_of_the_earlier_one_saw_is_not_forgotten(tmp_path: Path) -> None:
    """Prevents learning from a playlist that left training for one refresh, then is held out."""
    playlists, catalog = block_playlists(), block_catalog()
    others = {"train_ids": texts("new", *map(str, range(1, 240)))}  # playlist 0 is away
    begins = [
        trained(tmp_path, of(playlists, catalog, day, **change))[1]
        for day, change in (
            ("first", {}),
            ("second", others),
            ("third", {**others, "held_out_ids": texts("0")}),
        )
    ]
    assert begins[1].startswith("going on")
    assert begins[2].startswith("from scratch: ")
    assert "was trained on 1 playlists that are held out now" in begins[2]


def test_small_losses_do_not_add_up(tmp_path: Path) -> None:
    """Prevents a model that has not been trained from scratch for years of refreshes."""
    begins = [
        trained(tmp_path, of(block_playlists(), block_catalog(), f"day {day}"))[1]
        for day in range(13)
    ]
    scratch = [day for day, begun in enumerate(begins) if begun.startswith("from scratch")]
    assert scratch == [0, 11]
    assert begins[11] == "from scratch: 10 trainings went on from one another"


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a training that is lost at its end on a file system that has none."""

    def refused(self: Path, target: Path) -> None:
        raise PermissionError(f"{self} to {target}")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    trained(tmp_path, of(block_playlists(), block_catalog(), "first"))
    _, begun = trained(tmp_path, of(grown(), block_catalog(), "second"))
    assert begun.startswith("going on")


def test_other_families_keep_nothing(tmp_path: Path) -> None:
    """Prevents copies of models that no training can go on from."""
    training = of(block_playlists(), block_catalog(), "first")
    model = Cooccurrence()
    warm = WarmStart(tmp_path / "candidate", tmp_path, training)
    assert warm.begin(model) == "from scratch"
    model.fit(training.train, training.catalog, seed=1).save(tmp_path / "model")
    warm.keep(model, tmp_path / "model")
    assert not (tmp_path / FOLDER / NEXT).exists()
