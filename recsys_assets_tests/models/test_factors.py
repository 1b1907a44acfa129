"""Matrix-factor families: PPMI + SVD, alternating least squares, EASE."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from recsys_assets.errors import DataError
from recsys_assets.models.ease import ease_weights, items_that_fit
from recsys_assets.models.factors import KnownItems, Vocabulary, one_blas_thread
from recsys_assets.models.ppmi_svd import cooccurrence, ppmi, truncated_svd
from recsys_assets.models.registry import load_recommender
from recsys_assets.playlists import MISSING, PlaylistSet
from recsys_assets_tests.models.blocks import BLOCK_SIZE, block_playlists, fitted
from recsys_assets_tests.models.test_families import assert_valid

TINY = PlaylistSet.from_lists([[0, 1, 1, 2], [2, 1], [4], [5, 0]])
EXPLICIT = {"feedback": "explicit", "factors": 3, "iterations": 5, "regularization": 0.01}


def blas_bits(threads: int) -> str:
    """Return a hash of the factors that a process with so many BLAS threads learns."""
    code = (
        "import hashlib, numpy as np\n"
        "from recsys_assets.playlists import PlaylistSet\n"
        "from recsys_assets_tests.models.blocks import fitted\n"
        "rng = np.random.default_rng(3)\n"
        "train = PlaylistSet.from_lists([rng.choice(700, 30, replace=False).tolist()\n"
        "                                for _ in range(400)])\n"
        "query = PlaylistSet.from_lists([[1, 2, 3]])\n"
        "for family in ('ppmi_svd', 'als', 'ease'):\n"
        "    sizes = {} if family == 'ease' else {'factors': 64}\n"
        "    model = fitted(family, train, 700, **{**sizes})\n"
        "    answer = [*model._arrays().values(), *model.recommend(query, 20)]\n"
        "    bits = b''.join(a.tobytes() for a in answer)\n"
        "    print(family, hashlib.sha256(bits).hexdigest())\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            **dict.fromkeys(
                ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), str(threads)
            ),
        },
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_blas_threads_change_nothing() -> None:
    """Prevents models whose bits depend on the number of cores that BLAS and OpenMP find."""
    assert blas_bits(1) == blas_bits(2)


def test_one_blas_thread() -> None:
    """Prevents a limit that misses a BLAS: numpy and scipy each bring their own."""
    from threadpoolctl import threadpool_info, threadpool_limits

    def threads() -> list[int]:
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    with threadpool_limits(2, user_api="blas"), one_blas_thread():
        assert set(threads()) == {1}


# --- what they share ------------------------------------------------------------------------------
def test_vocabulary() -> None:
    """Prevents a track that one playlist repeats from passing for frequent, and shifted rows."""
    words = Vocabulary.of(TINY, 7, 2, "als")
    assert words.items.tolist() == [0, 1, 2]
    assert words.playlists.tolist() == [2, 2, 2]
    assert words.sets.offsets.tolist() == [0, 3, 5, 5, 6]
    assert words.sets.items.tolist() == [0, 1, 2, 1, 2, 0]


@pytest.mark.parametrize("family", ["als", "ppmi_svd"])
def test_too_few_playlists(family: str) -> None:
    """Prevents a traceback where no track is frequent enough."""
    with pytest.raises(DataError, match=r"min_playlists = 3 .*\(the most frequent is in 2"):
        fitted(family, TINY, 7, min_playlists=3)


def test_known_items() -> None:
    """Prevents recency from being counted from the wrong end, or across queries."""
    offsets = np.array([0, 4, 4, 5, 6])
    known = KnownItems.of(offsets, np.array([3, MISSING, 1, MISSING, MISSING, 2], np.int32))
    assert known.rows.tolist() == [3, 1, 2]
    assert known.places.tolist() == [4, 2, 1]
    assert known.offsets.tolist() == [0, 2, 2, 2, 3]


@pytest.mark.parametrize("family", ["als", "ppmi_svd", "ease"])
def test_no_opinion_without_known_items(family: str) -> None:
    """Prevents the first items of the catalogue from answering a query of which nothing is known."""
    items, scores = fitted(family, block_playlists())._rank(PlaylistSet.from_lists([[], [-1]]), 3)
    assert (items == MISSING).all()
    assert (scores == -np.inf).all()


# --- PPMI + SVD -----------------------------------------------------------------------------------
def test_cooccurrence_by_hand() -> None:
    """Prevents repeats from counting twice, a diagonal, and long playlists from dominating."""
    words = Vocabulary.of(TINY, 7, 1, "ppmi_svd")  # 3 and 6 are in no playlist: rows 0 1 2 4 5
    pairs = cooccurrence(words, 1.0).toarray()
    third, half = 1 / 3, 1 / 2
    assert pairs.tolist() == [
        pytest.approx([0, third, third, 0, half]),
        pytest.approx([third, 0, third + half, 0, 0]),
        pytest.approx([third, third + half, 0, 0, 0]),
        [0, 0, 0, 0, 0],
        pytest.approx([half, 0, 0, 0, 0]),
    ]


def test_ppmi_by_hand() -> None:
    """Prevents wrong margins, a missing smoothing and values below 0."""
    words = Vocabulary.of(PlaylistSet.from_lists([[0, 1], [0, 1], [0, 2], [0, 1, 2]]), 3, 1, "")
    pairs = cooccurrence(words, 0.0)  # 0-1 three times, 0-2 twice, 1-2 once
    assert pairs.toarray().tolist() == [[0, 3, 2], [3, 0, 1], [2, 1, 0]]
    plain = ppmi(pairs, 1.0).toarray()  # sums 5, 4, 3, in all 12
    assert plain[0].tolist() == pytest.approx([0, np.log(3 * 12 / 20), np.log(2 * 12 / 15)])
    assert plain[1].tolist() == pytest.approx([np.log(3 * 12 / 20), 0, 0])  # 1 * 12 / 12: log 1
    roots = np.sqrt([5, 4, 3])
    smoothed = ppmi(pairs, 0.5).toarray()
    assert smoothed[0, 1] == pytest.approx(np.log(3 / 5 * roots.sum() / roots[1]))
    assert smoothed[2, 0] == pytest.approx(np.log(2 / 3 * roots.sum() / roots[0]))


def test_truncated_svd() -> None:
    """Prevents directions that are not the leading singular vectors."""
    from scipy import sparse

    rng = np.random.default_rng(1)
    dense = (rng.standard_normal((60, 60)) * 0.5 ** np.arange(60)).astype(np.float32)
    left, singular = truncated_svd(sparse.csr_array(dense), 5, seed=2)
    exact_left, exact, _ = np.linalg.svd(dense.astype(np.float64))
    assert singular.tolist() == pytest.approx(exact[:5].tolist(), rel=1e-4)
    assert np.abs((left * exact_left[:, :5]).sum(0)).tolist() == pytest.approx([1] * 5, rel=1e-3)
    assert truncated_svd(sparse.csr_array((4, 4), dtype=np.float32), 3, seed=1)[0].shape == (4, 0)


def test_ppmi_scores() -> None:
    """Prevents recency, unit lengths or the power of popularity from going missing."""
    parameters = {"factors": 6, "recency_exponent": 2.0, "popularity_exponent": 0.5}
    model = fitted("ppmi_svd", block_playlists(), **parameters)
    units, scales = model._arrays()["vectors"], model._arrays()["scales"]
    sets = [set(one) for one in np.split(block_playlists().items, 240)]
    assert np.linalg.norm(units, axis=1).tolist() == pytest.approx([1] * len(units), rel=1e-5)
    assert scales[4] == pytest.approx(sum(4 in one for one in sets) ** 0.5)
    items, scores = model.recommend(PlaylistSet.from_lists([[5, MISSING, 2]]), 1)
    best = items[0, 0]
    assert scores[0, 0] == pytest.approx(
        (units[2] + units[5] / 9) @ units[best] * scales[best], rel=1e-5
    )


# --- alternating least squares --------------------------------------------------------------------
def normal_equations(vectors, rows, confidence, ridge):
    """Solve Hu et al.'s equation 4 directly: all items count 1, those present `confidence`."""
    wide = vectors.astype(np.float64)
    weights, preference = np.ones(len(wide)), np.zeros(len(wide))
    for row, value in zip(rows, confidence, strict=True):
        weights[row] += value - 1
        preference[row] += value
    matrix = wide.T @ (weights[:, None] * wide) + ridge * np.eye(wide.shape[1])
    return np.linalg.solve(matrix, wide.T @ preference)


