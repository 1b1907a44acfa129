"""Choosing between exact and approximate search, and the recall that is told."""

import numpy as np
import pytest

from recsys_assets.models.inverted_lists import InvertedLists
from recsys_assets.models.topk import Search, top_k_dense
from recsys_assets.playlists import Float32, Int32
from recsys_assets.similarity import search
from recsys_assets.similarity.nearest import SimilarItems, nearest_items
from recsys_assets.similarity.search import plan_search
from recsys_assets_tests.models.blocks import (
    EVERY_FAMILY,
    SIZE,
    block_playlists,
    fitted,
)

DENSE = ("word2vec", "als", "ppmi_svd", "matrix_factorisation", "mlp")
"""The families that rank by vectors."""
ITEMS = np.arange(SIZE, dtype=np.int32)


class Vectors:
    """Neighbours are the nearest of random vectors: the worst case for an index."""

    def __init__(self, count: int, dimensions: int = 16, *, seed: int = 1) -> None:
        self.popular = np.arange(count, dtype=np.int32)
        random = np.random.default_rng(seed)
        self.vectors: Float32 = random.normal(size=(count, dimensions)).astype(np.float32)

    def similar(self, items: Int32, k: int, search: Search = top_k_dense) -> tuple[Int32, Float32]:
        """Return the `k` nearest others."""
        return search(self.vectors[items], self.vectors, np.arange(len(items) + 1), items, k)


class Groups(Vectors):
    """The same in 16 groups, so that an index has something to gain."""

    def __init__(self, count: int, *, seed: int = 1) -> None:
        super().__init__(count, seed=seed)
        self.vectors = self.vectors * np.float32(0.1) + np.tile(self.vectors[:16], (count // 16, 1))


def found_by(model: SimilarItems, plan: search.Plan) -> Int32:
    """Return the 5 neighbours of the first items, in order of their index."""
    found = [n for _, n, _ in nearest_items(model, ITEMS, 5, search=plan.search)]
    return np.sort(np.concatenate(found), axis=1)


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_every_family(family: str) -> None:
    """Prevents families of vectors that miss the index, and others that are said to use it."""
    # The one family of vectors with a ranking of its own: by default it is of artists.
    tracks = {"items": "tracks"} if family == "mlp" else {}
    model = fitted(family, block_playlists(), **tracks)
    plan = plan_search(model, ITEMS, 5, method="approximate", recall=0.9, seed=1)
    if family not in DENSE:
        assert plan.method == "own"
        return
    assert plan.method != "own"
    assert plan.recall >= 0.9
    exact = found_by(model, search.Plan())
    pairs = zip(found_by(model, plan), exact, strict=True)
    assert np.mean([len(np.intersect1d(*pair)) / 5 for pair in pairs]) >= 0.9


def test_auto_goes_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents an index on data for which exact search takes a moment, and none on large data."""
    model, items = Groups(400), np.arange(100, dtype=np.int32)
    for most, expected in ((100 * 400 * 16, "exact"), (100 * 400 * 16 - 1, "approximate")):
        monkeypatch.setattr(search, "EXACT_PRODUCTS", most)
        assert plan_search(model, items, 5, method="auto", recall=0.9, seed=1).method == expected
    assert plan_search(model, items, 5, method="exact", recall=0.9, seed=1) == search.Plan()


def test_recall_is_what_the_answers_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a recall that is told but not true: measured here by items, on all of them."""
    monkeypatch.setattr(search, "SAMPLE", 600)
    model, lines = Groups(4000), list[str]()
    plan = plan_search(
        model, model.popular, 5, method="approximate", recall=0.8, seed=1, progress=lines.append
    )
    exact, scores = model.similar(model.popular, 5)
    found, found_scores = model.similar(model.popular, 5, plan.search)
    true = np.mean([len(np.intersect1d(*pair)) / 5 for pair in zip(found, exact, strict=True)])
    assert 0.8 <= plan.recall < 1
    assert abs(plan.recall - true) < 0.03
    assert f"recall {plan.recall:.4f} against exact search of 600 items" in lines[-1]
    assert f"({plan.looked_at:.1%} of the vectors)" in lines[-1]
    dots = np.einsum("nd,nkd->nk", model.vectors.astype("f8"), model.vectors[found].astype("f8"))
    assert found_scores == pytest.approx(dots, rel=1e-6)
    assert (np.diff(found_scores, axis=1) <= 0).all()
    assert (found_scores <= scores).all()


def test_too_low_a_recall_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a file below the recall that was asked for, where the first sample flatters."""
    first = InvertedLists.calibrate

    def flattered(self: InvertedLists, queries: Float32, rows: Int32, recall: float) -> float:
        first(self, queries, rows, recall)
        return self.look_at(1, queries)

    monkeypatch.setattr(InvertedLists, "calibrate", flattered)
    model = Groups(4000)
    plan = plan_search(model, model.popular, 20, method="approximate", recall=0.95, seed=1)
    assert plan.method == "approximate"
    assert plan.recall >= 0.95


def test_an_index_that_saves_nothing_is_not_used() -> None:
    """Prevents an approximate answer at the price of an exact one."""
    model, lines = Vectors(2000), list[str]()
    plan = plan_search(
        model, model.popular, 20, method="approximate", recall=0.99, seed=1, progress=lines.append
    )
    assert plan == search.Plan()
    assert "so the search is exact" in lines[-1]


@pytest.mark.filterwarnings("error")
def test_items_without_a_vector() -> None:
    """Prevents items that the model knows nothing of from counting as found, or as missed."""
    model = Groups(4000)
    model.vectors[::2] = 0
    plan = plan_search(model, model.popular, 5, method="approximate", recall=0.7, seed=1)
    assert plan.method == "approximate"
    known = model.popular[1::2]
    pairs = zip(model.similar(known, 5)[0], model.similar(known, 5, plan.search)[0], strict=True)
    true = np.mean([len(np.intersect1d(*pair)) / 5 for pair in pairs])
    assert abs(plan.recall - true) < 0.04 < 1 - true
    model.vectors[:] = 0
    plan = plan_search(model, model.popular, 5, method="approximate", recall=0.9, seed=1)
    assert plan == search.Plan()
