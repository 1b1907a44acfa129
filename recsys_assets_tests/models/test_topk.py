"""Dense ranking and completion, against plain numpy and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from recsys_assets.models import parallel, topk
from recsys_assets.playlists import MISSING, PlaylistSet


def naive(
    queries: np.ndarray, vectors: np.ndarray, exclude: list[list[int]], k: int
) -> tuple[list[list[int]], list[list[float]]]:
    """Rank by a full float64 score matrix and a stable sort."""
    rows, scores = [], []
    for query, without in zip(queries, exclude, strict=True):
        all_scores = (vectors.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
        order = [i for i in np.argsort(-all_scores, kind="stable") if i not in without][:k]
        pad = k - len(order)
        rows.append([int(i) for i in order] + [MISSING] * pad)
        scores.append([float(all_scores[i]) for i in order] + [-np.inf] * pad)
    return rows, scores


@pytest.mark.parametrize("k", [1, 7, 400])
@pytest.mark.parametrize("duplicates", [1, 50])
def test_dense_equals_numpy(k: int, duplicates: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents errors at tile edges, in ties beyond the kept candidates, and with k > available."""
    monkeypatch.setattr(topk, "ITEM_TILE", 64)
    monkeypatch.setattr(topk, "QUERY_BLOCK", 8)
    rng = np.random.default_rng(3)
    # Small integers make every sum exact, so the naive order holds to the bit; duplicates tie.
    vectors = rng.integers(-3, 4, (300 // duplicates, 5)).astype(np.float32)
    vectors = np.tile(vectors, (duplicates, 1))
    queries = rng.integers(-3, 4, (21, 5)).astype(np.float32)
    exclude = [rng.integers(-1, 300, rng.integers(0, 9)).tolist() for _ in range(21)]
    excluded = PlaylistSet.from_lists(exclude)
    rows, scores = topk.top_k_dense(queries, vectors, excluded.offsets, excluded.items, k)
    assert (rows.tolist(), scores.tolist()) == naive(queries, vectors, exclude, k)


@pytest.mark.parametrize("n", [5, 40, 41, 300])
def test_number_of_queries_changes_nothing(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents other answers, or rows mixed up, where threads share the queries or one has them."""
    monkeypatch.setattr(topk, "ITEM_TILE", 64)
    monkeypatch.setattr(topk, "COLUMNS", 24)
    monkeypatch.setattr(topk, "ROWS", 16)
    monkeypatch.setattr(topk, "FEW_QUERIES", 40)
    monkeypatch.setattr(parallel, "thread_count", lambda: 3)
    rng = np.random.default_rng(6)
    vectors = np.repeat(rng.integers(-3, 4, (60, 5)), 5, axis=0).astype(np.float32)
    queries = rng.integers(-3, 4, (300, 5)).astype(np.float32)[:n]
    exclude = [rng.integers(-1, 300, rng.integers(0, 9)).tolist() for _ in range(n)]
    excluded = PlaylistSet.from_lists(exclude)
    rows, scores = topk.top_k_dense(queries, vectors, excluded.offsets, excluded.items, 7)
    some = queries.any(axis=1)
    expected = naive(queries, vectors, exclude, 7)
    assert rows[some].tolist() == np.array(expected[0])[some].tolist()
    assert scores[some].tolist() == np.array(expected[1])[some].tolist()


def test_dense_decides_by_exact_scores() -> None:
    """Prevents an order that the matrix product's rounding decides: near ties, many candidates."""
    rng = np.random.default_rng(4)
    vectors = np.repeat(rng.normal(size=(1, 24)), 500, axis=0).astype(np.float32)
    vectors += rng.normal(scale=3e-7, size=vectors.shape).astype(np.float32)
    none = np.zeros(4, np.int64), np.empty(0, np.int32)
    queries = rng.normal(size=(3, 24)).astype(np.float32)
    rows, scores = topk.top_k_dense(queries, vectors, *none, 5)
    # The kernel adds in another order than numpy, in float64 both: equal after rounding.
    expected_rows, expected_scores = naive(queries, vectors, [[], [], []], 5)
    assert rows.tolist() == expected_rows
    assert scores.tolist() == expected_scores


def test_dense_with_more_ties_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents ties beyond the spare candidates from being answered by chance."""
    monkeypatch.setattr(topk, "ITEM_TILE", 64)
    vectors = np.tile(np.array([[1, 0], [0, 1], [1, 0], [0.5, 0.5]], np.float32), (250, 1))
    queries = np.array([[1, 0], [0.1, 0.9], [0, 0]], np.float32)
    offsets, excluded = np.array([0, 2, 3, 3]), np.array([0, 4, 5], np.int32)
    rows, scores = topk.top_k_dense(queries, vectors, offsets, excluded, 5)
    assert rows[:2].tolist() == [[2, 6, 8, 10, 12], [1, 9, 13, 17, 21]]
    assert scores[0].tolist() == [1.0] * 5
    assert rows[2].tolist() == [MISSING] * 5


def test_dense_without_rows() -> None:
    """Prevents a failure where a model knows nothing or nobody asks."""
    none = np.zeros(3, np.int64), np.empty(0, np.int32)
    rows, scores = topk.top_k_dense(np.ones((2, 4), "f4"), np.empty((0, 4), "f4"), *none, 2)
    assert rows.tolist() == [[MISSING] * 2] * 2
    assert (scores == -np.inf).all()
    rows, _ = topk.top_k_dense(
        np.empty((0, 4), "f4"), np.ones((5, 4), "f4"), none[0][:1], none[1], 2
    )
    assert rows.shape == (0, 2)


def test_completion_by_hand() -> None:
    """Prevents popular items that repeat the row's or the query's, or outrank the model's own."""
    items = np.array([[5, -1, -1, -1], [-1, -1, -1, -1], [1, 2, 3, 4]], np.int32)
    scores = np.array([[7, 0, 0, 0], [0, 0, 0, 0], [4, 3, 2, 1]], np.float32)
    queries = PlaylistSet.from_lists([[0, 2, 99, -1], [3, 3], [6]])
    popular = np.array([0, 5, 3, 2, 1], np.int32)
    topk.complete_with_popular(items, scores, queries.offsets, queries.items, popular)
    assert items.tolist() == [[5, 3, 1, -1], [0, 5, 2, 1], [1, 2, 3, 4]]
    assert scores.tolist() == [[7, 6, 5, -np.inf], [-1, -2, -3, -4], [4, 3, 2, 1]]


@examples(max_examples=50)
@given(last=st.floats(-(2.0**99), 2.0**99, width=32), k=st.integers(2, 300))
def test_completion_falls_strictly(last: float, k: int) -> None:
    """Prevents added scores that float32 rounds up to the model's own."""
    items, scores = np.full((1, k), MISSING, np.int32), np.zeros((1, k), np.float32)
    items[0, 0], scores[0, 0] = 500, last
    offsets, popular = np.zeros(2, np.int64), np.arange(400, dtype=np.int32)
    topk.complete_with_popular(items, scores, offsets, np.empty(0, np.int32), popular)
    assert (np.diff(scores[0]) < 0).all()


def test_blocks_cover_all_rows_once() -> None:
    """Prevents rows that no thread, or two threads, take."""
    for rows in (0, 1, 15, 33, 1000):
        blocks = parallel.row_blocks(rows, per_thread=3)
        assert [i for low, high in blocks for i in range(low, high)] == list(range(rows))


def test_blas_limit_ends_with_its_last_user() -> None:
    """Prevents one of two overlapping calls from leaving BLAS with one thread for good."""
    from threadpoolctl import threadpool_info, threadpool_limits

    def threads() -> set[int]:
        return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        first, second = parallel.one_blas_thread(), parallel.one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert threads() == {1}
        second.__exit__(None, None, None)
        assert threads() == {2}


def test_error_in_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a thread's failure from leaving half-filled results."""
    monkeypatch.setattr(parallel, "thread_count", lambda: 3)

    def work(block: int) -> int:
        if block == 2:
            raise ValueError("block 2")
        return block

    with pytest.raises(ValueError, match="block 2"):
        parallel.map_blocks(work, [0, 1, 2, 3])
    assert parallel.map_blocks(work, [3, 1, 0]) == [3, 1, 0]


def test_long_vectors_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents leaving out vectors that are too short for most queries, but not for all."""
    monkeypatch.setattr(topk, "ITEM_TILE", 16)
    monkeypatch.setattr(topk, "FEW_QUERIES", 8)
    rng = np.random.default_rng(7)
    # Powers of two keep every product exact; the long ones are in the middle of the index.
    lengths = 2.0 ** -(np.abs(np.arange(400) - 200) // 30)
    vectors, queries = np.zeros((400, 7), np.float32), np.zeros((30, 7), np.float32)
    vectors[:, :5] = rng.integers(-3, 4, (400, 5)) * lengths[:, None]
    queries[:, :5] = rng.integers(-3, 4, (30, 5))
    # Query 0 likes 40 long vectors a little, and ten of a tenth of their length more.
    vectors[180:220], vectors[180:220, 0] = 0, 8
    vectors[180:220, 6] = np.arange(200, 240) / 256
    vectors[100:110], queries[0] = [0, 0, 0, 0, 0, 0.5, 0.5], [0, 0, 0, 0, 0, 1, 1]
    exclude = [rng.integers(-1, 400, rng.integers(0, 9)).tolist() for _ in range(30)]
    exclude[3] = list(range(100, 300))  # only short ones are left
    excluded = PlaylistSet.from_lists(exclude)
    shown = []
    look_again = topk.scan

    def scan(*arguments: object) -> None:
        *first, look, is_open = arguments

        def count(tile: np.ndarray, *rest: object) -> None:
            shown.append(tile.size)
            look(tile, *rest)  # type: ignore[operator]

        look_again(*first, count, is_open)  # type: ignore[arg-type]

    monkeypatch.setattr(topk, "scan", scan)
    rows, scores = topk.top_k_dense(queries, vectors, excluded.offsets, excluded.items, 5)
    some = queries.any(axis=1)
    expected = naive(queries, vectors, exclude, 5)
    assert rows[some].tolist() == np.array(expected[0])[some].tolist()
    assert scores[some].tolist() == np.array(expected[1])[some].tolist()
    assert 0 < sum(shown) < 0.8 * len(queries) * len(vectors)


def test_lengths_whose_squares_vanish(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents vectors whose squares are 0 in float32 from being left out as too short."""
    monkeypatch.setattr(topk, "ITEM_TILE", 64)
    monkeypatch.setattr(topk, "FEW_QUERIES", 2)
    rng = np.random.default_rng(8)
    vectors = (rng.normal(size=(400, 6)) * 1e-24).astype(np.float32)
    queries = (rng.normal(size=(20, 6)) * 1e24).astype(np.float32)
    none = np.zeros(21, np.int64), np.empty(0, np.int32)
    rows, scores = topk.top_k_dense(queries, vectors, *none, 5)
    assert (rows.tolist(), scores.tolist()) == naive(queries, vectors, [[]] * 20, 5)