def test_als_folds_in() -> None:
    """Prevents a fold-in that is not the solution of the normal equations."""
    model = fitted("als", block_playlists(), factors=12, alpha=7.0, recency_exponent=0.5)
    vectors = model._arrays()["vectors"]
    offsets = np.array([0, 3, 3, 4])
    known = KnownItems.of(offsets, np.array([40, 2, 3, 9], np.int32))
    found = model._query_vectors(known)
    recency = np.array([3, 2, 1]) ** -0.5
    confidence = 1 + 7 * recency / recency.mean()
    assert found[0] == pytest.approx(normal_equations(vectors, [40, 2, 3], confidence, 0.05), 1e-4)
    assert found[1].tolist() == [0] * 12
    assert found[2] == pytest.approx(normal_equations(vectors, [9], [8], 0.05), 1e-4)


def test_als_items_solve_the_normal_equations() -> None:
    """Prevents a confidence or ridge that means something else in the library than in fold-in."""
    train = block_playlists()
    model = fitted("als", train, factors=4, iterations=100, alpha=0.5, regularization=2.0)
    items = model._arrays()["vectors"]
    lists = np.split(train.items, 240)
    users = np.array([normal_equations(items, one, [1.5] * 8, 2.0) for one in lists])
    for item in (0, 17, 89):
        holding = [number for number, one in enumerate(lists) if item in one]
        expected = normal_equations(users, holding, [1.5] * len(holding), 2.0)
        assert items[item] == pytest.approx(expected, rel=0.01, abs=0.005)


