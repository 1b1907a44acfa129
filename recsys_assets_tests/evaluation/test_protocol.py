"""The protocol as a whole, the tutorial's rules, records and the leaderboard."""

from pathlib import Path

import numpy as np
import pytest

from recsys_assets import columns as c
from recsys_assets.errors import DataError, StorageError
from recsys_assets.evaluation import metrics as m
from recsys_assets.evaluation.leaderboard import DIFFERENCE_TO_BEST, build_leaderboard
from recsys_assets.evaluation.protocol import evaluate
from recsys_assets.evaluation.ranking import evaluate_ranking
from recsys_assets.evaluation.records import CandidateRecord, Measurement
from recsys_assets.evaluation.tutorial import tutorial_hits
from recsys_assets.playlists import MISSING, Catalog, PlaylistSet
from recsys_assets_tests.evaluation.fakes import Scripted, TellingTiers

CATALOG = Catalog.anonymous(8)
TRAIN = PlaylistSet.from_lists([[0, 1, 2], [0, 1], [0, 3]])


def test_protocol_by_hand() -> None:
    """Prevents a wrong query, target, or miss from changing every figure of the project."""
    model = Scripted([0, 1, 2, 3], size=8)
    held_out = PlaylistSet.from_lists(
        [
            [0, 1],  # query 0, answer 1 2 3: target 1 at place 1
            [3, 0, 2],  # query 3 0, answer 1 2: target 2 at place 2
            [5, 7],  # cold query, cold target: a miss
            [2, 1, 2],  # the target repeats the query: a miss
        ]
    )
    evaluation = evaluate(model, held_out, CATALOG, TRAIN, seed=0)
    found = {one.metric: one for one in evaluation.measurements if one.slice == "all"}
    assert model.asked[:4] == [[0], [3, 0], [5], [2, 1]]
    assert evaluation.ranks.tolist() == [1, 2, 0, 0]
    assert found[m.HIT_RATE_1].value == 0.25
    assert found[m.HIT_RATE_100].value == 0.5
    assert found[m.COLD_TARGET_SHARE].value == 0.25
    assert found[m.COLD_QUERY_SHARE].value == 0.25
    assert found[m.COVERAGE_100].value == 1.0
    assert found[m.HIT_RATE_100].low <= 0.5 <= found[m.HIT_RATE_100].high
    slices = {
        one.slice: one.value
        for one in evaluation.measurements
        if one.slice != "all" and one.metric == m.HIT_RATE_100
    }
    assert slices["target_plays_unseen"] == 0
    assert slices["target_plays_1_to_4"] == pytest.approx(2 / 3)


def test_tiers_are_measured_one_by_one() -> None:
    """Prevents a tier's hit rate from being another's, and a tier of no query from being shown."""
    held_out = PlaylistSet.from_lists([[0, 1], [5, 1], [6, 7], [3, 0]])
    model = TellingTiers([0, 1, 2, 3], size=8)  # known tracks: track; 5: artist; others: popularity
    evaluation = evaluate(model, held_out, CATALOG, TRAIN, seed=0)
    found = {(one.metric, one.slice): one.value for one in evaluation.measurements}
    tiers = {key: value for key, value in found.items() if key[1].startswith("tier")}
    assert tiers == {
        (m.HIT_RATE_100, "tier_track"): 1.0,
        (m.PLAYLISTS, "tier_track"): 2.0,
        (m.HIT_RATE_100, "tier_artist"): 1.0,
        (m.PLAYLISTS, "tier_artist"): 1.0,
        (m.HIT_RATE_100, "tier_popularity"): 0.0,
        (m.PLAYLISTS, "tier_popularity"): 1.0,
    }


def test_block_size_does_not_matter() -> None:
    """Prevents answers from landing beside another block's queries."""
    queries = PlaylistSet.from_lists([[i % 4] for i in range(11)])
    targets = np.array([(i + 1) % 4 for i in range(11)], np.int32)
    ranks = [
        evaluate_ranking(
            Scripted([0, 1, 2, 3], size=8), queries, targets, block=block
        ).target_ranks.tolist()
        for block in (1, 3, 100)
    ]
    assert ranks[0] == ranks[1] == ranks[2]


def test_titles_stand_together_and_answers_in_place() -> None:
    """Prevents ranking a title once per block, and answers that go to another query."""
    model = Echo([0, 1, 2, 3], size=8)
    names = ["b", None, "A", "b", "a", "", "B", "a", None]
    queries = PlaylistSet.from_lists([[i % 4] for i in range(9)], names)
    ranked = evaluate_ranking(model, queries, np.zeros(9, np.int32), k=1, block=3)
    assert ranked.items[:, 0].tolist() == [i % 4 for i in range(9)]
    assert ranked.target_ranks.tolist() == [int(i % 4 == 0) for i in range(9)]
    blocks = [{name and name.lower() for name in block} for block in model.titles]
    assert sum(len(block) for block in blocks) == 6  # 9 in the order of the playlists


