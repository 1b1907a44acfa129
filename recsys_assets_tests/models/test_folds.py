"""Playlists held out inside training."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.models.folds import FoldNumbers, folds_of
from recsys_assets.playlists import Catalog, PlaylistSet

SIZE = 8


def test_folds_are_even() -> None:
    """Prevents a fold that is empty while others are not."""
    folds = folds_of(11, 4, np.random.default_rng(0))
    assert sorted(np.bincount(folds).tolist()) == [2, 3, 3, 3]
    assert folds_of(1, 5, np.random.default_rng(0)).tolist() == [0]


def test_numbers_fall_with_the_rest_alone() -> None:
    """Prevents an order of ties that tells what the held-out fold holds."""
    rest = PlaylistSet.from_lists([[5, 3], [5, 3, 3], [5, 1]], ["a", "b", None])
    last, middle = set(), set()
    for seed in range(40):
        numbers = FoldNumbers.of(rest, SIZE, np.random.default_rng(seed))
        assert numbers.order[:3].tolist() == [5, 3, 1]
        last.add(int(numbers.order[-1]))
        middle.add(int(numbers.order[3]))
    assert last == middle == {0, 2, 4, 6, 7}


@given(st.lists(st.lists(st.integers(0, SIZE - 1), min_size=1), min_size=1), st.integers(0, 9))
def test_renumbering_keeps_what_items_are(lists: list[list[int]], seed: int) -> None:
    """Prevents an item from taking another's id, name, artist or album."""
    catalog = Catalog(
        pa.array([f"id {i}" for i in range(SIZE)]),
        pa.array([f"name {i}" for i in range(SIZE)]),
        np.arange(SIZE, dtype=np.int32) * 2,
        np.arange(SIZE, dtype=np.int32) * 3,
    )
    playlists = PlaylistSet.from_lists(lists)
    numbers = FoldNumbers.of(playlists, SIZE, np.random.default_rng(seed))
    moved, renamed = numbers.playlists(playlists), numbers.catalog(catalog)
    assert moved.offsets.tolist() == playlists.offsets.tolist()
    for old, new in zip(playlists.items.tolist(), moved.items.tolist(), strict=True):
        assert renamed.ids[new].as_py() == f"id {old}"
        assert renamed.names[new].as_py() == f"name {old}"
        assert (renamed.artist_index[new], renamed.album_index[new]) == (2 * old, 3 * old)