def test_explicit_als() -> None:
    """Prevents a ridge that does not grow with the counts, absence that counts, and lost repeats."""
    lists = [[0, 0, 0, 1], [1, 2], [2, 2, 0], [3, 1, 3]]
    counts = np.array([[one.count(item) for item in range(4)] for one in lists])
    model = fitted("als", PlaylistSet.from_lists(lists), 4, seed=8, **EXPLICIT)

    def solved(ratings, vectors):
        rows = []
        for rating in ratings:
            own = vectors[rating > 0]
            ridge = 0.01 * len(own) * np.eye(3)
            rows.append(np.linalg.solve(own.T @ own + ridge, own.T @ rating[rating > 0]))
        return np.array(rows)

    users = np.random.default_rng(8).standard_normal((4, 3))
    users /= np.linalg.norm(users, axis=1, keepdims=True)
    for _ in range(5):
        items = solved(counts.T, users)
        users = solved(counts, items)
    assert model._arrays()["vectors"] == pytest.approx(items, rel=1e-3, abs=1e-4)
    known = KnownItems.of(np.array([0, 3]), np.array([2, 0, 2], np.int32))
    assert model._query_vectors(known)[0] == pytest.approx(
        solved(np.array([[1, 0, 2, 0]]), items)[0], rel=1e-3, abs=1e-4
    )


@examples(max_examples=20)
@given(
    train=st.lists(st.lists(st.integers(0, 11), max_size=9), min_size=1, max_size=6).filter(any),
    queries=st.lists(st.lists(st.integers(-1, 13), max_size=9), max_size=5),
)
def test_explicit_als_keeps_the_promise(train: list[list[int]], queries: list[list[int]]) -> None:
    """Prevents short, repeated or already owned answers of the mode that is not the default."""
    playlists = PlaylistSet.from_lists(train)
    assert_valid(fitted("als", playlists, 14, **EXPLICIT), playlists, queries, 9)