class Echo(Scripted):
    """Answers each query's own last item, and keeps the titles that it was asked for."""

    def __init__(self, answers: list[int], size: int) -> None:
        super().__init__(answers, size)
        self.titles: list[list[str | None]] = []

    def recommend(self, queries: PlaylistSet, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return int32[n, 1] and float32[n, 1]."""
        assert queries.titles is not None
        self.titles.append(queries.titles.to_pylist())
        own = queries.items[queries.offsets[1:] - 1]
        return own[:, None], np.ones((len(queries), k), np.float32)


def test_progress_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a long evaluation from being silent."""
    clock = iter(range(0, 10_000, 6))
    monkeypatch.setattr("recsys_assets.progress.time.monotonic", lambda: next(clock))
    lines: list[str] = []
    queries = PlaylistSet.from_lists([[0]] * 4)
    evaluate_ranking(
        Scripted([0, 1], size=8), queries, np.ones(4, np.int32), block=2, progress=lines.append
    )
    assert "queries ranked: 2 of 4" in lines[0]
    assert "s left" in lines[0]


def test_empty_validation_set_is_an_error() -> None:
    """Prevents figures from no playlists."""
    with pytest.raises(DataError, match="too small for a 70/20/10 split"):
        evaluate(Scripted([0], 8), PlaylistSet.from_lists([]), CATALOG, TRAIN, seed=0)


def test_tutorial_rules() -> None:
    """Prevents comparing with the tutorial under other rules than its own."""
    model = Scripted([0, 1, 2, 3], size=8)
    queries = PlaylistSet.from_lists([[2, 0], [1, 7], [], [MISSING]])
    targets = np.array([2, 7, 0, 1], np.int32)
    hits = tutorial_hits(model, queries, targets, seed=1)
    asked = [query[0] for query in model.asked]
    assert asked[0] == 0  # the last track only, so 2 is not filtered
    assert hits[0] == 1
    assert set(asked[1:]) <= {0, 1, 2, 3}  # cold: a random known track instead
    assert hits[1] == 0
    again = Scripted([0, 1, 2, 3], size=8)
    assert tutorial_hits(again, queries, targets, seed=1).tolist() == hits.tolist()
    assert again.asked == model.asked


def test_tutorial_rules_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents queries with other playlists' targets, or a sample that differs from call to call."""
    monkeypatch.setattr("recsys_assets.evaluation.tutorial.MOST_QUERIES", 30)
    queries = PlaylistSet.from_lists([[0], [1], [2]] * 20)
    targets = np.array([1, 0, 2] * 20, np.int32)  # what each playlist of the third kind plays
    hits = [tutorial_hits(Scripted([0, 1, 2], 8), queries, targets, seed=s) for s in (1, 1, 2)]
    assert [len(one) for one in hits] == [30] * 3
    assert hits[0].tolist() == hits[1].tolist() != hits[2].tolist()
    drawn = np.sort(np.random.default_rng(1).choice(60, 30, replace=False))
    assert hits[0].tolist() == (drawn % 3 < 2).astype(float).tolist()


def record(name: str, ranks: list[int], version: str = "v") -> CandidateRecord:
    """Make a record with a hit rate and ranks."""
    hit_rate = float(np.mean(np.array(ranks) > 0))
    return CandidateRecord(
        candidate=name,
        family="family",
        parameters={"a": 1},
        seed=0,
        data_version=version,
        fingerprint="f",
        mlflow_run="r",
        fit_seconds=1.0,
        evaluate_seconds=2.0,
        model_bytes=3,
        measurements=(Measurement(m.HIT_RATE_100, "all", hit_rate, 0.0, 1.0),),
        ranks=np.array(ranks, np.int32),
    )


def test_leaderboard_order_and_differences() -> None:
    """Prevents a worse candidate from winning, or a difference with the wrong sign."""
    table = build_leaderboard(
        [record("b", [1, 0, 0, 0]), record("c", [5, 1, 0, 0]), record("a", [0, 3, 9, 0])], seed=0
    ).to_pylist()
    places = {row[c.CANDIDATE]: row[c.PLACE] for row in table}
    assert places == {"a": 1, "c": 2, "b": 3}  # a and c tie: by name
    difference = {row[c.CANDIDATE]: row for row in table if row[c.METRIC] == DIFFERENCE_TO_BEST}
    assert difference["b"][c.VALUE] == -0.25
    assert difference["a"][c.VALUE] == difference["a"][c.LOW] == difference["a"][c.HIGH] == 0
    assert difference["c"][c.LOW] < 0 < difference["c"][c.HIGH]


def test_candidates_of_different_data_are_not_compared() -> None:
    """Prevents a stale candidate from winning on easier playlists."""
    with pytest.raises(DataError, match="b on old"):
        build_leaderboard([record("a", [1]), record("b", [1], "old")], seed=0)
    with pytest.raises(DataError, match="grid is empty"):
        build_leaderboard([], seed=0)


def test_record_round_trip(tmp_path: Path) -> None:
    """Prevents a leaderboard of other numbers than were measured."""
    one = record("a", [1, 0, 7])
    one.save(tmp_path)
    loaded = CandidateRecord.load(tmp_path)
    assert loaded.ranks.tolist() == [1, 0, 7]
    assert loaded.value(m.HIT_RATE_100) == one.value(m.HIT_RATE_100)
    assert loaded.parameters == {"a": 1}
    with pytest.raises(KeyError, match="no measurement"):
        loaded.value("nope")
    with pytest.raises(StorageError, match="materialise candidate"):
        CandidateRecord.load(tmp_path / "other")
