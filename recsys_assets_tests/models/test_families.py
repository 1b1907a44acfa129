"""What every family must do, whatever its method; a new family joins through FAMILIES."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from recsys_assets.errors import DataError, StorageError
from recsys_assets.models import parallel
from recsys_assets.models.base import ARRAYS_FILE, META_FILE, Recommender
from recsys_assets.models.registry import load_recommender
from recsys_assets.playlists import MISSING, PlaylistSet
from recsys_assets_tests.models.blocks import (
    BLOCK_SIZE,
    BLOCKS,
    EVERY_FAMILY,
    SIZE,
    TRAINABLE,
    block_catalog,
    block_playlists,
    block_titles,
    fitted,
)

LEARNING = [one for one in EVERY_FAMILY if one.values != ("popularity",)]
WITHOUT_NEIGHBOURS = {"title"}
"""Families to which an item alone says nothing: their `similar` answers with popular items."""
QUERIES = PlaylistSet.from_lists(
    [[b * BLOCK_SIZE + i for i in range(3)] for b in range(BLOCKS)] + [[], [MISSING], [4, 4, 80]],
    [*block_titles(list(range(BLOCKS))), "aaa", None, "?!"],
)


def own_block_shares(model: Recommender) -> tuple[float, float]:
    """Return the share of recommendations, and of neighbours, that lie in the query's block."""
    queries = [[b * BLOCK_SIZE, b * BLOCK_SIZE + 1] for b in range(BLOCKS)]
    titles = block_titles(list(range(BLOCKS)))
    items, _ = model.recommend(PlaylistSet.from_lists(queries, titles), 8)
    recommended = float((items // BLOCK_SIZE == np.arange(BLOCKS)[:, None]).mean())
    every = np.arange(SIZE, dtype=np.int32)
    neighbours, _ = model.similar(every, 8)
    return recommended, float((neighbours // BLOCK_SIZE == every[:, None] // BLOCK_SIZE).mean())


@pytest.mark.parametrize("family", LEARNING)
def test_stays_in_the_block(family: str) -> None:
    """Prevents a model that learns nothing, or mixes up indices, from passing for a working one."""
    recommended, neighbours = own_block_shares(fitted(family, block_playlists()))
    assert recommended == 1.0
    assert neighbours == 1.0 or family in WITHOUT_NEIGHBOURS


@pytest.mark.parametrize("family", LEARNING)
def test_shuffled_control_leaves_the_block(family: str) -> None:
    """Prevents the test above from passing for a reason other than learning."""
    train, catalog = block_playlists(shuffled=True), block_catalog(shuffled=True)
    recommended, neighbours = own_block_shares(fitted(family, train, catalog=catalog))
    assert recommended < 0.5
    assert neighbours < 0.5


def assert_valid(model: Recommender, train: PlaylistSet, queries: list[list[int]], k: int) -> None:
    """Assert what `Recommender.recommend` promises."""
    items, scores = model.recommend(PlaylistSet.from_lists(queries), k)
    assert items.shape == scores.shape == (len(queries), k)
    assert (items.dtype, scores.dtype) == (np.int32, np.float32)
    everything = set(train.items.tolist())
    for row, query in enumerate(queries):
        filled = items[row][items[row] != MISSING].tolist()
        assert len(filled) == min(k, len(everything - set(query)))
        assert len(set(filled)) == len(filled)
        assert set(filled) <= everything - set(query)
        assert items[row, len(filled) :].tolist() == [MISSING] * (k - len(filled))
        own = scores[row, : len(filled)]
        assert np.isfinite(own).all()
        assert (np.diff(own) <= 0).all()
        tied = np.diff(own) == 0
        assert (np.diff(items[row, : len(filled)])[tied] > 0).all()
        assert (scores[row, len(filled) :] == -np.inf).all()


lists_of = st.lists(st.integers(0, 11), max_size=9)


@pytest.mark.parametrize("family", EVERY_FAMILY)
@examples(max_examples=25)
@given(
    train=st.lists(lists_of, min_size=1, max_size=6).filter(any),
    queries=st.lists(st.lists(st.integers(-1, 13), max_size=9), max_size=5),
    k=st.integers(1, 17),
)
def test_recommend_keeps_its_promise(
    family: str, train: list[list[int]], queries: list[list[int]], k: int
) -> None:
    """Prevents short, repeated, unsorted or already owned answers, whatever the playlists."""
    playlists = PlaylistSet.from_lists(train)
    small = {
        "word2vec": {"epochs": 1, "vector_size": 4},
        "matrix_factorisation": {"epochs": 1},
        "mlp": {"epochs": 1},
    }.get(family, {})
    model = fitted(family, playlists, 14, **small)
    assert_valid(model, playlists, queries, k)


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_thread_count_changes_nothing(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents results that depend on the machine's cores."""
    answers = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(parallel, "thread_count", lambda threads=threads: threads)
        model = fitted(family, block_playlists())
        many = PlaylistSet.from_lists(
            [[i % SIZE, (7 * i) % SIZE] for i in range(300)],
            block_titles([i % BLOCKS for i in range(300)]),
        )
        answers.append([*model._arrays().values(), *model.recommend(many, 20)])
    for other in answers[1:]:
        for one, two in zip(answers[0], other, strict=True):
            assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_batch_changes_nothing(family: str) -> None:
    """Prevents a served single request from getting another answer than the evaluated block."""
    model = fitted(family, block_playlists())
    items, scores = model.recommend(QUERIES, 20)
    for row in range(len(QUERIES)):
        one, its_scores = model.recommend(QUERIES.slice(row, row + 1), 20)
        assert one[0].tolist() == items[row].tolist()
        assert its_scores[0].tobytes() == scores[row].tobytes()


FIT_AND_PRINT = """
import hashlib
from recsys_assets_tests.models.blocks import TRAINABLE, block_playlists, fitted
for family in TRAINABLE:
    arrays = fitted(family, block_playlists())._arrays()
    print(family, hashlib.sha256(b"".join(a.tobytes() for a in arrays.values())).hexdigest())
"""


def test_processes_agree() -> None:
    """Prevents training that depends on PYTHONHASHSEED, on the thread count or on the process."""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", FIT_AND_PRINT],
            env={**os.environ, "PYTHONHASHSEED": seed, "NUMBA_NUM_THREADS": threads},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, threads in (("0", "1"), ("12345", "2"))
    ]
    assert outputs[0].split()[::2] == TRAINABLE
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_save_and_load(family: str, tmp_path: Path) -> None:
    """Prevents a stored model that answers otherwise, or needs pickle to be read."""
    model = fitted(family, block_playlists())
    model.save(tmp_path / "model")
    again = load_recommender(tmp_path / "model")
    for one, two in zip(model.recommend(QUERIES, 30), again.recommend(QUERIES, 30), strict=True):
        assert one.tobytes() == two.tobytes()
    assert again.parameters == model.parameters
    assert again.known_items().tolist() == model.known_items().tolist()
    with np.load(tmp_path / "model" / ARRAYS_FILE, allow_pickle=False) as stored:
        assert all(not stored[name].dtype.hasobject for name in stored.files)


def test_loading_what_is_no_model(tmp_path: Path) -> None:
    """Prevents a traceback where a folder is empty or comes from a newer version."""
    with pytest.raises(StorageError, match=r"found no model\.json"):
        load_recommender(tmp_path)
    model = fitted("popularity", block_playlists())
    model.save(tmp_path)
    meta = json.loads((tmp_path / META_FILE).read_text())
    (tmp_path / META_FILE).write_text(json.dumps({**meta, "family": "transformer"}))
    with pytest.raises(StorageError, match=r"'transformer'.*knows popularity"):
        load_recommender(tmp_path)


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_nothing_to_learn_from(family: str) -> None:
    """Prevents an empty model from being stored and registered."""
    with pytest.raises(DataError, match="at least one training playlist"):
        fitted(family, PlaylistSet.from_lists([[], []]))


@pytest.mark.parametrize("family", LEARNING)
def test_foreign_index_is_refused(family: str) -> None:
    """Prevents reads and writes outside the kernels' arrays."""
    model = fitted(family, block_playlists())
    for item in (SIZE, -2):
        with pytest.raises(IndexError, match="encode the queries"):
            model.recommend(PlaylistSet.from_lists([[0, item]]), 3)


def test_popularity_counts_playlists() -> None:
    """Prevents one playlist that repeats a track from making it popular."""
    train = PlaylistSet.from_lists([[3, 3, 3, 3], [2, 1], [1, 2], [2, 0]])
    items, _ = fitted("popularity", train, 6).recommend(PlaylistSet.from_lists([[], [2]]), 3)
    assert items.tolist() == [[2, 1, 0], [1, 0, 3]]