@pytest.mark.parametrize("family", ["als", "ppmi_svd", "ease"])
def test_ranks_without_the_libraries(family: str, tmp_path: Path) -> None:
    """Prevents a served model from needing what only training needs."""
    fitted(family, block_playlists()).save(tmp_path)
    code = (
        "import sys\n"
        "for name in ('implicit', 'scipy'):\n"
        "    sys.modules[name] = None\n"
        "from pathlib import Path\n"
        "from recsys_assets.models.registry import load_recommender\n"
        "from recsys_assets.playlists import PlaylistSet\n"
        "model = load_recommender(Path(sys.argv[1]))\n"
        "print(model.recommend(PlaylistSet.from_lists([[1, 2]] * 100), 5)[0].tolist())\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    here = load_recommender(tmp_path).recommend(PlaylistSet.from_lists([[1, 2]]), 5)[0]
    assert answer.strip() == str(here.tolist() * 100)


# --- EASE -----------------------------------------------------------------------------------------
def test_ease_closed_form() -> None:
    """Prevents weights that are not Steck's, and a second matrix beside the first."""
    rng = np.random.default_rng(4)
    held = (rng.random((30, 7)) < 0.4).astype(np.float64)
    gram = held.T @ held
    inverse = np.linalg.inv(gram + 3 * np.eye(7))
    expected = inverse / -np.diag(inverse)
    np.fill_diagonal(expected, 0)
    weights = ease_weights(gram, 3.0)
    assert weights == pytest.approx(expected)
    assert np.shares_memory(weights, gram)


def test_ease_by_hand() -> None:
    """Prevents the wrong row of an asymmetric matrix, and negative weights, from being ranked."""
    # G + I = [[4, 2], [2, 3]]; its inverse [[3, -2], [-2, 4]] / 8; so B01 = 2/4 and B10 = 2/3.
    train = PlaylistSet.from_lists([[0, 1], [1, 0], [0, 0]])
    model = fitted("ease", train, 2, regularization=1.0)
    items, scores = model.recommend(PlaylistSet.from_lists([[0], [1]]), 1)
    assert items.tolist() == [[1], [0]]
    assert scores.tolist() == [pytest.approx([1 / 2]), pytest.approx([2 / 3])]
    # Given 0, items 1 and 2 speak against each other.
    arrays = fitted("ease", PlaylistSet.from_lists([[0, 1], [0, 2]]), 3)._arrays()
    assert arrays["row_items"].tolist() == [1, 2, 0, 0]
    assert (arrays["row_weights"] > 0).all()


def test_ease_keeps_to_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a matrix beyond the budget, and opinions of items outside it."""
    assert items_that_fit(256) == 5792
    assert items_that_fit(1) == 362
    monkeypatch.setattr("recsys_assets.models.ease.items_that_fit", lambda memory_mb: 2)
    train = PlaylistSet.from_lists([[0, 3, 4], [3, 4], [4, 3], [1, 0]])
    model = fitted("ease", train, 5)
    assert np.flatnonzero(model.known_items()).tolist() == [3, 4]
    items, _ = model._rank(PlaylistSet.from_lists([[3], [0]]), 2)
    assert items.tolist() == [[4, MISSING], [MISSING, MISSING]]


def test_ease_keeps_the_best_neighbours() -> None:
    """Prevents a storage limit that drops the best instead of the worst."""
    full = fitted("ease", block_playlists())
    short = fitted("ease", block_playlists(), max_neighbours=3)
    queries = PlaylistSet.from_lists([[0], [BLOCK_SIZE]])
    best, _ = full._rank(queries, 3)
    items, _ = short._rank(queries, 5)
    assert items[:, :3].tolist() == best.tolist()
    assert (items[:, 3:] == MISSING).all()


def test_vocabulary_of_the_most_frequent() -> None:
    """Prevents rows, counts and playlists that mean different items after a cut."""
    train = PlaylistSet.from_lists([[3, 1], [1, 3], [3, 2], [1, 3, 2], [0]])
    words = Vocabulary.of(train, 4, 1, "")
    # Pairs with themselves: 22 of all items, 21 of 3, 1 and 2, and 13 of 3 and 1.
    assert words.within_pairs(22).items.tolist() == [0, 1, 2, 3]
    assert words.within_pairs(21).items.tolist() == [1, 2, 3]
    for cut in (words.within_pairs(20), words.within_pairs(13), words.most_frequent(2)):
        assert cut.items.tolist() == [1, 3]
        assert cut.playlists.tolist() == [3, 4]
        assert cut.sets.offsets.tolist() == [0, 2, 4, 5, 7, 7]
        assert cut.sets.items.tolist() == [0, 1, 0, 1, 1, 0, 1]
    assert words.within_pairs(1).items.tolist() == [3]
