"""A forest scores many rows at once as walking its trees does, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.models import two_stage_ranker
from recsys_assets.models.quick_forest import MOST_LEAVES, QuickForest
from recsys_assets.models.two_stage_ranker import Trees

WIDTH = 5


def grown(leaves: list[int], rng: np.random.Generator, cuts: np.ndarray) -> Trees:
    """Return a forest of random trees with so many leaves each."""
    forest = Trees.none()
    for count in leaves:
        left, right = np.empty((2, count - 1), np.int32)
        nodes = [-1 - leaf for leaf in range(count)]
        for split in range(count - 1):  # joins two of what is there, the last split is the root
            first, second = rng.permutation(len(nodes))[:2]
            left[split], right[split] = nodes[first], nodes[second]
            nodes = [node for at, node in enumerate(nodes) if at not in (first, second)] + [split]
        one = Trees(
            np.array(nodes, np.int32),
            rng.integers(0, WIDTH, count - 1).astype(np.int32),
            rng.choice(cuts, count - 1),
            left,
            right,
            rng.normal(size=count),
        )
        forest = forest.joined(one)
    return forest


def walked(trees: Trees, rows: np.ndarray) -> np.ndarray:
    """Score by following every tree from its root."""
    out = np.empty(len(rows))
    two_stage_ranker._score_rows(
        rows, trees.roots, trees.features, trees.thresholds, trees.left, trees.right, trees.leaves, out
    )  # fmt: skip
    return out


@given(
    leaves=st.lists(st.integers(1, MOST_LEAVES), max_size=6),
    rows=st.integers(0, 40),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=80, deadline=None)
def test_equals_walking(leaves: list[int], rows: int, seed: int) -> None:
    """A leaf mistaken, or a sum in another order, would rank by what nobody has learned."""
    rng = np.random.default_rng(seed)
    # Values that are thresholds, that lie just beside them, and thresholds no float32 can hold.
    single = rng.normal(size=6).astype(np.float32)
    cuts = np.concatenate([single, single + 1e-9, single - 1e-9, [0.1, 1e300, -1e300]])
    beside = np.concatenate([single, np.nextafter(single, np.float32(9)), np.float32([0.1, 0.0])])
    trees = grown(leaves, rng, cuts)
    values = rng.choice(beside, (rows, WIDTH + 2)).astype(np.float32)
    quick = QuickForest.of(**trees.arrays())
    assert quick is not None
    assert quick.score(values).tobytes() == walked(trees, values).tobytes()
    assert trees.score(values).tobytes() == walked(trees, values).tobytes()


def test_by_hand() -> None:
    """A tree of three leaves, and one that is a leaf alone."""
    first = Trees(
        roots=np.array([0], np.int32),
        features=np.array([0, 1], np.int32),
        thresholds=np.array([0.5, 2.0]),
        left=np.array([-1, -2], np.int32),
        right=np.array([1, -3], np.int32),
        leaves=np.array([1.0, 10.0, 100.0]),
    )
    forest = first.joined(
        Trees(
            np.array([-1], np.int32),
            np.empty(0, np.int32),
            np.empty(0),
            np.empty(0, np.int32),
            np.empty(0, np.int32),
            np.array([0.25]),
        )
    )
    rows = np.array([[0.5, 9], [0.6, 2], [0.6, 2.1]], np.float32)
    assert forest.score(rows).tolist() == [1.25, 10.25, 100.25]


@pytest.mark.parametrize("rightwards", [True, False])
def test_every_leaf_of_the_largest_tree(rightwards: bool) -> None:
    """More leaves than a word has bits would send rows of the last one anywhere."""
    splits = np.arange(MOST_LEAVES - 1, dtype=np.int32)
    leaf, after = -1 - splits, splits + 1
    after[-1] = -MOST_LEAVES
    trees = Trees(
        np.array([0], np.int32),
        splits,
        np.zeros(len(splits)),
        leaf if rightwards else after,
        after if rightwards else leaf,
        np.arange(MOST_LEAVES, dtype=np.float64),
    )
    # Row r follows the chain past r splits.
    onward = np.arange(MOST_LEAVES)[:, None] > splits
    rows = np.where(onward == rightwards, 1, -1).astype(np.float32)
    quick = QuickForest.of(**trees.arrays())
    assert quick is not None
    assert quick.masks.itemsize * 8 >= MOST_LEAVES
    assert quick.score(rows).tolist() == list(range(MOST_LEAVES))


def test_large_trees_are_walked() -> None:
    """A tree of more leaves than a word has bits must not lose some."""
    rng = np.random.default_rng(1)
    trees = grown([MOST_LEAVES + 1, 3], rng, rng.normal(size=50))
    assert QuickForest.of(**trees.arrays()) is None
    rows = rng.normal(size=(50, WIDTH)).astype(np.float32)
    assert trees.score(rows).tobytes() == walked(trees, rows).tobytes()
