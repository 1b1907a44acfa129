"""Which test playlists decide between a new version and the champion: none that either has seen."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.evaluation.comparable import FEWEST, TrainedOn, comparable
from recsys_assets.evaluation.promotion import decide_uncompared
from recsys_assets.preparation.split import SplitRule

BY_HASH = TrainedOn.by(SplitRule("salt"), None)
BY_TIME = TrainedOn.by(SplitRule("salt", kind="temporal"), np.array([5, 9, 7]))


def test_same_hash_split_compares_all() -> None:
    """Prevents refreshes of growing data from losing test playlists."""
    found = comparable(BY_HASH, BY_HASH, 4, None)
    assert found.rows.tolist() == [0, 1, 2, 3]
    assert found.why_not is None


@pytest.mark.parametrize(
    ("new", "champion", "expected"),
    [
        (BY_HASH, None, "does not say"),
        (BY_HASH, replace(BY_HASH, salt="other"), "may have seen"),
        (replace(BY_HASH, test_size=0.2), BY_HASH, "test size 0.1.*test size 0.2"),
        (BY_HASH, BY_TIME, "temporal split by started_at up to 1970-01-01.*hash split"),
        (BY_TIME, BY_HASH, "hash split.*temporal split"),
        (replace(BY_TIME, time="playlist_id"), BY_TIME, "may have seen"),
    ],
)
def test_other_splits_are_not_compared(
    new: TrainedOn, champion: TrainedOn | None, expected: str
) -> None:
    """Prevents a champion from winning on playlists that it was trained on."""

    found = comparable(new, champion, 100, np.arange(100) + 1000)
    assert len(found.rows) == 0
    assert re.search(expected, found.why_not or "")


def test_a_smaller_test_side_of_the_same_hash_is_unseen() -> None:
    """Prevents a refusal where none is needed: the last 5 % are within the champion's last 10 %."""
    assert comparable(replace(BY_HASH, test_size=0.05), BY_HASH, 3, None).why_not is None


@given(st.lists(st.integers(0, 60), min_size=0, max_size=120), st.integers(0, 60))
def test_only_later_playlists_are_compared(times: list[int], until: int) -> None:
    """Prevents a comparison on playlists that are as old as the champion's training."""
    champion = replace(BY_TIME, until=until)
    found = comparable(BY_TIME, champion, len(times), np.array(times, np.int64))
    later = [row for row, time in enumerate(times) if time > until]
    if len(later) < FEWEST:
        assert len(found.rows) == 0
        assert f"only {len(later)} of {len(times)}" in (found.why_not or "")
    else:
        assert found.rows.tolist() == later


def test_text_keeps_everything() -> None:
    """Prevents a version from telling another training than its own."""
    assert BY_TIME.until == 9
    assert TrainedOn.from_json(BY_TIME.to_json()) == BY_TIME
    assert TrainedOn.from_json(BY_HASH.to_json()) == BY_HASH


def test_decision_without_a_comparison() -> None:
    """Prevents `strict` from promoting what was not shown to be better."""
    default = decide_uncompared("other splits", policy="default")
    strict = decide_uncompared("other splits", policy="strict")
    assert (default.promote, strict.promote) == (True, False)
    assert "other splits" in default.reason
    assert "other splits" in strict.reason
