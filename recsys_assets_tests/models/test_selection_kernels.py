"""Property tests of the kernels that pick the best of many scores, against numpy's sorting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.models.neighbour_kernels import _keep_best
from recsys_assets.models.selection_kernels import FEW, least_of_best, take_best

SIZES = st.one_of(st.integers(1, 60), st.integers(FEW - 2, FEW + 3), st.integers(FEW, 3 * FEW))
SCORES = st.sampled_from(["spread", "tied", "equal", "zeros", "extreme"])


def scores_of(kind: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return float32[size] of 0 or more."""
    if kind == "spread":
        return rng.gamma(0.5, 1.0, size).astype(np.float32)
    if kind == "tied":
        return rng.integers(0, 4, size).astype(np.float32)
    if kind == "equal":
        return np.full(size, 0.3, np.float32)
    if kind == "zeros":
        return np.zeros(size, np.float32)
    return rng.choice(np.array([0.0, 1e-45, 1.0, 3.4e38, np.inf], np.float32), size)


@given(size=SIZES, kind=SCORES, share=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_the_least_of_the_best(size: int, kind: str, share: float, seed: int):
    """Prevents a cut that lets too many or too few in, at few scores and at many."""
    values = scores_of(kind, size, np.random.default_rng(seed))
    room = max(1, round(share * size))
    before = values.copy()
    assert least_of_best(values, size, room) == np.sort(values)[size - room]
    assert (values == before).all()


@given(size=SIZES, kind=SCORES, share=st.floats(0, 1.2), seed=st.integers(0, 2**32 - 1))
def test_what_is_kept_is_what_sorting_keeps(size: int, kind: str, share: float, seed: int):
    """Prevents rows that lose a better neighbour, or of equal ones keep others than the smallest."""
    rng = np.random.default_rng(seed)
    values = scores_of(kind, size, rng)
    entries = rng.permutation(3 * size)[:size].astype(np.int32)
    room = round(share * size)
    order = np.lexsort((entries, -values))[:room]
    expected = dict(zip(entries[order].tolist(), values[order].tolist(), strict=True))
    kept = _keep_best(values, entries, size, room)
    assert kept == len(expected)
    assert dict(zip(entries[:kept].tolist(), values[:kept].tolist(), strict=True)) == expected


@pytest.mark.parametrize("size", [3, FEW, FEW + 1])
def test_the_best_come_in_order(size: int):
    """Prevents an order that hangs on which way the cut was found."""
    rng = np.random.default_rng(size)
    values = rng.integers(0, 5, size).astype(np.float32)
    entries = rng.permutation(size).astype(np.int32)
    order = np.lexsort((entries, -values))[:4]
    out_entries, out_values = np.empty(4, np.int32), np.empty(4, np.float32)
    found = take_best(values.copy(), entries.copy(), size, out_entries, out_values)
    assert found == min(4, size)
    assert out_entries[:found].tolist() == entries[order].tolist()
    assert out_values[:found].tolist() == values[order].tolist()
