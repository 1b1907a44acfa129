"""Co-occurrence counts and scores, by hand and against plain Python."""

import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from recsys_assets.models import cooccurrence, pair_counts
from recsys_assets.models.rows import RowRecommender
from recsys_assets.playlists import MISSING, PlaylistSet
from recsys_assets_tests.models.blocks import fitted

PLAIN = {
    "window": 2,
    "distance_exponent": 1.0,
    "backward": 0.5,
    "length_exponent": 0.0,
    "query_discount": 0.0,
    "popularity_discount": 0.0,
    "max_neighbours": 10,
    "query_items": 10,
    "recency_exponent": 1.0,
    "two_hop": 0.0,
}


def row(model: object, item: int) -> dict[int, float]:
    """Return what a fitted model stores for an item, in its order."""
    arrays = model._arrays()  # type: ignore[attr-defined]
    low, high = arrays["row_offsets"][item : item + 2]
    weights = arrays["row_weights"][low:high].tolist()
    return dict(zip(arrays["row_items"][low:high].tolist(), weights, strict=True))


def test_counts_by_hand() -> None:
    """Prevents wrong directions, distances, windows, pairs across playlists and self pairs."""
    train = PlaylistSet.from_lists([[0, 1, 2, 3], [1, 0, 1]])
    model = fitted("cooccurrence", train, 4, **PLAIN)
    # Item 0: first list 1 at +1, 2 at +2 (3 is out of the window); second list 1 at -1 and +1.
    assert row(model, 0) == {1: 1 + 0.5 + 1, 2: 0.5}
    # Item 1: first list 0 at -1, 2 at +1, 3 at +2; second list 0 at +1 and 0 at -1, never itself.
    assert row(model, 1) == {0: 0.5 + 1 + 0.5, 2: 1.0, 3: 0.5}
    assert row(model, 2) == {3: 1.0, 1: 0.5, 0: 0.25}
    assert row(model, 3) == {2: 0.5, 1: 0.25}


def test_discounts_by_hand() -> None:
    """Prevents discounts by the wrong item's plays, or lengths of the wrong playlist."""
    train = PlaylistSet.from_lists([[0, 1], [0, 2, 0, 3]])
    changed = {"query_discount": 1.0, "popularity_discount": 0.5, "length_exponent": 1.0}
    model = fitted("cooccurrence", train, 4, **{**PLAIN, **changed, "window": 1})
    # Plays: 0 has 3, the others 1. Lengths 2 and 4.
    assert row(model, 0) == pytest.approx({1: 1 / 2 / 3, 2: 1.5 / 4 / 3, 3: 1 / 4 / 3})
    assert row(model, 2) == pytest.approx({0: 1.5 / 4 / 3**0.5})


def test_best_neighbours_are_kept() -> None:
    """Prevents a cut that keeps the first neighbours seen; ties go to the smaller index."""
    train = PlaylistSet.from_lists([[0, 6], [0, 5], [0, 4], [0, 3], [0, 3]])
    model = fitted("cooccurrence", train, 7, **{**PLAIN, "max_neighbours": 3})
    assert sorted(row(model, 0)) == [3, 4, 5]


def test_scores_by_hand() -> None:
    """Prevents recency that counts from the wrong end or counts unknown items."""
    train = PlaylistSet.from_lists([[0, 1, 2, 3]])
    model = fitted("cooccurrence", train, 5, **{**PLAIN, "window": 1})
    # Rows: 0 {1: 1}, 1 {2: 1, 0: .5}, 2 {3: 1, 1: .5}, 3 {2: .5}. Latest first: 2 weighs 1, 0
    # weighs 1/2; over their sum 3/2. 4 is known but has no row: third, it weighs 1/3.
    queries = PlaylistSet.from_lists([[0, MISSING, 2, MISSING], [4, 0, 2], [2, 2]])
    items, scores = model.recommend(queries, 2)
    assert items.tolist() == [[1, 3], [1, 3], [3, 1]]
    expected = [[1 / 1.5 * 0.5 + 0.5 / 1.5, 1 / 1.5], [1.0 / (11 / 6), 1 / (11 / 6)], [1, 0.5]]
    assert scores[:2].tolist() == [
        pytest.approx(expected[0]),
        pytest.approx(expected[1]),
    ]
    assert scores[2].tolist() == pytest.approx(expected[2])
    only_latest = fitted("cooccurrence", train, 5, **{**PLAIN, "window": 1, "query_items": 1})
    assert only_latest.recommend(queries, 1)[0].tolist() == [[3], [3], [3]]


