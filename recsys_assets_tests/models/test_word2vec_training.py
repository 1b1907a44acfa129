"""Word2vec's compiled engine: gradients by hand, draws, threads, warm start."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.errors import DataError
from recsys_assets.models import parallel, word2vec_cbow, word2vec_draws, word2vec_training
from recsys_assets.models.registry import build, load_recommender
from recsys_assets.models.word2vec import Word2Vec
from recsys_assets.models.word2vec_training import LONGEST, Schedule, sentence_bounds, train
from recsys_assets.playlists import MISSING, Catalog, Float32, PlaylistSet
from recsys_assets_tests.models.blocks import SIZE, block_playlists, fitted

PAIR = PlaylistSet.from_lists([[0, 1]])
EVERYTHING = np.array([1, 1])
START = np.array([[0.5, -1.0, 0.25], [1.0, 0.5, -0.5]], np.float32)
CONTEXTS = np.array([[0.25, 0.5, 1.0], [-0.5, 1.0, 0.75]], np.float32)


def one_epoch(*, skipgram: bool = False) -> Schedule:
    """Return a schedule of one pass at rate 0.5 without subsampling."""
    return Schedule(
        skipgram, window=1, negative=1, epochs=1, alpha=0.5, sample=0.0, ns_exponent=0.75
    )


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def test_one_pair_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a gradient with the wrong sign, scale, label or matrix, or of vectors too new."""
    # A table that always draws row 1: noise for the pair that wants 0, skipped for that which wants 1.
    monkeypatch.setattr(
        word2vec_training,
        "_noise",
        lambda plays, exponent: np.full(
            2, 1, np.uint64
        ),  # column r: 0 draws mean r, all mean row 1
    )
    inputs, contexts = train(
        PAIR, EVERYTHING, START, CONTEXTS, one_epoch(), seed=1,
        after_epoch=lambda done: None,
    )  # fmt: skip
    x, t = START.astype(float), CONTEXTS.astype(float)
    # Item 1 predicts item 0 (wanted 0, noise 1), then item 0 predicts item 1 (its noise is skipped).
    right = 0.5 * (1 - sigmoid(x[1] @ t[0])), 0.5 * (0 - sigmoid(x[1] @ t[1]))
    left = 0.5 * (1 - sigmoid(x[0] @ t[1]))
    expected_inputs = [x[0] + left * t[1], x[1] + right[0] * t[0] + right[1] * t[1]]
    expected_contexts = [t[0] + right[0] * x[1], t[1] + right[1] * x[1] + left * x[0]]
    # The table of the sigmoid has steps of 12 / 1024.
    assert inputs == pytest.approx(np.array(expected_inputs), abs=0.003)
    assert contexts == pytest.approx(np.array(expected_contexts), abs=0.003)
    assert START[0, 0] == 0.5  # what was given is not changed


