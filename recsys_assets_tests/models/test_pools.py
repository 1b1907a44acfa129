"""Merging the members' lists, and cutting a scored pool."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.models.pools import Pool, best_rows, merge
from recsys_assets.playlists import MISSING

ITEMS = np.array([[[4, 2, 7], [1, MISSING, MISSING]], [[2, 9, MISSING], [MISSING] * 3]], np.int32)
SCORES = np.array(
    [[[8, 4, -2], [5, -np.inf, -np.inf]], [[3, 1.5, -np.inf], [-np.inf] * 3]], np.float32
)


def test_merge_by_hand() -> None:
    """Prevents an item proposed twice from standing twice, or scores in another member's column."""
    pool = merge(ITEMS, SCORES, 10, ITEMS.shape[2])
    assert pool.offsets.tolist() == [0, 4, 5]
    assert pool.items.tolist() == [4, 2, 7, 9, 1]
    assert pool.relative.tolist() == [[1, 0], [0.5, 1], [0, 0], [0, 0.5], [1, 0]]
    assert pool.ranks.tolist() == [[1, 0], [2, 1], [3, 0], [0, 2], [1, 0]]
    assert pool.best.tolist() == [[8, 3], [5, 0]]
    assert pool.owners.tolist() == [0, 0, 0, 0, 1]
    assert pool.reciprocal_ranks(1.0)[1].tolist() == [1 / 3, 1 / 2]
    part = pool.where(np.array([False, True, False, True, False]))
    assert (part.offsets.tolist(), part.items.tolist()) == ([0, 2, 2], [2, 9])


def test_part_by_hand() -> None:
    """Prevents a block of queries that sees candidates or best scores of another one."""
    pool = merge(ITEMS, SCORES, 10, ITEMS.shape[2])
    part = pool.part(1, 2)
    assert (part.offsets.tolist(), part.items.tolist()) == ([0, 1], [1])
    assert (part.ranks.tolist(), part.relative.tolist()) == ([[1, 0]], [[1, 0]])
    assert part.best.tolist() == [[5, 0]]
    assert pool.part(0, 1).relative.tolist() == pool.relative[:4].tolist()
    assert pool.part(0, 1).best.tolist() == pool.best[:1].tolist()
    nothing = pool.part(1, 1)
    assert (nothing.offsets.tolist(), len(nothing.items), len(nothing.best)) == ([0], 0, 0)


def test_some_queries_are_merged_as_all_are() -> None:
    """Prevents a thread's queries from getting the lists, offsets or best scores of others."""
    whole = merge(ITEMS, SCORES, 10, 1)
    for low, high in ((0, 1), (1, 2), (0, 2), (1, 1)):
        part, alone = whole.part(low, high), merge(ITEMS, SCORES, 10, 1, low=low, high=high)
        for name in ("offsets", "items", "relative", "ranks", "best"):
            assert getattr(alone, name).tolist() == getattr(part, name).tolist()
            assert getattr(alone, name).flags.c_contiguous  # kernels are compiled for one layout
            assert getattr(part, name).flags.c_contiguous


def test_deeper_places_are_looked_up_only() -> None:
    """Prevents candidates that nobody proposed, and a proposed one without a member's deep place."""
    pool = merge(ITEMS, SCORES, 10, 1)
    assert pool.offsets.tolist() == [0, 2, 3]
    assert pool.items.tolist() == [4, 2, 1]
    assert pool.relative.tolist() == [[1, 0], [0.5, 1], [1, 0]]
    assert pool.ranks.tolist() == [[1, 0], [2, 1], [1, 0]]


def test_best_rows_by_hand() -> None:
    """Prevents ties in the order of proposal, and rows of one query in another's answer."""
    pool = merge(ITEMS, SCORES, 10, ITEMS.shape[2])
    items, scores = best_rows(pool, np.array([1, 3, 3, 0, -5], np.float32), 3)
    assert items.tolist() == [[2, 7, 4], [1, MISSING, MISSING]]
    assert scores.tolist() == [[3, 3, 1], [-5, -np.inf, -np.inf]]


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(-2, 2)), max_size=8), max_size=4),
    st.integers(1, 12),
)
def test_best_rows_is_a_sort(rows: list[list[tuple[int, int]]], k: int) -> None:
    """Prevents a cut that loses a better candidate."""
    lists = [list(dict(row).items()) for row in rows]
    offsets = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    flat = [pair for row in lists for pair in row]
    items = np.array([item for item, _ in flat], np.int32)
    pool = Pool(
        offsets,
        items,
        np.zeros((len(flat), 1), np.float32),
        np.zeros((len(flat), 1), int),
        np.zeros((len(lists), 1)),
    )
    found, _ = best_rows(pool, np.array([score for _, score in flat], np.float32), k)
    for row, expected in zip(found.tolist(), lists, strict=True):
        best = [item for item, _ in sorted(expected, key=lambda pair: (-pair[1], pair[0]))][:k]
        assert row == best + [MISSING] * (k - len(best))
