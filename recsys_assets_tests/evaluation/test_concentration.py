"""Coverage and Gini: by hand, against the definition, and with intervals that hold the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.evaluation import concentration
from recsys_assets.evaluation.concentration import coverage_and_gini
from recsys_assets.playlists import MISSING, Int32

COUNTS = np.array([10, 5, 3, 1, 1, 0], np.int64)  # item 5 was never seen in training


def by_definition(items: Int32, counts: np.ndarray) -> tuple[float, float]:
    """Coverage, and half the relative mean absolute difference of all pairs."""
    flat = items.ravel().tolist()
    shown = [flat.count(item) for item in np.flatnonzero(counts)]
    if not sum(shown):
        return 0.0, 0.0
    spread = sum(abs(a - b) for a in shown for b in shown)
    return sum(one > 0 for one in shown) / len(shown), spread / (2 * len(shown) * sum(shown))


def test_by_hand() -> None:
    """Prevents wrong shares: 2 of 5 trained items shown, 3 times and once."""
    items = np.array([[0, 1], [0, MISSING], [0, MISSING]], np.int32)
    coverage, gini = coverage_and_gini(items, COUNTS, seed=0)
    assert coverage.value == pytest.approx(2 / 5)
    assert gini.value == pytest.approx(28 / (2 * 5 * 4))  # |a - b| over pairs of 0 0 0 1 3: 28


def test_extremes() -> None:
    """Prevents a Gini that is not 0 for equal shares, nor near 1 for a single item."""
    counts = np.ones(50, np.int64)
    coverage, gini = coverage_and_gini(np.arange(50, dtype=np.int32).reshape(5, 10), counts, seed=0)
    assert (coverage.value, gini.value) == (1, 0)
    coverage, gini = coverage_and_gini(np.full((5, 1), 7, np.int32), counts, seed=0)
    assert (coverage.value, gini.value) == (pytest.approx(1 / 50), pytest.approx(49 / 50))


def test_nothing_recommended_is_no_coverage() -> None:
    """Prevents a division by zero where the catalogue is used up by the queries."""
    coverage, gini = coverage_and_gini(np.full((3, 3), MISSING, np.int32), COUNTS, seed=0)
    assert (coverage, gini) == ((0, 0, 0), (0, 0, 0))


def test_one_playlist_has_no_interval() -> None:
    """Prevents an interval that nothing supports."""
    coverage, gini = coverage_and_gini(np.array([[0, 1]], np.int32), COUNTS, seed=0)
    assert coverage == (pytest.approx(0.4), None, None)
    assert gini.low is None
    assert gini.high is None


answers = st.integers(2, 6).flatmap(
    lambda n: st.lists(
        st.permutations([0, 1, 2, 3, 4, 5, MISSING]).map(lambda row: row[:3]),
        min_size=n,
        max_size=n,
    )
)


@given(answers, st.integers(0, 3))
def test_agrees_with_the_definition(rows: list[list[int]], seed: int) -> None:
    """Prevents the histogram's shortcut, or the groups', from differing from the definition."""
    items = np.array(rows, np.int32)
    trained = np.where(items == 5, MISSING, items)
    figures = coverage_and_gini(items, COUNTS, seed=seed)
    left_out = np.array(
        [by_definition(np.delete(trained, one, axis=0), COUNTS) for one in range(len(rows))]
    )
    for found, value, others in zip(
        figures, by_definition(trained, COUNTS), left_out.T, strict=True
    ):
        assert found.value == pytest.approx(value)
        n = len(rows)  # fewer playlists than groups: each is a group of its own
        error = ((n - 1) / n * ((others - others.mean()) ** 2).sum()) ** 0.5
        assert found.low == pytest.approx(max(value - 1.95996 * error, 0), abs=1e-5)
        assert found.high == pytest.approx(min(value + 1.95996 * error, 1), abs=1e-5)


def test_groups_are_left_out_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents groups from sharing playlists, and an item shown twice to a group from staying."""
    monkeypatch.setattr(concentration, "GROUPS", 3)
    generator = np.random.default_rng(0)
    items = np.array([generator.permutation(300)[:4] for _ in range(40)], np.int32)
    items[:20, 0] = 299
    counts = np.ones(300, np.int64)
    group_of = np.random.default_rng(4).permutation(40) % 3
    left_out = np.array([by_definition(items[group_of != one], counts) for one in range(3)])
    for found, others in zip(coverage_and_gini(items, counts, seed=4), left_out.T, strict=True):
        error = (2 / 3 * ((others - others.mean()) ** 2).sum()) ** 0.5
        assert 0 < found.low < found.high < 1
        assert found.high - found.low == pytest.approx(2 * 1.95996 * error, abs=1e-6)


def test_intervals_hold_the_expected_value() -> None:
    """Prevents intervals that miss the truth, as the percentile bootstrap's do every time."""
    generator = np.random.default_rng(5)
    weights = 1 / np.arange(1, 401)
    ranking = np.cumsum(weights) / weights.sum()
    counts = np.ones(400, np.int64)

    def figures() -> tuple[concentration.Share, concentration.Share]:
        items = np.searchsorted(ranking, generator.random((150, 5))).astype(np.int32)
        return coverage_and_gini(items, counts, seed=0)

    samples = [figures() for _ in range(200)]
    for one in (0, 1):
        truth = np.mean([sample[one].value for sample in samples])
        held = np.mean([sample[one].low <= truth <= sample[one].high for sample in samples])
        assert held >= 0.93
        widths = [sample[one].high - sample[one].low for sample in samples]
        spread = np.std([sample[one].value for sample in samples])
        assert np.mean(widths) < 2 * 1.96 * 2 * spread  # not so wide that it says nothing
