"""The second stage: features by hand, honest examples, the order beyond."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from recsys_assets.errors import StorageError
from recsys_assets.models.base import Recommender
from recsys_assets.models.folds import truncated
from recsys_assets.models.pools import Pool, merge
from recsys_assets.models.two_stage import COLUMNS, TwoStage, TwoStageParameters, _sampled
from recsys_assets.models.two_stage_context import CONTEXT, context
from recsys_assets.models.two_stage_features import FEATURES, FeatureIndex
from recsys_assets.models.two_stage_kernels import NEVER
from recsys_assets.models.two_stage_latest import ALL_FEATURES, LatestIndex
from recsys_assets.models.two_stage_proposals import TOGETHER
from recsys_assets.models.two_stage_songs import song_numbers
from recsys_assets.playlists import MISSING, Catalog, PlaylistSet
from recsys_assets_tests.models.blocks import PARAMETERS, SIZE, block_playlists, fitted

# Items 0 and 1 are of artist 0, 2 of artist 1, 3 of none; albums: 0 and 1 share one.
ARTISTS = np.array([0, 0, 1, MISSING], np.int32)
ALBUMS = np.array([0, 0, MISSING, MISSING], np.int32)
SONGS = np.array([0, 0, 2, 3], np.int32)
TRAIN = PlaylistSet.from_lists([[2, 0, 1], [0, 1, 3, 1], [3, 2]])


def features_of(query: list[int], candidates: list[int]) -> list[dict[str, float]]:
    index = LatestIndex.build(TRAIN, ARTISTS, ALBUMS, SONGS)
    rows = index.features(
        PlaylistSet.from_lists([query]),
        np.array([0, len(candidates)]),
        np.array(candidates, np.int32),
    )
    return [dict(zip(ALL_FEATURES, row.tolist(), strict=True)) for row in rows]


def test_features_by_hand() -> None:
    """Prevents counts off by one, in another column, or left over from the row before."""
    one, three = features_of([3, 2, 0], [1, 3])
    assert one["plays"] == pytest.approx(np.log(4))
    assert one["artist_plays"] == pytest.approx(np.log(6))
    assert one["share_of_artist"] == pytest.approx(3 / 5)
    assert one["share_of_best"] == 1.0
    assert one["mean_position"] == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert one["tail_share"] == 1.0
    assert one["mean_length"] == pytest.approx((3 + 4 + 4) / 3)
    assert one["after_own_artist"] == pytest.approx(2 / 3)  # not behind 3, which has no artist
    assert one["query_length"] == 3.0
    assert one["known_share"] == 1.0
    assert one["artists_share"] == 1.0
    assert one["run_mean"] == 1.0
    assert one["latest_plays"] == pytest.approx(np.log(3))  # three items of two plays each
    assert one["plays_gap"] == pytest.approx(np.log(4) - np.log(3))
    assert (one["artist_count"], one["artist_share"], one["artist_distance"]) == (1, 0.5, 1)
    assert (one["artist_run"], one["album_count"], one["album_distance"]) == (1, 1, 1)
    assert one["song_distance"] == 1.0
    assert (one["with_last"], one["next_of_last"], one["within_5_of_last"]) == (3, 2, 3)
    assert one["gap_to_last"] == 1.0
    assert (one["with_second"], one["within_3_of_second"]) == (1, 1)
    assert one["after_last_artist"] == 2.0
    assert one["shared_share"] == 1.0
    assert one["most_shared"] == 2.0
    rarity = np.log(4 / 3)  # every item of the query has two plays in three playlists
    first, second = rarity * (1 + 2**-0.8) / 3**0.4, rarity * (1 + 3**-0.8) / 4**0.4
    assert one["best_overlap"] == pytest.approx(first)
    assert one["mean_overlap"] == pytest.approx((first + 2 * second) / 3)
    last = rarity * (3**-0.8 + 2**-0.8) / 2**0.4  # of the third playlist, 3 and 2
    assert one["sharing_playlists"] == pytest.approx(np.log(4))
    assert one["highest_overlap"] == pytest.approx(max(first, second, last))
    assert one["share_of_highest"] == pytest.approx(first / max(first, second, last))
    assert one["share_of_overlap"] == pytest.approx((first + 2 * second) / (first + second + last))
    # Its three plays stand near 0 and 2; near 0 and 3; near 0 and 3: 0 is last, 2 second, 3 third.
    near = [1 + 2**-0.5, 1 + 3**-0.5, 1 + 3**-0.5]
    assert one["near_mean"] == pytest.approx(sum(near) / 3)
    assert one["near_most"] == pytest.approx(max(near))
    assert one["near_artists_mean"] == pytest.approx(2**-0.5 / 3)  # 2's; 0 is of its own artist
    assert one["near_artists_most"] == pytest.approx(2**-0.5)
    assert one["last_plays"] == pytest.approx(np.log(3))
    assert (one["with_last_share"], one["next_of_last_share"]) == (3 / 2, 2 / 2)
    assert one["with_second_share"] == 1 / 2
    # Steps of artists: 1 to 0 and 0 to 0 in the first playlist, 0 to 0 in the second.
    assert one["artist_step_share"] == pytest.approx(2 / 5)
    assert one["artist_steps"] == pytest.approx(np.log(3))
    (after_two,) = features_of([0, 2], [1])
    assert after_two["artist_step_share"] == pytest.approx(1 / 2)
    assert (after_two["artist_steps"], after_two["artist_steps_back"]) == (
        pytest.approx(np.log(2)),
        0,
    )
    assert (three["artist_steps"], three["artist_steps_back"]) == (0, 0)
    assert (three["artist_count"], three["artist_distance"], three["song_distance"]) == (
        0,
        NEVER,
        3,
    )
    assert (three["with_last"], three["next_of_last"], three["gap_to_last"]) == (1, 0, 2)


def test_steps_are_counted_before_threads_ask() -> None:
    """Prevents each of many threads from sorting all steps at once, and a first request that waits."""
    index = LatestIndex.build(TRAIN, ARTISTS, ALBUMS, SONGS)
    assert {"_after", "_before", "_artist_plays"} <= set(vars(index))


def test_members_features_by_hand() -> None:
    """Prevents a member's score, rank or place in the fusions from standing in another column."""
    lists = np.array([[[1, 0, 3]], [[3, 2, MISSING]]], np.int32)
    scores = np.array([[[8, 4, 2]], [[0.5, 0.25, -np.inf]]], np.float32)
    pool = merge(lists, scores, 4, 1)  # each proposes its best; 3 is looked up in the first as well
    assert pool.items.tolist() == [1, 3]
    model = TwoStage(TwoStageParameters(per_member=1, scored_per_member=3))
    index = LatestIndex.build(TRAIN, ARTISTS, ALBUMS, SONGS)
    rows = model._features(index, PlaylistSet.from_lists([[0]]), pool, context(pool, ARTISTS))
    one, three = rows.tolist()
    beyond = np.log2(6)
    assert one[:6] == pytest.approx([1, 0, 8, 0, 0, beyond])
    assert three[:6] == pytest.approx([0.25, 1, 2, 0.5, np.log2(3), 0])
    assert one[6:11] == pytest.approx([1, 0, beyond / 2, 0.5, 1])
    assert three[6:11] == pytest.approx([1, 0, np.log2(3) / 2, 0.625, 1])
    assert one[11:13] == pytest.approx([1 / 61, 1 / 11])
    assert three[11:13] == pytest.approx([1 / 63 + 1 / 61, 1 / 13 + 1 / 11])
    assert len(one) == 6 + len(TOGETHER) + len(CONTEXT) + len(ALL_FEATURES)


