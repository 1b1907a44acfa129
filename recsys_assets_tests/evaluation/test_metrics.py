"""Every metric against values worked out by hand, and against a per-row reference."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.evaluation import metrics as m
from recsys_assets.evaluation.slices import slices
from recsys_assets.playlists import MISSING, Catalog, PlaylistSet

CATALOG = Catalog(
    ids=Catalog.anonymous(6).ids,
    names=Catalog.anonymous(6).names,
    artist_index=np.array([0, 0, 1, 1, MISSING, 2], np.int32),
)
COUNTS = np.array([10, 5, 3, 1, 1, 0], np.int64)  # item 5 was never seen in training


def values(items: list[list[int]], targets: list[int], queries: list[list[int]]) -> dict:
    """Compute all per-playlist values."""
    answers, wanted = np.array(items, np.int32), np.array(targets, np.int32)
    return m.per_playlist(
        answers,
        m.target_ranks(answers, wanted),
        wanted,
        PlaylistSet.from_lists(queries),
        CATALOG,
        COUNTS,
    )


def test_hand_computed() -> None:
    """Prevents any metric from meaning something else than it says."""
    found = values(
        items=[[2, 0, 1], [3, 4, MISSING], [0, 1, 2]],
        targets=[0, 5, MISSING],
        queries=[[1, 3], [5, MISSING], []],
    )
    third = math.log2(3)
    assert found[m.HIT_RATE_1].tolist() == [0, 0, 0]
    assert found[m.HIT_RATE_10].tolist() == [1, 0, 0]
    assert found[m.MRR_20].tolist() == [0.5, 0, 0]
    assert found[m.NDCG_20].tolist() == pytest.approx([1 / third, 0, 0])
    assert found[m.ARTIST_HIT_RATE_100].tolist() == [1, 0, 0]  # 5's artist 2 is nowhere
    assert found[m.COLD_TARGET_SHARE].tolist() == [0, 1, 1]
    assert found[m.COLD_QUERY_SHARE].tolist() == [0, 1, 1]
    assert found[m.POPULARITY_RANK].tolist() == [(3 + 1 + 2) / 3, (4 + 5) / 2, 2.0]


def test_rank_beyond_twenty_counts_for_the_hit_rate_only() -> None:
    """Prevents MRR@20 and NDCG@20 from looking further than 20."""
    items = [[MISSING] * 20 + [3]]
    found = values(items, [3], [[0]])
    assert found[m.HIT_RATE_100][0] == 1
    assert found[m.HIT_RATE_20][0] == found[m.MRR_20][0] == found[m.NDCG_20][0] == 0


def test_target_without_artist_is_an_artist_miss() -> None:
    """Prevents two tracks without an artist from counting as the same artist."""
    assert values([[4]], [4], [[0]])[m.ARTIST_HIT_RATE_100][0] == 0


def test_artist_metric_is_left_out_without_artists() -> None:
    """Prevents a meaningless 0 % where the source has no artists."""
    found = m.per_playlist(
        np.array([[0]], np.int32),
        np.array([1], np.int32),
        np.array([0], np.int32),
        PlaylistSet.from_lists([[1]]),
        Catalog.anonymous(2),
        np.array([1, 1], np.int64),
    )
    assert m.ARTIST_HIT_RATE_100 not in found


def test_slices_are_a_partition() -> None:
    """Prevents a playlist from being in two slices of a kind, or in none."""
    queries = PlaylistSet.from_lists([[0] * length for length in (1, 4, 5, 30, 100, 250)])
    targets = np.array([5, 3, 1, 0, MISSING, 2], np.int32)
    found = {name: mask.tolist() for name, mask in slices(queries, targets, COUNTS)}
    assert found == {
        "target_plays_unseen": [True, False, False, False, True, False],
        "target_plays_1_to_4": [False, True, False, False, False, True],
        "target_plays_5_to_19": [False, False, True, True, False, False],
        "query_length_1_to_4": [True, True, False, False, False, False],
        "query_length_5_to_9": [False, False, True, False, False, False],
        "query_length_25_to_49": [False, False, False, True, False, False],
        "query_length_100_or_more": [False, False, False, False, True, True],
    }


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[list[int]], list[int]]:
    """Draw distinct recommendations for a few queries, and targets."""
    k = draw(st.integers(1, 5))
    n = draw(st.integers(1, 6))
    rows = [draw(st.permutations(range(6)))[:k] for _ in range(n)]
    return [list(row) for row in rows], draw(
        st.lists(st.integers(MISSING, 5), min_size=n, max_size=n)
    )


@given(answers())
def test_agrees_with_a_per_row_reference(drawn: tuple[list[list[int]], list[int]]) -> None:
    """Prevents a vectorised shortcut from differing from the definition."""
    items, targets = drawn
    found = values(items, targets, [[0]] * len(items))
    for row, target in enumerate(targets):
        place = items[row].index(target) + 1 if target in items[row] else 0
        assert found[m.MRR_20][row] == (1 / place if place else 0)
        assert found[m.NDCG_20][row] == pytest.approx(1 / math.log2(1 + place) if place else 0)
        for k in m.CUTOFFS:
            assert found[f"hit_rate_{k}"][row] == (target in items[row][:k])
        artists = {CATALOG.artist_index[item] for item in items[row]} - {MISSING}
        wanted = None if target == MISSING else CATALOG.artist_index[target]
        assert found[m.ARTIST_HIT_RATE_100][row] == (wanted in artists)


def test_every_metric_is_described() -> None:
    """Prevents a leaderboard key that nobody explains."""
    found = values([[0]], [0], [[1]])
    assert set(found) <= set(m.DESCRIPTIONS)
