"""One ranked list for many queries."""

import numpy as np
import pytest

from recsys_assets.models import parallel
from recsys_assets.models.shared_lists import take_unheld
from recsys_assets.models.title import LISTS_PER_BLOCK, Title, TitleParameters, _title_blocks
from recsys_assets.playlists import MISSING, Catalog, PlaylistSet


def test_own_items_are_left_out_by_hand() -> None:
    """Prevents answers with a query's own item, and one query's marks from staying for the next."""
    queries = PlaylistSet.from_lists([[5, MISSING], [7, 5, 7], []])
    lists = np.array([[7, 5, 2, MISSING], [5, 7, MISSING, MISSING]], np.int32)
    scores = np.array([[4, 3, 2, -np.inf], [9, 8, -np.inf, -np.inf]], np.float32)
    items, values = np.full((3, 2), 99, np.int32), np.zeros((3, 2), np.float32)
    held = np.zeros(8, np.bool_)
    rows, of_row = np.array([2, 0, 1]), np.array([0, 0, 1])
    take_unheld(rows, of_row, lists, scores, queries.offsets, queries.items, held, items, values)
    assert items.tolist() == [[7, 2], [MISSING, MISSING], [7, 5]]
    assert values.tolist() == [[4, 2], [-np.inf, -np.inf], [4, 3]]
    assert not held.any()


def test_lists_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents more lists in memory than the block that a thread is allowed."""
    monkeypatch.setattr(parallel, "thread_count", lambda: 1)
    for titles in (1, 512, 513, 1023, 5_000):
        blocks = _title_blocks(titles)
        assert max(high - low for low, high in blocks) <= LISTS_PER_BLOCK
        assert blocks[-1][1] == titles


def test_queries_of_one_title_are_answered_as_if_alone() -> None:
    """Prevents a list too short for the longest query of its title, or answers in another's place."""
    rng = np.random.default_rng(4)
    lists = [rng.choice(60, rng.integers(1, 30), replace=False).tolist() for _ in range(80)]
    titles: list[str | None] = [f"mix {n % 7}" if n % 9 else None for n in range(80)]
    model = Title(TitleParameters()).fit(
        PlaylistSet.from_lists(lists, titles), Catalog.anonymous(60), seed=0
    )
    queries = PlaylistSet.from_lists(lists[::-1], titles[::-1])
    items, scores = model.recommend(queries, 25)
    for row in range(len(queries)):
        alone, alone_scores = model.recommend(queries.slice(row, row + 1), 25)
        assert items[row].tolist() == alone[0].tolist()
        assert scores[row].tolist() == alone_scores[0].tolist()