def test_reach_of_the_places_behind() -> None:
    """Prevents "within five" and "within three" from ending one place early or late."""
    train = PlaylistSet.from_lists([[5, 4, 1, 2, 0, 0, 3], [5, 4, 1, 1, 1, 1, 0]])
    alone = np.full(6, MISSING, np.int32)
    index = FeatureIndex.build(train, alone, alone, np.arange(6, dtype=np.int32))
    rows = index.features(
        PlaylistSet.from_lists([[5, 4]]), np.array([0, 4]), np.array([0, 1, 2, 3], np.int32)
    )
    within_5 = rows[:, FEATURES.index("within_5_of_last")]
    within_3 = rows[:, FEATURES.index("within_3_of_second")]
    assert within_5.tolist() == [3, 5, 1, 1]  # behind 4: 0 at 3, 4 and 5; 3 at 5
    assert within_3.tolist() == [0, 3, 1, 0]  # behind 5: 1 at 2, 2 and 3; 2 at 3


def test_windows_of_frequent_items_are_a_sample() -> None:
    """Prevents a track of many plays from costing as much, or its counts from shrinking by that."""
    train = PlaylistSet.from_lists([[0, 1]] * 250 + [[2, 1]] * 50)
    artists = np.arange(3, dtype=np.int32)
    index = LatestIndex.build(train, artists, artists, artists)
    (row,) = index.features(
        PlaylistSet.from_lists([[0]]), np.array([0, 1]), np.array([1], np.int32)
    )
    found = dict(zip(ALL_FEATURES, row.tolist(), strict=True))
    assert (found["with_last"], found["next_of_last"]) == (250, 250)  # not of a sample
    assert found["near_mean"] == pytest.approx(250 / 300)
    assert found["near_most"] == 1
    assert found["after_last_artist"] == 252  # 21 of 25 windows, twelve plays each
    assert found["near_artists_mean"] == pytest.approx(21 / 25)


