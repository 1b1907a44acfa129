"""Limits on the neighbours of each item."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import DataError
from recsys_assets.models.rows import BYTES_PER_NEIGHBOUR, row_limits

PER_MB = 2**20 // BYTES_PER_NEIGHBOUR


def test_all_keep_their_neighbours_where_they_fit() -> None:
    """Prevents small data from losing neighbours to the memory of large data."""
    limits = row_limits(np.array([5, 1, 0]), np.array([300, 40, 0]), 100, 1, "family")
    assert limits.tolist() == [100, 40, 0]


def test_rarely_played_items_keep_fewer() -> None:
    """Prevents a catalogue of rare tracks from taking more memory than it was given."""
    # One item of 500 plays and 20,000 of one: 12 neighbours a play are 400 + 240,000 entries.
    plays = np.concatenate([[500], np.ones(20_000)]).astype(np.int64)
    pairs = np.full(20_001, 60)
    pairs[0] = 30_000
    limits = row_limits(plays, pairs, 400, 1, "family")
    per_play = (PER_MB - 400) // 20_000
    assert limits[0] == 400
    assert set(limits[1:].tolist()) == {per_play} == {6}


def test_too_little_memory_is_refused_with_what_is_needed() -> None:
    """Prevents a model without neighbours, and a message that does not help."""
    plays = np.ones(2 * PER_MB + 1, np.int64)
    with pytest.raises(DataError, match=r"memory_mb = 1 .* set memory_mb to 3 or more"):
        row_limits(plays, plays * 10, 400, 1, "cooccurrence")


@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=200),
    st.integers(1, 400),
    st.integers(1, 3),
)
def test_limits_fit_and_never_rise_with_rarity(plays: list[int], most: int, memory_mb: int) -> None:
    """Prevents limits that exceed the memory, or that favour rare items."""
    seen = np.sort(np.array(plays, np.int64) * 50)[::-1]
    try:
        limits = row_limits(seen, seen * 60, most, memory_mb, "family")
    except DataError:
        assert np.minimum(seen, most).sum() > memory_mb * PER_MB
        return
    assert limits.sum() <= memory_mb * PER_MB
    assert (np.diff(limits) <= 0).all()
    assert (limits <= most).all()
