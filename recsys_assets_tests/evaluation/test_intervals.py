"""Bootstrap intervals: repeatable, honest in width, and paired where models are compared."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import DataError
from recsys_assets.evaluation.intervals import mean_interval, paired_difference
from recsys_assets.evaluation.promotion import decide


def test_width_is_that_of_the_normal_approximation() -> None:
    """Prevents intervals that are too narrow or too wide."""
    values = (np.random.default_rng(1).random(2000) < 0.2).astype(float)
    mean, low, high = mean_interval(values, seed=0)
    half = 1.96 * (mean * (1 - mean) / 2000) ** 0.5
    assert mean == values.mean()
    assert low == pytest.approx(mean - half, abs=0.1 * half)
    assert high == pytest.approx(mean + half, abs=0.1 * half)


def test_covers_the_truth_about_95_times_in_100() -> None:
    """Prevents an interval that is called 95 % and is not."""
    generator = np.random.default_rng(2)
    covered = 0
    for trial in range(300):
        _, low, high = mean_interval((generator.random(200) < 0.3) * 1.0, seed=trial)
        covered += low <= 0.3 <= high
    assert 0.90 <= covered / 300 <= 0.985


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 5))
def test_contains_the_mean(values: list[float], seed: int) -> None:
    """Prevents an interval beside its own value."""
    mean, low, high = mean_interval(np.array(values), seed=seed)
    assert low - 1e-9 <= mean <= high + 1e-9 or len(set(values)) > 1
    assert mean == pytest.approx(sum(values) / len(values))
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents the interval from depending on how much memory a block may use."""
    values = np.random.default_rng(3).random(1500)
    whole = mean_interval(values, seed=7)
    monkeypatch.setattr("recsys_assets.evaluation.intervals._BLOCK_DRAWS", 5000)
    assert mean_interval(values, seed=7) == whole


def test_same_bits_whatever_the_threads() -> None:
    """Prevents figures that differ between a laptop and a server."""
    program = (
        "import numpy as np; from recsys_assets.evaluation.intervals import mean_interval;"
        "v = np.random.default_rng(0).random(3000);"
        "print([x.hex() for v in (v, v < 0.2) for x in mean_interval(v * 1.0, seed=1)])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            capture_output=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(outputs) == 1


def test_nothing_to_measure_is_an_error() -> None:
    """Prevents a figure from nothing."""
    with pytest.raises(DataError, match="at least one held-out playlist"):
        mean_interval(np.empty(0), seed=0)


def test_one_playlist_has_an_interval_of_no_width() -> None:
    """Prevents a failure on the smallest possible input."""
    assert mean_interval(np.array([0.5]), seed=0) == (0.5, 0.5, 0.5)


def test_pairing_sees_what_separate_intervals_hide() -> None:
    """Prevents comparing two models as if they were measured on different playlists."""
    generator = np.random.default_rng(4)
    b = (generator.random(1000) < 0.3).astype(float)
    a = b.copy()
    a[np.flatnonzero(a == 0)[:20]] = 1  # better on 20 playlists, worse on none
    _, low, high = paired_difference(a, b, seed=0)
    assert 0 < low < 0.02 < high
    with pytest.raises(ValueError, match="different playlists"):
        paired_difference(a, b[1:], seed=0)


@pytest.mark.parametrize(
    ("gain", "default", "strict"), [(0.1, True, True), (0.0, True, False), (-0.1, False, False)]
)
def test_promotion(gain: float, default: bool, strict: bool) -> None:
    """Prevents a significantly worse version from becoming champion, under either policy."""
    champion = np.tile([1.0, 0.0], 500)
    new = champion.copy()
    changed = int(abs(gain) * 1000)
    new[np.flatnonzero(champion == (0 if gain > 0 else 1))[:changed]] = 1.0 if gain > 0 else 0.0
    for policy, expected in (("default", default), ("strict", strict)):
        decision = decide(new, champion, policy=policy, seed=0)
        assert decision.promote is expected
        assert decision.difference == pytest.approx(gain)


def test_first_version_is_promoted() -> None:
    """Prevents a registry without a champion for ever."""
    assert decide(np.zeros(3), None, policy="strict", seed=0).promote