def test_first_of_equal_plays_counts() -> None:
    """Prevents a playlist that holds the query's last item twice from counting by the later one."""
    train = PlaylistSet.from_lists([[0, 2, 3, 0, 1, 4, 1]])
    alone = np.arange(5, dtype=np.int32)
    index = FeatureIndex.build(train, alone, alone, alone)
    rows = index.features(
        PlaylistSet.from_lists([[1, 0], [0, 1]]),
        np.array([0, 2, 4]),
        np.array([2, 4] * 2, np.int32),
    )
    next_of_last = rows[:, FEATURES.index("next_of_last")].tolist()
    assert next_of_last == [1, 0, 0, 1]  # 2 behind the first 0, 4 behind the first 1
    assert rows[:, FEATURES.index("gap_to_last")].tolist() == [1, 5, 3, 1]
    assert rows[:, FEATURES.index("within_3_of_second")].tolist() == [0, 1, 1, 0]


def test_features_do_not_depend_on_the_block() -> None:
    """Prevents one query's marks from reaching the next one's features."""
    index = LatestIndex.build(TRAIN, ARTISTS, ALBUMS, SONGS)
    queries = PlaylistSet.from_lists([[3, 2, 0], [], [MISSING, 1, 1], [2]])
    items = np.tile(np.array([1, 3, 0], np.int32), 4)
    together = index.features(queries, np.arange(5) * 3, items)
    for row in range(4):
        alone = index.features(queries.slice(row, row + 1), np.array([0, 3]), items[:3])
        assert alone.tobytes() == together[3 * row : 3 * row + 3].tobytes()


def test_versions_of_a_song() -> None:
    """Prevents live versions from counting as other songs, and unknown artists from merging."""
    names = ["Song", "Song (Live)", "song - 2011 Remaster", "Song", "Song", None, "(Intro)"]
    artists = np.array([0, 0, 0, 1, MISSING, 0, 0], np.int32)
    ids = pa.array([str(i) for i in range(7)])
    catalog = Catalog(ids, pa.array(names, pa.string()), artists)
    assert song_numbers(catalog).tolist() == [0, 0, 0, 3, 4, 5, 6]


def test_examples_keep_their_target() -> None:
    """Prevents groups without a target, and more negatives than asked for."""
    items = np.array([[[1, 2, 3, 4], [5, 6, 7, 8]]], np.int32)
    pool = merge(items, np.ones((1, 2, 4), np.float32), 10, 4)
    hit = pool.items == 3
    for seed in range(10):
        keep = _sampled(pool, hit, 2, np.random.default_rng(seed))
        assert keep[2]
        assert keep.sum() == 3
        assert not keep[4:].any()


