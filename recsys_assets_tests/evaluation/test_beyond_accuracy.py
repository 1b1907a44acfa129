"""Novelty, diversity and own artists against values worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.evaluation.beyond_accuracy import (
    SHOWN,
    intra_list_diversity,
    novelty,
    own_artist_share,
)
from recsys_assets.playlists import MISSING, PlaylistSet

ARTISTS = np.array([0, 0, 0, 1, 1, MISSING, MISSING, 2], np.int32)
PLAYS = np.array([8, 4, 1, 1, 1, 1, 0, 0], np.int64)  # 16 in all; 6 and 7 are new


def rows(*lists: list[int]) -> np.ndarray:
    """Return answers, filled up with `MISSING`."""
    k = max(map(len, lists))
    return np.array([one + [MISSING] * (k - len(one)) for one in lists], np.int32)


def test_novelty_by_hand() -> None:
    """Prevents a popular list from passing for novel, and gaps from counting as items."""
    found = novelty(rows([0, 1, 2], [2], [], [7]), PLAYS)
    assert found.tolist() == [(1 + 2 + 4) / 3, 4.0, 0.0, 4.0]


def test_diversity_by_hand() -> None:
    """Prevents tracks without an artist from being one artist, and gaps from being items."""
    found = intra_list_diversity(rows([0, 1, 3, 5], [0, 1, 2], [5, 6], [3], [], [0, 3]), ARTISTS)
    assert found.tolist() == [5 / 6, 0.0, 1.0, 0.0, 0.0, 1.0]


def test_own_artists_by_hand() -> None:
    """Prevents unknown artists, another query's or an unknown track's from counting as own."""
    queries = PlaylistSet.from_lists([[2, 5], [3], [5, MISSING], [], [7, 0]])
    items = rows([0, 3, 6, 1], [0, 4], [6, 0], [0], [])
    assert own_artist_share(items, queries, ARTISTS).tolist() == [2 / 4, 1 / 2, 0.0, 0.0, 0.0]


def test_only_what_is_shown_counts() -> None:
    """Prevents the hundred ranked items from deciding what the first twenty are like."""
    size = SHOWN + 1
    items = np.arange(size, dtype=np.int32)[None]
    artists = np.zeros(size, np.int32)
    artists[-1] = 1
    plays = np.full(size, 2, np.int64)
    plays[-1] = 1
    assert novelty(items, plays)[0] == pytest.approx(math.log2(plays.sum() / 2))
    assert intra_list_diversity(items, artists)[0] == 0
    assert own_artist_share(items, PlaylistSet.from_lists([[20]]), artists)[0] == 0


@given(
    st.lists(st.permutations(range(8)), min_size=1, max_size=5),
    st.integers(1, 8),
    st.lists(st.lists(st.integers(-1, 7), max_size=4), min_size=5, max_size=5),
)
def test_bounds(orders: list[list[int]], k: int, queries: list[list[int]]) -> None:
    """Prevents shares outside 0 to 1, novelty beyond the rarest item's, and a dependence on order."""
    items = np.array(orders, np.int32)[:, :k]
    asked = PlaylistSet.from_lists(queries[: len(items)])
    found = (
        novelty(items, PLAYS),
        intra_list_diversity(items, ARTISTS),
        own_artist_share(items, asked, ARTISTS),
    )
    turned = items[:, ::-1]
    again = (
        novelty(turned, PLAYS),
        intra_list_diversity(turned, ARTISTS),
        own_artist_share(turned, asked, ARTISTS),
    )
    for one, other, most in zip(found, again, (4, 1, 1), strict=True):
        assert ((one >= 0) & (one <= most)).all()
        assert one == pytest.approx(other)