def test_two_hop_by_hand() -> None:
    """Prevents a second hop from wrong neighbours, with wrong weights, or back into the query."""
    train = PlaylistSet.from_lists([[0, 1, 2, 3]])
    forward = {**PLAIN, "window": 1, "backward": 0.25, "two_hop": 0.5}
    # Rows: 0 {1: 1}, 1 {2: 1, 0: .25}, 2 {3: 1, 1: .25}, 3 {2: .25}.
    query = PlaylistSet.from_lists([[1]])
    items, scores = fitted("cooccurrence", train, 4, **forward).recommend(query, 2)
    # First hop from 1: 2 scores 1, 0 scores .25. Second: half of (1 row(2) + .25 row(0)) / 1.25,
    # that is 3 by .5 * 1 / 1.25; 1 itself stays out.
    assert items.tolist() == [[2, 3]]
    assert scores[0].tolist() == pytest.approx([1.0, 0.5 / 1.25])
    one = fitted("cooccurrence", train, 4, **{**forward, "two_hop_items": 1})
    assert one.recommend(query, 2)[1][0].tolist() == pytest.approx([1.0, 0.5])


def test_query_items_stay_out() -> None:
    """Prevents an item of the query from coming back by a heavy row or by the second hop."""
    train = PlaylistSet.from_lists([[0, 1, 2]] * 9 + [[0, 3]])
    for two_hop in (0.0, 5.0):
        model = fitted("cooccurrence", train, 4, **{**PLAIN, "two_hop": two_hop})
        items, _ = model._rank(PlaylistSet.from_lists([[0, 1], [1]]), 3)
        assert items.tolist() == [[2, 3, MISSING], [2, 0, 3] if two_hop else [2, 0, MISSING]]


def plain_rows(lists: list[list[int]], p: dict[str, float]) -> dict[int, dict[int, float]]:
    """Count as the docstring says, pair by pair."""
    plays: dict[int, int] = defaultdict(int)
    for one in lists:
        for item in one:
            plays[item] += 1
    rows: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for one in lists:
        for at, i in enumerate(one):
            for other_at, j in enumerate(one):
                distance = other_at - at
                if i != j and 0 < abs(distance) <= p["window"]:
                    weight = abs(distance) ** -p["distance_exponent"]
                    weight *= 1 if distance > 0 else p["backward"]
                    weight /= len(one) ** p["length_exponent"]
                    weight /= plays[i] ** p["query_discount"]
                    rows[i][j] += weight / plays[j] ** p["popularity_discount"]
    return {i: {j: w for j, w in r.items() if w > 0} for i, r in rows.items()}


@examples(max_examples=40)
@given(
    lists=st.lists(st.lists(st.integers(0, 9), max_size=12), min_size=1, max_size=8).filter(any),
    window=st.integers(1, 15),
    backward=st.sampled_from([0.0, 0.3, 1.0]),
    exponents=st.tuples(*[st.sampled_from([0.0, 0.5, 1.0])] * 4),
)
def test_counts_equal_plain_python(
    lists: list[list[int]], window: int, backward: float, exponents: tuple[float, ...]
) -> None:
    """Prevents errors of the inverted index, of blocks and of scratch that is not cleared."""
    names = ("distance_exponent", "length_exponent", "query_discount", "popularity_discount")
    p = {
        **PLAIN,
        "window": window,
        "backward": backward,
        **dict(zip(names, exponents, strict=True)),
    }
    model = fitted("cooccurrence", PlaylistSet.from_lists(lists), 10, **p)
    expected = plain_rows(lists, p)  # type: ignore[arg-type]
    for item in range(10):
        assert row(model, item) == pytest.approx(expected.get(item, {}))


def test_fit_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents items lost or counted twice where blocks meet, and blocks beyond their limit."""
    monkeypatch.setattr(cooccurrence, "FIT_BLOCK_PAIRS", 10)
    pairs = np.array([3, 4, 5, 0, 100, 0, 1, 1, 9], np.int64)
    assert cooccurrence._blocks_of_pairs(pairs) == [(0, 2), (2, 4), (4, 5), (5, 8), (8, 9)]
    assert cooccurrence._blocks_of_pairs(np.zeros(4, np.int64)) == [(0, 4)]


@pytest.mark.parametrize("family", ["cooccurrence", "pair_counts"])
def test_table_size_changes_nothing(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents items with few neighbours from being counted by another rule than those with many."""
    rng = np.random.default_rng(2)
    lists = [(90 * rng.random(rng.integers(2, 25)) ** 2).astype(int).tolist() for _ in range(60)]

    def rows() -> list[list[tuple[int, float]]]:
        model = fitted(family, PlaylistSet.from_lists(lists), 90, max_neighbours=6)
        assert isinstance(model, RowRecommender)
        edges = itertools.pairwise(model._row_offsets.tolist())
        pairs = list(zip(model._row_items.tolist(), model._row_weights.tolist(), strict=True))
        return [sorted(pairs[first:last]) for first, last in edges]

    in_table = rows()
    monkeypatch.setattr(cooccurrence, "TABLE_SLOTS", 2)
    monkeypatch.setattr(pair_counts, "TABLE_SLOTS", 2)
    assert rows() == in_table
    assert max(len(row) for row in in_table) == 6
