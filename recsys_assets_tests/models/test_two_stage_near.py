"""What of a query stands near a candidate's plays: the same, walked play by play in Python."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from recsys_assets.models.two_stage_features import FEATURES, FeatureIndex
from recsys_assets.models.two_stage_kernels import MARKS as ARTIST_MARKS
from recsys_assets.models.two_stage_kernels import MOST_OCCURRENCES
from recsys_assets.models.two_stage_near_kernels import FIRST_SLOTS, MARKS
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
    # Each candidate stands once, near both: what came before the table grew is added to afterwards.
    candidates = np.arange(2, 2 + 3 * MOST_OCCURRENCES, dtype=np.int32)
    assert len(candidates) > FIRST_SLOTS
    train = PlaylistSet.from_lists([[0, *three, 1] for three in candidates.reshape(-1, 3).tolist()])
    alone = np.arange(2 + len(candidates), dtype=np.int32)
    index = FeatureIndex.build(train, alone, alone, alone)
    rows = index.features(
        PlaylistSet.from_lists([[0, 1]]), np.array([0, len(candidates)]), candidates
    )
    for name in ("near_mean", "near_most"):
        assert rows[:, FEATURES.index(name)] == pytest.approx(1 + 2**-0.5)


def test_candidates_of_another_query_do_not_count() -> None:
    """Prevents what stands near a query from counting for a row of the query before."""
    other = 5 + 8 * MARKS  # with the mark of 5: without it, its row would not be asked for
    train = PlaylistSet.from_lists([[0, other], [0, 1, 5]])
    alone = np.arange(other + 1, dtype=np.int32)
    index = FeatureIndex.build(train, alone, alone, alone)
    rows = index.features(
        PlaylistSet.from_lists([[1], [0]]), np.array([0, 2, 3]), np.array([5, other, 5], np.int32)
    )
    assert rows[:, FEATURES.index("near_mean")].tolist() == [1, 0, 1]
    rows = index.features(
        PlaylistSet.from_lists([[1], [0]]), np.array([0, 1, 2]), np.array([other, 5], np.int32)
    )
    assert rows[:, FEATURES.index("near_mean")].tolist() == [0, 1]


def test_items_with_the_same_mark() -> None:
    """Prevents an item from counting as near because its number ends like that of another one."""
    other = 5 + max(ARTIST_MARKS, 8 * MARKS)
    train = PlaylistSet.from_lists([[other, 1], [5, 2], [1, 2 + 8 * MARKS]])
    alone = np.arange(other + 1, dtype=np.int32)
    index = FeatureIndex.build(train, alone, alone, alone)
    queries = PlaylistSet.from_lists([[5], [other], [5, other]])
    rows = index.features(queries, np.arange(4) * 2, np.array([1, 2] * 3, np.int32))
    for name in ("near_mean", "near_artists_mean"):  # of item 1's two plays one is near
        near = rows[:, FEATURES.index(name)]
        assert near.tolist() == pytest.approx([0, 1, 1 / 2, 0, 1 / 2, 2**-0.5])
