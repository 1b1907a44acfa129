"""Skip-gram's blocks of four items and six output rows: the arithmetic, in numpy beside it."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.models import word2vec_products, word2vec_training, word2vec_vectors
from recsys_assets.models.word2vec_draws import GOLDEN, LARGEST, below, drawn, mixed
from recsys_assets.models.word2vec_products import MEMBERS, SHARE, TARGETS, slopes
from recsys_assets.models.word2vec_training import LONGEST, Schedule, train
from recsys_assets.models.word2vec_vectors import LANES, Width, fast_kernel
from recsys_assets.playlists import Float32, Float64, Int32, PlaylistSet


# Else numba's cache would go on testing an earlier version of `slopes`.
@partial(fast_kernel, helpers=(word2vec_products, word2vec_vectors))
def slopes_of(
    width: Width, group: Width, out: Float32, vectors: Float32, members: Int32, ones: Float32
) -> None:
    """Compile `slopes` by itself: products with row 0, label 0, rate 1."""
    slopes(width, group, out, np.float32(LARGEST), vectors, members, vectors, 0, ones[1:], ones, 0)


def test_slopes_are_the_sigmoid_within_the_limit() -> None:
    """Prevents a polynomial that is off, learning beyond the limit, and from what is no number."""
    x = np.array([-5.9999, -0.7, 0.0, 3.3, 6.0, -6.0, np.nan, np.inf], np.float32)
    ones = np.array([[1.0] * LANES, [0.0] * LANES], np.float32)
    found = []
    for part in (x[:4], x[4:]):
        vectors = np.zeros((1 + MEMBERS, LANES), np.float32)
        vectors[0, 3], vectors[1:, 3] = 1.0, part
        out = np.empty((MEMBERS * SHARE // LANES, LANES), np.float32)
        members = np.arange(1, 1 + MEMBERS, dtype=np.int32)
        slopes_of((0,), (0,), out, vectors, members, ones)
        found += out.ravel()[::SHARE].tolist()
    assert found[:4] == pytest.approx((-1 / (1 + np.exp(-x[:4]))).tolist(), abs=1e-6)
    assert found[4:] == [0.0] * 4


def by_pairs(
    sentence: list[int], inputs: Float32, schedule: Schedule, plays: list[int], seed: int
) -> tuple[Float64, Float64]:
    """Learn one sentence once as `train` does, from its draws, one pair after the other."""
    x, y = inputs.astype(np.float64), np.zeros(inputs.shape)
    noise = word2vec_training._noise(np.array(plays), schedule.ns_exponent)
    key = np.uint64(np.random.default_rng(seed).integers(2**63))
    with np.errstate(over="ignore"):
        state = np.uint64(mixed(key ^ np.uint64(mixed(GOLDEN)))) + GOLDEN * np.uint64(len(sentence))

        def draw() -> np.uint64:
            nonlocal state
            state = np.uint64(state + GOLDEN)
            return np.uint64(mixed(state))

        noises = [[drawn(noise, draw()) for _ in range(schedule.negative)] for _ in sentence]
        for at, middle in enumerate(sentence):
            reach = 1 + below(schedule.window, draw())
            nearby = sentence[max(at - reach, 0) : at + reach + 1]
            items = [item for item in nearby if item != middle]
            targets = list(dict.fromkeys([middle, *noises[at]]))
            blocks = -(-(1 + schedule.negative) // TARGETS)
            most = -(-(1 + schedule.negative) // blocks)
            for four in range(0, len(items), MEMBERS):
                members = items[four : four + MEMBERS]
                for low in range(0, len(targets), most):
                    block = targets[low : low + most]
                    before_x, before_y = x.copy(), y.copy()
                    for item in members:
                        for target in block:
                            product = before_x[item] @ before_y[target]
                            slope = schedule.alpha * (
                                float(target == middle) - 1 / (1 + np.exp(-product))
                            )
                            x[item] += slope * before_y[target]
                            y[target] += slope * before_x[item]
    return x, y


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 8), min_size=1, max_size=30),
    st.sampled_from([1, 2, 7, 40]),
    st.sampled_from([(1, 5), (5, 20), (6, 16), (17, 5)]),
    st.integers(0, 1_000),
)
def test_blocks_are_pairs(
    sentence: list[int], window: int, shape: tuple[int, int], seed: int
) -> None:
    """Prevents a lost, doubled or misplaced product: fewer than four items, more than six rows,
    an item twice among the four, noise drawn twice, a width that is no whole block."""
    negative, size = shape
    plays = [1 + sentence.count(item) for item in range(9)]
    schedule = Schedule(True, window, negative, 1, 0.1, 0.0, 0.75)
    inputs = 8 * word2vec_training.random_vectors(9, size, seed=seed)
    found = train(
        PlaylistSet.from_lists([sentence]), np.array(plays), inputs, np.zeros_like(inputs),
        schedule, seed=seed, after_epoch=lambda done: None,
    )  # fmt: skip
    assert len(sentence) <= LONGEST
    for mine, expected in zip(
        found, by_pairs(sentence, inputs, schedule, plays, seed), strict=True
    ):
        assert mine == pytest.approx(expected, abs=5e-5)
