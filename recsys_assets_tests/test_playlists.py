"""The flat pair of arrays behaves like the lists that it stands for."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.playlists import Catalog, PlaylistSet

LISTS = st.lists(st.lists(st.integers(0, 50), max_size=6), max_size=8)


def as_lists(playlists: PlaylistSet) -> list[list[int]]:
    """Take the playlists apart again."""
    return [
        playlists.items[playlists.offsets[p] : playlists.offsets[p + 1]].tolist()
        for p in range(len(playlists))
    ]


@given(LISTS)
def test_arrow_round_trip(lists: list[list[int]]) -> None:
    """Prevents lists from moving by one when taken from Arrow, sliced or chunked."""
    column = pa.chunked_array([pa.array([[9, 9], *lists], pa.list_(pa.int32()))]).slice(1)
    assert as_lists(PlaylistSet.from_arrow(column)) == lists
    assert as_lists(PlaylistSet.from_lists(lists)) == lists


@given(LISTS, st.data())
def test_take_slice_concat(lists: list[list[int]], data: st.DataObject) -> None:
    """Prevents selections that mix up playlists."""
    titles = [f"t{i}" if i % 2 else None for i in range(len(lists))]
    playlists = PlaylistSet.from_lists(lists, titles)
    index = data.draw(st.lists(st.integers(0, max(len(lists) - 1, 0)), max_size=8))
    index = index if lists else []
    taken = playlists.take(np.array(index, np.int64))
    assert as_lists(taken) == [lists[i] for i in index]
    assert taken.titles.to_pylist() == [titles[i] for i in index]
    cut = data.draw(st.integers(0, len(lists)))
    head, tail = playlists.slice(0, cut), playlists.slice(cut, len(lists) + 5)
    assert as_lists(head) == lists[:cut]
    assert as_lists(head.concat(tail)) == lists
    assert head.concat(tail).titles.to_pylist() == titles


@given(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=6), max_size=8))
def test_leave_last_out(lists: list[list[int]]) -> None:
    """Prevents a target from staying in its own query."""
    queries, targets = PlaylistSet.from_lists(lists).leave_last_out()
    assert as_lists(queries) == [one[:-1] for one in lists]
    assert targets.tolist() == [one[-1] for one in lists]


def test_fingerprint_sees_every_change() -> None:
    """Prevents a changed data set from being taken for an unchanged one."""
    sets = [
        PlaylistSet.from_lists([[1, 2], [3]]),
        PlaylistSet.from_lists([[1], [2, 3]]),
        PlaylistSet.from_lists([[1, 2], [4]]),
        PlaylistSet.from_lists([[1, 2], [3]], ["a", None]),
        PlaylistSet.from_lists([[1, 2], [3]], ["a", ""]),
    ]
    assert len({one.fingerprint() for one in sets}) == len(sets)
    again = PlaylistSet.from_lists([[7], [1, 2], [3]]).slice(1, 3)
    assert again.fingerprint() == sets[0].fingerprint()


def test_catalog_fingerprint_does_not_depend_on_memory_layout() -> None:
    """Prevents a slice of a larger Arrow array from looking like other data."""
    ids = pa.array(["x", "a", "b"], pa.string())
    whole = Catalog(ids.slice(1), ids.slice(1), np.array([0, 1], np.int32))
    fresh = pa.array(["a", "b"], pa.string())
    assert whole.fingerprint() == Catalog(fresh, fresh, np.array([0, 1], np.int32)).fingerprint()
    other = pa.array(["ab", ""], pa.string())
    assert whole.fingerprint() != Catalog(other, other, np.array([0, 1], np.int32)).fingerprint()


def test_catalog_fingerprint_sees_all_that_models_learn_from() -> None:
    """Prevents mended names, artists or albums from passing for unchanged data."""
    ids, names = pa.array(["a", "b"]), pa.array(["A", None], pa.string())
    here, there = np.array([0, 1], np.int32), np.array([1, 0], np.int32)
    catalogs = [
        Catalog(ids, names, here, here),
        Catalog(ids, names, there, here),
        Catalog(ids, names, here, there),
        Catalog(ids, pa.array(["A", ""]), here, here),
        Catalog(ids, pa.array(["", "A"]), here, here),
        Catalog(ids, pa.array(["B", None], pa.string()), here, here),
    ]
    assert len({one.fingerprint() for one in catalogs}) == len(catalogs)


def test_bad_shapes_are_refused() -> None:
    """Prevents arrays that do not belong together from being ranked."""
    with pytest.raises(ValueError, match="offsets must start at 0"):
        PlaylistSet(np.array([0, 3], np.int64), np.array([1], np.int32))
    with pytest.raises(TypeError, match="int64 offsets"):
        PlaylistSet(np.array([0], np.int32), np.array([], np.int32))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has no last item"):
        PlaylistSet.from_lists([[1], []]).leave_last_out()
