"""Word2vec: vocabulary, query vectors, errors inside gensim's threads."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from recsys_assets.errors import DataError
from recsys_assets.models import word2vec_gensim
from recsys_assets.models.registry import build
from recsys_assets.models.word2vec import Word2Vec
from recsys_assets.playlists import MISSING, Catalog, Float32, PlaylistSet
from recsys_assets_tests.models.blocks import SIZE, block_playlists, fitted


def with_vectors(vectors: Float32, items: list[int], size: int, **parameters: object) -> Word2Vec:
    """Return a model with given vectors, as if loaded from files."""
    model = build("word2vec", parameters)
    assert isinstance(model, Word2Vec)
    model.size = size
    model._restore({"items": np.array(items, np.int32), "vectors": vectors})
    return model


AXES = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.8, 0.6, 0], [0, 0.6, 0.8]], np.float32)


def test_last_known_item_is_the_query() -> None:
    """Prevents a query that ends in an unknown item from being treated as cold."""
    model = with_vectors(AXES, [2, 3, 5, 6, 7], 9, query="last")
    queries = PlaylistSet.from_lists([[3, 2, 0, MISSING], [0, MISSING], [], [2, 3]])
    items, scores = model._rank(queries, 2)
    # Item 2 is (1, 0, 0): next 6 at 0.8; then 5 and 7 tie at 0 (3 is in the query).
    assert items.tolist() == [[6, 5], [-1, -1], [-1, -1], [6, 7]]
    assert scores[0].tolist() == pytest.approx([0.8, 0.0])
    assert (scores[1:3] == -np.inf).all()
    assert model.known_items().tolist() == [i in {2, 3, 5, 6, 7} for i in range(9)]


def test_recency_mean_by_hand() -> None:
    """Prevents weights that run the wrong way, count unknown items, or leak into another query."""
    model = with_vectors(AXES, [2, 3, 5, 6, 7], 9, query="recency_mean", half_life=1.0)
    queries = PlaylistSet.from_lists([[5], [2, 0, 3], [MISSING], [2, 3, 5]])
    vectors, known = model._query_vectors(queries.offsets, model._row_of_item[queries.items])
    expected = np.array([[0, 0, 1], [0.5, 1, 0], [0, 0, 0], [0.25, 0.5, 1]])
    expected /= np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-9)
    assert vectors.tolist() == [pytest.approx(row) for row in expected.tolist()]
    assert known.tolist() == [True, True, False, True]


def test_min_count() -> None:
    """Prevents vectors for rarer items, and none for items exactly as frequent as asked."""
    train = PlaylistSet.from_lists([[0, 1, 2], [0, 1, 2], [0, 1, 3]])
    model = fitted("word2vec", train, 5, min_count=2)
    assert model.known_items().tolist() == [True, True, True, False, False]
    assert np.linalg.norm(model._arrays()["vectors"], axis=1).tolist() == pytest.approx([1, 1, 1])


def test_no_item_reaches_min_count() -> None:
    """Prevents gensim's own error about an empty vocabulary, which says nothing of the cause."""
    with pytest.raises(DataError, match=r"min_count = 9 .* most played has 3\).*lower min_count"):
        fitted("word2vec", PlaylistSet.from_lists([[0, 1], [0, 1], [0]]), 3, min_count=9)


def fails_within(seconds: float, match: str) -> None:
    """Assert that a fit raises instead of waiting for ever."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            fitted("word2vec", block_playlists(), engine="gensim")
        except (TypeError, ValueError, RuntimeError) as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "the fit hangs"
    assert len(raised) == 1
    assert match in str(raised[0])


def test_error_in_the_worker_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents gensim's hang: given arrays its worker thread dies and train() never returns."""

    def arrays(self: word2vec_gensim._Sentences) -> object:
        return (self._items[start:stop] for start, stop in self._bounds)

    monkeypatch.setattr(word2vec_gensim._Sentences, "__iter__", arrays)
    fails_within(20, "truth value")


def test_error_in_the_corpus_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents the same hang where the thread that feeds sentences dies."""

    def broken(self: word2vec_gensim._Sentences) -> object:
        yield [1, 2]
        raise RuntimeError("disk on fire")

    monkeypatch.setattr(word2vec_gensim._Sentences, "__iter__", broken)
    fails_within(20, "disk on fire")


def test_error_in_the_progress_ends_the_run() -> None:
    """Prevents a cancelled run (raised by its logger) from training on."""
    seen: list[str] = []

    def cancel(line: str) -> None:
        seen.append(line)
        if len(seen) == 2:
            raise KeyboardInterrupt

    model = build("word2vec", {"min_count": 1, "epochs": 50, "vector_size": 4})
    with pytest.raises(KeyboardInterrupt):
        model.fit(block_playlists(), Catalog.anonymous(SIZE), seed=1, progress=cancel)
    assert seen == ["word2vec: epoch 1 of 50", "word2vec: epoch 2 of 50"]


def test_long_playlists_are_cut_not_dropped() -> None:
    """Prevents gensim from dropping, silently, what stands beyond a sentence's 10,000th item."""
    train = PlaylistSet.from_lists([[0] * 3, [i % 5 for i in range(25_001)], []])
    sentences = word2vec_gensim._Sentences(train)
    assert [len(one) for one in sentences] == [3, 10_000, 10_000, 5_001]
    assert [item for one in sentences for item in one] == train.items.tolist()


WITHOUT_GENSIM = """
import sys
from pathlib import Path
sys.modules["gensim"] = None
from recsys_assets.models.registry import load_recommender
from recsys_assets.playlists import PlaylistSet
model = load_recommender(Path(sys.argv[1]))
print(model.recommend(PlaylistSet.from_lists([[0, 1]]), 3)[0].tolist())
"""


def test_ranks_without_gensim(tmp_path: Path) -> None:
    """Prevents a served model from needing the library that trained it."""
    model = fitted("word2vec", block_playlists())
    model.save(tmp_path)
    output = subprocess.run(
        [sys.executable, "-c", WITHOUT_GENSIM, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert output.strip() == str(model.recommend(PlaylistSet.from_lists([[0, 1]]), 3)[0].tolist())