def test_cbow_takes_the_windows_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents windows that hold their middle, are cut wrongly, or are summed instead of averaged."""
    always_2 = np.full(3, 2, np.uint64)
    monkeypatch.setattr(word2vec_training, "_noise", lambda plays, exponent: always_2)
    start = np.array([[1.0, 0.0], [0.0, 3.0], [2.0, 4.0]], np.float32)
    inputs, contexts = train(
        PlaylistSet.from_lists([[0, 1, 2]]), np.array([1, 1, 1]), start, np.zeros_like(start),
        one_epoch(), seed=3, after_epoch=lambda done: None,
    )  # fmt: skip
    assert inputs.tolist() == start.tolist()  # outputs of 0 teach the inputs nothing
    # Slopes are 0.5 * 0.5. Item 2 is noise for the first two, and wanted, without noise, by item 1.
    expected = 0.25 * np.array([[0.0, 3.0], [1.5, 2.0], [-1.5, -2.0]])
    assert contexts == pytest.approx(expected, abs=0.01)


def test_the_sigmoids_table_is_not_left() -> None:
    """Prevents learning from what lies behind the table: rarely, but then vectors overflowed."""
    table = np.append(word2vec_training._sigmoid(), np.float32(1e30))  # what lies behind
    for product in (np.nextafter(np.float32(6), np.float32(0)), np.float32(-5.9999995)):
        slope = word2vec_cbow._slope(product, np.float32(1.0), table)
        assert slope == pytest.approx(1 - sigmoid(float(product)), abs=0.003)
    for product in (np.float32(6.0), np.float32(-6.0), np.float32(np.nan), np.float32(np.inf)):
        assert word2vec_cbow._slope(product, np.float32(1.0), table) == 0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=40), st.sampled_from([0.75, 0.0, -1.0])
)
def test_noise_is_drawn_by_plays(plays: list[int], exponent: float) -> None:
    """Prevents an alias table whose columns mean other shares than the power of the plays."""
    table = word2vec_training._noise(np.array(plays), exponent)
    drawn = np.zeros(len(plays))
    for row, entry in enumerate(table.tolist()):
        own = (entry >> 32) / 2**32
        drawn[row] += own
        drawn[entry & 0xFFFFFFFF] += 1 - own
    weights = np.array(plays, float) ** exponent
    assert drawn / len(plays) == pytest.approx(weights / weights.sum(), abs=1e-6)


def test_frequent_items_are_thinned_out_as_gensim_does() -> None:
    """Prevents a subsampling that keeps all, none, or the frequent instead of the rare."""
    # Threshold 0.01 * 1000 = 10 plays: (sqrt(90) + 1) / 90 of an item with 900, all of one with 10.
    kept = word2vec_training._kept(np.array([900, 90, 10]), 0.01) / 2**32
    assert kept.tolist() == pytest.approx([(90**0.5 + 1) / 90, (9**0.5 + 1) / 9, 1.0], abs=1e-6)
    assert (word2vec_training._kept(np.array([900, 1]), 0.0) == 2**32 - 1).all()
    rows = np.empty(100_000, np.int32)
    tokens = np.zeros(100_000, np.int32)
    keep = word2vec_training._kept(np.array([900, 90, 10]), 0.01)
    count = word2vec_draws.thinned(tokens, keep, np.uint64(7), rows)
    assert count / 100_000 == pytest.approx((90**0.5 + 1) / 90, abs=0.005)
    assert (rows[:count] == 0).all()
    assert (rows[count:] == -1).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3 * LONGEST), max_size=6))
def test_sentences_are_playlists_cut(lengths: list[int]) -> None:
    """Prevents tokens that are lost or learned twice, and sentences over the end of a playlist."""
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    bounds = sentence_bounds(PlaylistSet(offsets, np.zeros(offsets[-1], np.int32)))
    assert set(offsets.tolist()) <= set(bounds.tolist()) | {0}
    assert (np.diff(bounds) > 0).all()
    assert (np.diff(bounds) <= LONGEST).all()
    assert bounds[-1] == offsets[-1]
    assert bounds[0] == 0


@pytest.mark.parametrize("sg", [0, 1])
@pytest.mark.parametrize("vector_size", [5, 16, 20])
def test_any_width_and_any_threads(
    vector_size: int, sg: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents bits that depend on the cores, and rows that are padded over one another."""
    monkeypatch.setattr(word2vec_training, "THREADED", 1)
    found = set()
    for threads in (1, 2, 3):
        monkeypatch.setattr(parallel, "thread_count", lambda threads=threads: threads)
        model = fitted(
            "word2vec", block_playlists(), engine="compiled", sg=sg, vector_size=vector_size,
            negative=4,
        )  # fmt: skip
        found.add(b"".join(array.tobytes() for array in model._arrays().values()))
        assert model._arrays()["vectors"].shape == (SIZE, vector_size)
    assert len(found) == 1


def test_cbow_learns_the_blocks() -> None:
    """Prevents CBOW that trains without learning which items belong together."""
    model = fitted(
        "word2vec", block_playlists(), engine="compiled", sg=0, query="last", epochs=60, alpha=0.1
    )
    items, _ = model.recommend(PlaylistSet.from_lists([[i] for i in range(SIZE)]), 5)
    assert (
        items // 15 == np.arange(SIZE)[:, None] // 15
    ).mean() > 0.35  # 1/6 by chance; gensim 0.36


def vectors(model: Word2Vec) -> Float32:
    """Return a model's vectors, not normalised."""
    return model._vectors * model._lengths[:, None]


def words(**parameters: object) -> Word2Vec:
    """Return an unfitted model for the blocks."""
    defaults = {"engine": "compiled", "sg": 0, "vector_size": 16, "min_count": 1, "sample": 0.0}
    model = build("word2vec", {**defaults, **parameters})
    assert isinstance(model, Word2Vec)
    return model


def test_warm_start_goes_on_from_the_previous_vectors() -> None:
    """Prevents a warm start that forgets, mixes up items, or never learns those that are new."""
    old = words(epochs=12).fit(block_playlists(), Catalog.anonymous(SIZE), seed=1)
    before = vectors(old)
    shift = 3  # every item has another number in the new catalogue, and three have none
    translation = (np.arange(SIZE) - shift).astype(np.int32)
    translation[:shift] = MISSING
    moved = block_playlists().items - shift
    new_items = np.where(moved < 0, SIZE + moved, moved).astype(np.int32)
    playlists = PlaylistSet(block_playlists().offsets, new_items)
    model = words(epochs=200, alpha=0.00025).start_from(old, translation, epochs=1)
    model.fit(playlists, Catalog.anonymous(SIZE), seed=2)
    # One epoch at a tiny learning rate changes next to nothing ...
    assert vectors(model)[:-shift] == pytest.approx(before[shift:], abs=0.05)
    assert np.abs(vectors(model)[-shift:]).max() < 0.2  # ... and what is new began at random
    assert vectors(old).tobytes() == before.tobytes()


