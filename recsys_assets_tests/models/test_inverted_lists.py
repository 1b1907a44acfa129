"""The approximate index: what it finds, what it says, and that threads do not matter."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from recsys_assets.models import inverted_lists, parallel
from recsys_assets.models.inverted_lists import InvertedLists
from recsys_assets.models.topk import top_k_dense
from recsys_assets.playlists import MISSING, Float32, Int32, Int64


def clusters(count: int, size: int, *, seed: int = 1) -> Float32:
    """Return unit vectors float32[count * size, 12] in tight groups: row i is of group i % count."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count, 12))
    vectors = centres[np.arange(count * size) % count] + rng.normal(scale=0.05, size=(1, 12))
    vectors = vectors + rng.normal(scale=0.05, size=(count * size, 12))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def themselves(n: int) -> tuple[Int64, Int32]:
    """Return what to exclude where query i is row i."""
    return np.arange(n + 1), np.arange(n, dtype=np.int32)


def test_one_list_of_a_group_holds_its_neighbours() -> None:
    """Prevents lists that do not follow the vectors, and a calibration that looks everywhere."""
    vectors = clusters(8, 30)
    index = InvertedLists(vectors, 24, seed=3)
    rows, scores = top_k_dense(vectors, vectors, *themselves(240), 5)
    looked_at = index.calibrate(vectors, rows, 0.99)
    assert looked_at < 0.3
    assert index.probes < 24
    found, found_scores = index.search(vectors, vectors, *themselves(240), 5)
    assert (found == rows).mean() > 0.98
    same = (found == rows).all(axis=1)
    assert found_scores[same].tobytes() == scores[same].tobytes()


@examples(max_examples=30, deadline=None)
@given(
    m=st.integers(1, 60),
    lists=st.integers(1, 80),
    k=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_all_lists_give_the_exact_answer(m: int, lists: int, k: int, seed: int) -> None:
    """Prevents vectors that are in no list, wrong rows, and excluded rows in the answers."""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-9, 10, (m, 5)).astype(np.float32) + rng.normal(size=(m, 5)).astype("f4")
    index = InvertedLists(vectors, lists, seed=seed)
    exact = top_k_dense(vectors, vectors, *themselves(m), k)
    found = index.search(vectors, vectors, *themselves(m), k)
    assert found[0].tolist() == exact[0].tolist()
    assert found[1].tolist() == exact[1].tolist()
    assert not (found[0] == np.arange(m)[:, None]).any()


def test_fewer_lists_than_neighbours() -> None:
    """Prevents made-up rows where the lists looked at hold too few vectors."""
    vectors = np.eye(6, dtype=np.float32)
    index = InvertedLists(vectors, 6, seed=0)
    index.look_at(1, vectors)
    rows, scores = index.search(vectors, vectors, *themselves(6), 3)
    # Each vector is the only one of its list, and may not answer itself.
    assert rows.tolist() == [[MISSING] * 3] * 6
    assert (scores == -np.inf).all()


def test_long_vectors_are_found_by_dot_product() -> None:
    """Prevents lists by distance where long vectors, far from all queries, are the answers."""
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(400, 6)).astype(np.float32)
    vectors[:20, 0] += 50
    queries = vectors[20:][vectors[20:, 0] > 0]
    nothing = np.zeros(len(queries) + 1, np.int64), np.empty(0, np.int32)
    rows, _ = top_k_dense(queries, vectors, *nothing, 5)
    index = InvertedLists(vectors, 20, seed=0)
    assert index.calibrate(queries, rows, 0.9) < 0.2
    found, _ = index.search(queries, vectors, *nothing, 5)
    assert (found == rows).mean() >= 0.9


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents an index or answers that depend on the number of cores."""
    monkeypatch.setattr(inverted_lists, "UNIT", 32)
    vectors = clusters(9, 40)
    seen = set()
    for threads in (1, 2, 5):
        monkeypatch.setattr(parallel, "thread_count", lambda threads=threads: threads)
        index = InvertedLists(vectors, 19, seed=7)
        index.look_at(3, vectors)
        rows, scores = index.search(vectors, vectors, *themselves(360), 6)
        seen.add(b"".join(a.tobytes() for a in (index.centroids, index.order, rows, scores)))
    assert len(seen) == 1


def test_products_have_one_blas_thread() -> None:
    """Prevents a number of lists, calibrated or looked at, that hangs on the number of cores."""
    seen = set[int]()

    class Spied(np.ndarray):
        def __matmul__(self, other: Float32) -> Float32:
            blas = [one for one in threadpool_info() if one["user_api"] == "blas"]
            seen.update(one["num_threads"] for one in blas)
            return np.asarray(self) @ other

    vectors = clusters(8, 30)
    with threadpool_limits(2, user_api="blas"):
        index = InvertedLists(vectors, 24, seed=3)
        rows, _ = top_k_dense(vectors, vectors, *themselves(240), 5)
        index.calibrate(vectors.view(Spied), rows, 0.99)
        index.look_at(3, vectors.view(Spied))
    assert seen == {1}


def test_memory_of_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents whole copies of the vectors beside the one that the index keeps."""
    monkeypatch.setattr(parallel, "thread_count", lambda: 2)
    vectors = np.random.default_rng(5).random((60_000, 64), np.float32)
    tracemalloc.start()
    InvertedLists(vectors, 30, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * vectors.nbytes


def test_other_vectors_are_refused() -> None:
    """Prevents rows of one model's vectors from being answered for another's."""
    vectors = clusters(2, 5)
    with pytest.raises(ValueError, match="other vectors"):
        InvertedLists(vectors, 2, seed=0).search(vectors, vectors.copy(), *themselves(10), 2)
