"""What of a query stands near a candidate's plays: the same, walked play by play in Python."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from recsys_assets.models.two_stage_features import FEATURES, FeatureIndex
from recsys_assets.models.two_stage_kernels import MOST_OCCURRENCES
from recsys_assets.models.two_stage_near_kernels import FIRST_SLOTS
from recsys_assets.playlists import MISSING, PlaylistSet


def test_items_of_the_query_with_very_many_plays_are_a_sample() -> None:
    """Prevents a sampled play from counting once, or the sum near one play from growing by it."""
    plays = 2 * MOST_OCCURRENCES + 2  # looked at every third, from the first on
    train = PlaylistSet.from_lists([[0, 1, 2]] * plays)
    alone = np.arange(3, dtype=np.int32)
    index = FeatureIndex.build(train, alone, alone, alone)
    rows = index.features(
        PlaylistSet.from_lists([[0, 1]]), np.array([0, 1]), np.array([2], np.int32)
    )
    looked = -(-plays // 3) * 3
    near = (1 + 2**-0.5) * looked / plays
    assert rows[0, FEATURES.index("near_mean")] == pytest.approx(near)
    assert rows[0, FEATURES.index("near_most")] == pytest.approx(1 + 2**-0.5)


def near_by_walking(
    train: PlaylistSet, query: list[int], candidate: int, reach: int = 3
) -> tuple[float, float]:
    """Return near_mean and near_most as their names say it, play by play."""
    weights: dict[int, float] = {}
    for distance, item in enumerate(reversed(query), 1):
        if item != MISSING:
            weights.setdefault(item, distance**-0.5)
    sums = []
    for begin, end in pairwise(train.offsets.tolist()):
        playlist = train.items[begin:end].tolist()
        for place, item in enumerate(playlist):
            if item == candidate:
                near = playlist[max(place - reach, 0) : place] + playlist[place + 1 :][:reach]
                sums.append(sum(weights.get(other, 0.0) for other in near))
    return sum(sums) / max(len(sums), 1), max(sums, default=0.0)


@examples(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=14), min_size=1, max_size=60),
    st.lists(st.lists(st.sampled_from([MISSING, 0, 1, 2, 3]), max_size=6), min_size=1, max_size=4),
    st.integers(0, 2),
)
def test_near_features_play_by_play(
    lists: list[list[int]], queries: list[list[int]], bits: int
) -> None:
    """Prevents a place near two of the query's plays from counting as two."""
    train = PlaylistSet.from_lists(lists)
    alone = np.arange(12, dtype=np.int32)
    index = FeatureIndex.build(train, alone, alone, alone)
    candidates = np.array([4, 5, 6, 7, 8, 9, 10, 11], np.int32)[bits:]
    count = len(candidates)
    rows = index.features(
        PlaylistSet.from_lists(queries),
        np.arange(len(queries) + 1) * count,
        np.tile(candidates, len(queries)),
    )
    for number, query in enumerate(queries):
        for at, candidate in enumerate(candidates.tolist()):
            found = rows[number * count + at]
            mean, most = near_by_walking(train, query, candidate)
            assert found[FEATURES.index("near_mean")] == pytest.approx(mean, rel=1e-6)
            assert found[FEATURES.index("near_most")] == pytest.approx(most, rel=1e-6)


def test_table_of_places_grows() -> None:
    """Prevents sums that are lost when the table of places near the query's plays is doubled."""
    rng = np.random.default_rng(1)
    lists = [[0, *rng.integers(2, 400, 6).tolist(), 1] for _ in range(3 * FIRST_SLOTS)]
    train = PlaylistSet.from_lists(lists)
    alone = np.arange(400, dtype=np.int32)
    index = FeatureIndex.build(train, alone, alone, alone)
    candidates = np.arange(2, 400, dtype=np.int32)
    rows = index.features(PlaylistSet.from_lists([[0, 1]]), np.array([0, 398]), candidates)
    assert (rows[:, FEATURES.index("near_mean")] > 0).all()
    small = PlaylistSet.from_lists(lists[:MOST_OCCURRENCES])
    index = FeatureIndex.build(small, alone, alone, alone)
    rows = index.features(PlaylistSet.from_lists([[0, 1]]), np.array([0, 398]), candidates)
    for candidate in (2, 77, 399):
        mean, most = near_by_walking(small, [0, 1], candidate)
        assert rows[candidate - 2, FEATURES.index("near_mean")] == pytest.approx(mean, rel=1e-6)
        assert rows[candidate - 2, FEATURES.index("near_most")] == pytest.approx(most, rel=1e-6)
