"""Pair counts against hand-computed and plain-Python counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from recsys_assets.playlists import MISSING, PlaylistSet
from recsys_assets_tests.models.blocks import fitted

# With 0: 1 in three playlists of its three, 2 in two of its two, 3 in one of its four.
TRAIN = PlaylistSet.from_lists([[0, 1, 2, 1, 0], [2, 1, 0], [0, 1, 3], [3], [3], [3]])


def ranked(query: list[int], k: int = 3, **parameters: object) -> list[tuple[int, float]]:
    """Return what the family itself says, without completion."""
    items, scores = fitted("pair_counts", TRAIN, 4, **parameters)._rank(
        PlaylistSet.from_lists([query]), k
    )
    pairs = zip(items[0].tolist(), scores[0].tolist(), strict=True)
    return [(item, round(score, 4)) for item, score in pairs if item != MISSING]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [(1, 3), (2, 2), (3, 1)]),
        ({"threshold": 2}, [(1, 3), (2, 2)]),
        ({"threshold": 2.5}, [(1, 3)]),
        ({"max_neighbours": 1}, [(1, 3)]),
        # Of 0 with 1, 2 and 3: three of six, two of five and one of seven.
        ({"measure": "share", "threshold": 0}, [(1, 0.5), (2, 0.4), (3, 0.1429)]),
        ({"measure": "share", "threshold": 0.4}, [(1, 0.5), (2, 0.4)]),
    ],
)
def test_counts(parameters: dict[str, object], expected: list[tuple[int, float]]) -> None:
    """Prevents repeats within a playlist from counting, and a threshold at the wrong measure."""
    assert ranked([0], **parameters) == expected


def test_several_items() -> None:
    """Prevents a query's earlier items from counting as much as its latest."""
    # 3 with 0: one playlist, place 2; 2 with 0: two. Place 1 is item 3: 0 and 1 once each.
    assert ranked([0, 3], recency_exponent=1) == [(1, 1.6667), (2, 0.6667)]
    assert ranked([0, 3], recency_exponent=1, query_items=1) == [(1, 1.0)]


def test_always_as_many_neighbours_as_asked() -> None:
    """Prevents the article's varying number of neighbours: popular items follow."""
    model = fitted("pair_counts", TRAIN, 4, threshold=3)
    neighbours, scores = model.similar(np.arange(4, dtype=np.int32), 3)
    assert neighbours.tolist() == [[1, 3, 2], [0, 3, 2], [3, 0, 1], [0, 1, 2]]
    assert (np.diff(scores) < 0).all()


@examples(max_examples=40, deadline=None)
@given(
    train=st.lists(st.lists(st.integers(0, 9), max_size=7), min_size=1, max_size=8).filter(any),
    share=st.booleans(),
)
def test_agrees_with_plain_python(train: list[list[int]], share: bool) -> None:
    """Prevents errors of indexing in the kernel."""
    parameters = {"measure": "share", "threshold": 0} if share else {}
    model = fitted("pair_counts", PlaylistSet.from_lists(train), 10, **parameters)
    sets = [set(playlist) for playlist in train]
    for item in range(10):
        expected = {}
        for other in set(range(10)) - {item}:
            both = sum({item, other} <= one for one in sets)
            either = sum((item in one) + (other in one) for one in sets)
            if both:
                expected[other] = both / either if share else both
        items, scores = model._rank(PlaylistSet.from_lists([[item]]), 10)
        found = dict(zip(items[0].tolist(), scores[0].tolist(), strict=True))
        found.pop(MISSING, None)
        assert found == pytest.approx(expected)