def test_examples_do_not_see_their_own_playlist() -> None:
    """Prevents members and features that already hold the target's playlist from giving examples."""
    seen: list[tuple[set[tuple[int, ...]], set[tuple[int, ...]]]] = []

    class Spy(TwoStage):
        def _fit_members(self, train: PlaylistSet, *rest: object, **named: object):
            self.rest = lists_of(train)
            return super()._fit_members(train, *rest, **named)  # type: ignore[arg-type]

        def _cut(self, train: PlaylistSet, own: np.ndarray, rng: np.random.Generator):
            seen.append((lists_of(train.take(own)), set()))
            return super()._cut(train, own, rng)

        def _features(self, index: FeatureIndex, *rest: object):
            assert lists_of(PlaylistSet(index.offsets, index.items)) == self.rest
            seen[-1][1].update(self.rest)
            return super()._features(index, *rest)  # type: ignore[arg-type]

    train = block_playlists()
    Spy(TwoStageParameters.model_validate(PARAMETERS["two_stage"])).fit(
        train, Catalog.anonymous(SIZE), seed=1
    )
    assert len(seen) == 2
    for own, rest in seen:
        assert own
        assert rest
        assert not own & rest


@pytest.mark.parametrize(
    "columns",
    [
        None,
        np.array(["relative", "rank"]),
        np.array(COLUMNS[:-1]),
        np.array([*COLUMNS[:-1], "100 windows"]),  # as of 2026-11-21
    ],
)
def test_trees_of_other_features_are_refused(columns: np.ndarray | None) -> None:
    """Prevents an older version's trees from ranking by whatever stands at their features' places."""
    model = fitted("two_stage", block_playlists())
    arrays = model._arrays()
    del arrays["columns"]
    if columns is not None:
        arrays["columns"] = columns
    with pytest.raises(StorageError, match="other features; train the model again"):
        model._restore(arrays)


def test_hopeless_examples_are_not_ranked() -> None:
    """Prevents members from ranking queries whose target the other folds' playlists never hold."""
    asked: list[PlaylistSet] = []

    class Spy(TwoStage):
        def _pool(self, members: list[Recommender], queries: PlaylistSet, *rest: int) -> Pool:
            asked.append(queries)
            return super()._pool(members, queries, *rest)

    alone = PlaylistSet.from_lists([[0, 1, 2], [0, 1, 2], [3, 4], [5, 6]])
    parameters = {**PARAMETERS["two_stage"], "folds": 4, "targets_per_playlist": 1}
    Spy(TwoStageParameters.model_validate(parameters)).fit(alone, Catalog.anonymous(7), seed=1)
    assert sum(len(queries) for queries in asked) == 2
    assert all(queries.lengths.tolist() == [2] for queries in asked if len(queries))


def test_examples_are_bounded() -> None:
    """Prevents large training data from making as many examples as it has playlists."""
    cut: list[int] = []

    class Spy(TwoStage):
        def _cut(self, train: PlaylistSet, own: np.ndarray, rng: np.random.Generator):
            queries, targets = super()._cut(train, own, rng)
            cut.append(len(queries))
            assert len(own) < len(queries) <= 3 * len(own)
            return queries, targets

    bound = {"training_playlists": 30, "targets_per_playlist": 3}
    parameters = {**PARAMETERS["two_stage"], **bound}
    Spy(TwoStageParameters.model_validate(parameters)).fit(
        block_playlists(), Catalog.anonymous(SIZE), seed=1
    )
    assert 30 < sum(cut) <= 90


