"""Neighbours of every item: as many as asked for, or a clear refusal."""

import numpy as np
import pyarrow as pa
import pytest

from recsys_assets.errors import DataError
from recsys_assets.models.topk import Search, top_k_dense
from recsys_assets.playlists import MISSING, Catalog, Float32, Int32
from recsys_assets.similarity.nearest import SimilarItems, nearest_items, plays_of


class Ring:
    """Items on a ring: the neighbours of `i` are `i + 1`, `i + 2`, …"""

    def __init__(self, size: int) -> None:
        self.popular = np.arange(size, dtype=np.int32)
        self.asked: list[int] = []

    def similar(self, items: Int32, k: int, search: Search = top_k_dense) -> tuple[Int32, Float32]:
        """Return the next `k` items."""
        self.asked.append(len(items))
        steps = np.arange(1, k + 1, dtype=np.int32)
        nearest = (items[:, None] + steps) % np.int32(len(self.popular))
        return nearest, np.tile(np.float32(1) / steps.astype(np.float32), (len(items), 1))


class Broken(Ring):
    """Answers the same row to everything."""

    def __init__(self, size: int, row: list[int]) -> None:
        super().__init__(size)
        self.row = row

    def similar(self, items: Int32, k: int, search: Search = top_k_dense) -> tuple[Int32, Float32]:
        """Return the scripted row."""
        assert k == len(self.row)
        return np.tile(np.array(self.row, np.int32), (len(items), 1)), np.zeros(
            (len(items), k), "f4"
        )


@pytest.mark.parametrize("block", [1, 3, 7, 100])
def test_blocks_are_bounded_and_in_order(block: int) -> None:
    """Prevents neighbours beside another block's keys, and blocks larger than asked for."""
    model: SimilarItems = (ring := Ring(7))
    keys = np.array([3, 0, 6, 1, 5, 2, 4], np.int32)
    found = list(nearest_items(model, keys, 2, block=block))
    assert max(ring.asked) <= block
    assert np.concatenate([one[0] for one in found]).tolist() == keys.tolist()
    nearest = np.concatenate([one[1] for one in found])
    assert nearest.tolist() == [[(i + 1) % 7, (i + 2) % 7] for i in keys]
    assert all(one[1].dtype == np.int32 and one[2].dtype == np.float32 for one in found)


def test_one_item_too_few_is_an_error() -> None:
    """Prevents a late failure, or an item as its own neighbour, on tiny data."""
    assert len(list(nearest_items(Ring(4), np.arange(4, dtype=np.int32), 3))) == 1
    with pytest.raises(
        DataError, match=r"3 neighbours .* needs 4 items, but training holds only 3"
    ):
        next(nearest_items(Ring(3), np.arange(3, dtype=np.int32), 3))


def test_the_search_is_handed_on() -> None:
    """Prevents exact search where an index was prepared."""

    class Searching(Ring):
        def similar(
            self, items: Int32, k: int, search: Search = top_k_dense
        ) -> tuple[Int32, Float32]:
            assert search is index
            return super().similar(items, k)

    def index(*_: object) -> tuple[Int32, Float32]:
        raise AssertionError("Ring has no vectors")

    assert next(nearest_items(Searching(4), np.array([0], np.int32), 2, search=index))


@pytest.mark.parametrize(
    ("row", "error"), [([1, 1], ValueError), ([0, 1], ValueError), ([1, MISSING], DataError)]
)
def test_a_model_that_breaks_its_promise_is_found(row: list[int], error: type[Exception]) -> None:
    """Prevents duplicates, an item as its own neighbour and gaps from reaching the files."""
    with pytest.raises(error):
        next(nearest_items(Broken(5, row), np.array([0], np.int32), 2))


def test_progress_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a long delivery from being silent."""
    clock = iter(range(0, 10_000, 6))
    monkeypatch.setattr("recsys_assets.progress.time.monotonic", lambda: next(clock))
    lines: list[str] = []
    list(nearest_items(Ring(6), np.arange(6, dtype=np.int32), 2, block=3, progress=lines.append))
    assert "items: 3 of 6" in lines[0]


def test_plays_of_another_catalogue() -> None:
    """Prevents keys of an older champion from being chosen by the plays of other tracks."""
    counted = pa.table({"track_id": ["2", "new", "0"], "play_count": [7, 9, 3]})
    assert plays_of(Catalog.anonymous(3), counted).tolist() == [3, 0, 7]