def test_a_start_is_used_once() -> None:
    """Prevents a later fit of the same object from going on where it was not told to."""
    catalog, same = Catalog.anonymous(SIZE), np.arange(SIZE, dtype=np.int32)
    old = words(epochs=2).fit(block_playlists(), catalog, seed=1)
    model = words(epochs=2).start_from(old, same, epochs=1).fit(block_playlists(), catalog, seed=3)
    assert vectors(model).tobytes() != vectors(old).tobytes()
    again = model.fit(block_playlists(), catalog, seed=1)
    assert vectors(again).tobytes() == vectors(old).tobytes()


def test_warm_start_after_loading(tmp_path: Path) -> None:
    """Prevents saved models from losing what a warm start needs."""
    old = words(epochs=3).fit(block_playlists(), Catalog.anonymous(SIZE), seed=1)
    old.save(tmp_path)
    loaded = load_recommender(tmp_path)
    assert isinstance(loaded, Word2Vec)
    same = np.arange(SIZE, dtype=np.int32)
    both = [
        words(epochs=3)
        .start_from(one, same, epochs=1)
        .fit(block_playlists(), Catalog.anonymous(SIZE), seed=2)
        for one in (old, loaded)
    ]
    assert vectors(both[0]).tobytes() == vectors(both[1]).tobytes()


def test_what_cannot_be_gone_on_from() -> None:
    """Prevents a warm start from vectors of another width or without their outputs."""
    same = np.arange(SIZE, dtype=np.int32)
    catalog = Catalog.anonymous(SIZE)
    old = words(epochs=1).fit(block_playlists(), catalog, seed=1)
    with pytest.raises(DataError, match="vector_size = 8, found 16"):
        words(vector_size=8).start_from(old, same, epochs=1)
    with pytest.raises(DataError, match="engine compiled before and gensim now"):
        words(engine="gensim").start_from(old, same, epochs=1)
    by_gensim = words(epochs=1, engine="gensim").fit(block_playlists(), catalog, seed=1)
    with pytest.raises(DataError, match="engine gensim before and compiled now"):
        words().start_from(by_gensim, same, epochs=1)
    arrays = by_gensim._arrays()
    older = words(engine="gensim")
    older.size = SIZE
    older._restore({"items": arrays["items"], "vectors": arrays["vectors"]})
    with pytest.raises(DataError, match="engine gensim before and compiled now"):
        words().start_from(older, same, epochs=1)
    with pytest.raises(ValueError, match="expected 1 to 30 epochs, found 31"):
        words().start_from(old, same, epochs=31)


def test_skip_gram_pair_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a gradient with the wrong sign or label, of the wrong matrix, or of vectors too old."""
    always_1 = np.full(2, 1, np.uint64)
    monkeypatch.setattr(word2vec_training, "_noise", lambda plays, exponent: always_1)
    inputs, contexts = train(
        PAIR, EVERYTHING, START, CONTEXTS, one_epoch(skipgram=True), seed=1,
        after_epoch=lambda done: None,
    )  # fmt: skip
    x, t = START.astype(float), CONTEXTS.astype(float)
    # Item 1 predicts item 0, and not 1, which is noise; then item 0 predicts 1, whose noise is skipped.
    wanted, noise = 0.5 * (1 - sigmoid(x[1] @ t[0])), 0.5 * (0 - sigmoid(x[1] @ t[1]))
    t0, t1 = t[0] + wanted * x[1], t[1] + noise * x[1]
    x1 = x[1] + wanted * t[0] + noise * t[1]
    then = 0.5 * (1 - sigmoid(x[0] @ t1))
    assert inputs == pytest.approx(np.array([x[0] + then * t1, x1]), abs=0.003)
    assert contexts == pytest.approx(np.array([t0, t1 + then * x[0]]), abs=0.003)


def test_skip_gram_learns_the_blocks() -> None:
    """Prevents skip-gram that trains without learning which items belong together."""
    model = fitted("word2vec", block_playlists(), engine="compiled", sg=1, query="last", epochs=30)
    items, _ = model.recommend(PlaylistSet.from_lists([[i] for i in range(SIZE)]), 5)
    assert (items // 15 == np.arange(SIZE)[:, None] // 15).mean() > 0.8  # 1/6 by chance


@pytest.mark.parametrize("sg", [0, 1])
@pytest.mark.parametrize("window", [2, 100])
def test_one_track_on_repeat(window: int, sg: int) -> None:
    """Prevents vectors that overflow where a playlist is one track for hours."""
    loops = PlaylistSet.from_lists([[i] * 2_500 for i in range(4)] + [[0, 1, 2, 3]] * 10)
    model = words(epochs=30, alpha=0.05, window=window, sg=sg).fit(
        loops, Catalog.anonymous(4), seed=1
    )
    assert np.isfinite(vectors(model)).all()