def test_a_bound_on_all_examples() -> None:
    """Prevents a bound that keeps the first playlists' alone, or fits members for what is not asked."""
    asked: list[PlaylistSet] = []
    fitted_on: list[int] = []

    class Spy(TwoStage):
        def _pool(self, members: list[Recommender], queries: PlaylistSet, *rest: int) -> Pool:
            asked.append(queries)
            return super()._pool(members, queries, *rest)

        def _fit_members(self, train: PlaylistSet, *rest: object, **named: object):
            fitted_on.append(len(train))
            return super()._fit_members(train, *rest, **named)  # type: ignore[arg-type]

    for bound in (10_000, 41):
        parameters = {**PARAMETERS["two_stage"], "examples": bound}
        Spy(TwoStageParameters.model_validate(parameters)).fit(
            block_playlists(), Catalog.anonymous(SIZE), seed=1
        )
    every, _, drawn = ([tuple(query) for query in query_lists(one)] for one in asked)
    assert len(drawn) == 41
    assert len(fitted_on) == 3 + 2  # two folds and train, one fold and train
    places = [every.index(query) for query in drawn]
    assert places == sorted(places)
    assert places[-1] > 1.5 * len(drawn)


def query_lists(playlists: PlaylistSet) -> list[list[int]]:
    bounds = zip(playlists.offsets[:-1], playlists.offsets[1:], strict=True)
    return [playlists.items[low:high].tolist() for low, high in bounds]


def lists_of(playlists: PlaylistSet) -> set[tuple[int, ...]]:
    return {tuple(items) for items in query_lists(playlists)}


def test_cuts() -> None:
    """Prevents a target that is not the item behind its query."""
    playlists = PlaylistSet.from_lists([[1, 2, 3], [], [4, 5]], ["a", None, "c"])
    queries, targets = truncated(playlists, np.array([0, 0, 2]), np.array([2, 1, 1]))
    assert queries.items.tolist() == [1, 2, 1, 4]
    assert queries.offsets.tolist() == [0, 2, 3, 4]
    assert targets.tolist() == [3, 2, 5]
    assert queries.titles is not None
    assert queries.titles.to_pylist() == ["a", "a", "c"]
    model = TwoStage(TwoStageParameters(targets_per_playlist=5))
    long = PlaylistSet.from_lists([list(range(20)), [7, 8]])
    queries, targets = model._cut(long, np.array([0, 1]), np.random.default_rng(0))
    assert (queries.lengths[-2], targets[-2], targets[-1]) == (19, 19, 8)
    assert (queries.lengths[:-1] >= 7).all()
    assert (targets[:-1] == queries.lengths[:-1]).all()


def test_longer_answers_start_with_shorter_ones() -> None:
    """Prevents `k` from changing the order of what is asked for, within the pool and beyond it."""
    model = fitted("two_stage", block_playlists(), per_member=4)
    queries = PlaylistSet.from_lists([[0, 1], [20, 22, 23], [50]])
    short, short_scores = model.recommend(queries, 4)
    long, long_scores = model.recommend(queries, 13)
    assert long[:, :4].tolist() == short.tolist()
    assert long_scores[:, :4].tobytes() == short_scores.tobytes()


def test_no_example_is_said() -> None:
    """Prevents a ranker that learned nothing from going unnoticed."""
    said: list[str] = []
    model = TwoStage().fit(
        PlaylistSet.from_lists([[0, 1, 2]]), Catalog.anonymous(5), seed=1, progress=said.append
    )
    assert any("no example" in line for line in said)
    items, _ = model.recommend(PlaylistSet.from_lists([[0]]), 2)
    assert items.tolist() == [[1, 2]]


LOAD_WITHOUT_LIGHTGBM = """
import sys
from pathlib import Path
sys.modules["lightgbm"] = None  # an import of it now fails
from recsys_assets.models.registry import load_recommender
from recsys_assets.playlists import PlaylistSet
items, _ = load_recommender(Path(sys.argv[1])).recommend(PlaylistSet.from_lists([[0, 1]]), 5)
print(*items[0])
"""


def test_served_without_lightgbm(tmp_path: Path) -> None:
    """Prevents a registered model that needs a library which its requirements do not name."""
    model = fitted("two_stage", block_playlists())
    model.save(tmp_path)
    answer = subprocess.run(
        [sys.executable, "-c", LOAD_WITHOUT_LIGHTGBM, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    items, _ = model.recommend(PlaylistSet.from_lists([[0, 1]]), 5)
    assert answer.split() == [str(item) for item in items[0]]
