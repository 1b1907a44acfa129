"""Examples for trained collaborative filtering: held-out interactions and drawn negatives."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.models.interactions import Interactions
from recsys_assets.models.postings import distinct_items
from recsys_assets.playlists import PlaylistSet

playlists_of = st.lists(st.lists(st.integers(0, 9), max_size=14), min_size=1, max_size=8).filter(
    any
)


def interactions(lists: list[list[int]], items: int = 10) -> Interactions:
    """Return the interactions of playlists, each item once."""
    return Interactions(distinct_items(PlaylistSet.from_lists(lists), items), items)


@given(lists=playlists_of, seed=st.integers(0, 99))
def test_negatives_never_collide(lists: list[list[int]], seed: int) -> None:
    """Prevents an item of the playlist from being learned as one that it lacks."""
    of = interactions(lists)
    owners, items = of.negatives(np.repeat(of.owners, 3), np.random.default_rng(seed))
    assert ((items >= 0) & (items < 10)).all()
    for owner, item in zip(owners.tolist(), items.tolist(), strict=True):
        assert item not in lists[owner]
    drawable = [3 * len(set(one)) for one in lists if len(set(one)) < 10]
    assert len(owners) == sum(drawable)


def test_negatives_are_all_that_is_missing_alike() -> None:
    """Prevents missing items that are never drawn, or drawn more often than others."""
    of = interactions([[0, 3, 4], [9], list(range(10))])
    rng = np.random.default_rng(0)
    owners, items = of.negatives(np.repeat(np.arange(3), 7000), rng)
    assert not (owners == 2).any()
    first = np.bincount(items[owners == 0], minlength=10)
    assert first[[0, 3, 4]].tolist() == [0, 0, 0]
    assert np.abs(first[[1, 2, 5, 6, 7, 8, 9]] - 1000).max() < 150
    second = np.bincount(items[owners == 1], minlength=10)
    assert second[9] == 0
    assert np.abs(second[:9] - 7000 / 9).max() < 150


@given(lists=playlists_of, share=st.floats(0.01, 0.99))
def test_hold_out(lists: list[list[int]], share: float) -> None:
    """Prevents a training without examples, or a best epoch chosen on nothing."""
    of = interactions(lists)
    held = of.hold_out(share, np.random.default_rng(1))
    total = len(of.sets.items)
    assert held.sum() == min(max(1, round(share * total)), total - 1)
