"""The whole protocol against a per-row reference in plain Python, and what must always hold."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import DataError
from recsys_assets.evaluation import beyond_accuracy as beyond
from recsys_assets.evaluation import metrics as m
from recsys_assets.evaluation.intervals import mean_interval
from recsys_assets.evaluation.protocol import ALL_PLAYLISTS, evaluate
from recsys_assets.evaluation.ranking import evaluate_ranking
from recsys_assets.evaluation.slices import slices
from recsys_assets.evaluation.tutorial import tutorial_hits
from recsys_assets.playlists import MISSING, Catalog, PlaylistSet
from recsys_assets_tests.evaluation.fakes import Scripted

SIZE = 150
OF_ROW_OR_CLOCK = (m.TUTORIAL_HIT_RATE_100, m.QUERIES_PER_SECOND)
"""Random bets are drawn row by row; speed is measured."""


def random_input(seed: int) -> tuple[Scripted, PlaylistSet, Catalog, PlaylistSet]:
    """Draw training and held-out playlists over partly cold items, and a popularity-like ranking."""
    generator = np.random.default_rng(seed)

    def draw(count: int, high: int) -> PlaylistSet:
        sizes = generator.integers(2, 12, count)
        return PlaylistSet.from_lists(
            [(generator.random(n) ** 3 * high).astype(int).tolist() for n in sizes]
        )

    train, held_out = draw(30, SIZE - 30), draw(40, SIZE)
    names = Catalog.anonymous(SIZE)
    artists = generator.integers(MISSING, 40, SIZE).astype(np.int32)
    ranking = generator.permutation(np.unique(train.items)).tolist()
    return (
        Scripted(ranking, SIZE),
        held_out,
        Catalog(names.ids, names.names, artists),
        train,
    )


def reference(
    model: Scripted, held_out: PlaylistSet, catalog: Catalog, train: PlaylistSet
) -> dict[str, list[float]]:
    """Every per-playlist metric, row by row."""
    plays = np.bincount(train.items, minlength=SIZE)
    by_plays = sorted(range(SIZE), key=lambda item: (-plays[item], item))
    found: dict[str, list[float]] = {}
    for row in range(len(held_out)):
        *query, target = held_out.items[held_out.offsets[row] : held_out.offsets[row + 1]].tolist()
        answer = [item for item in model.ranking if item not in query][:100]
        place = answer.index(target) + 1 if target in answer else math.inf
        artist = catalog.artist_index[target]
        values = {f"hit_rate_{k}": float(place <= k) for k in m.CUTOFFS}
        values[m.MRR_20] = 1 / place if place <= 20 else 0
        values[m.NDCG_20] = 1 / math.log2(1 + place) if place <= 20 else 0
        values[m.ARTIST_HIT_RATE_100] = float(
            artist != MISSING and artist in [catalog.artist_index[item] for item in answer]
        )
        values[m.POPULARITY_RANK] = sum(by_plays.index(item) + 1 for item in answer) / len(answer)
        values.update(beyond_accuracy(answer[:20], query, catalog, plays))
        values[m.COLD_TARGET_SHARE] = float(plays[target] == 0)
        values[m.COLD_QUERY_SHARE] = float(all(plays[item] == 0 for item in query))
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return found


def beyond_accuracy(
    shown: list[int], query: list[int], catalog: Catalog, plays: np.ndarray
) -> dict[str, float]:
    """Novelty, diversity and the share of own artists of one list, item by item and pair by pair."""
    artist = catalog.artist_index
    pairs = list(itertools.combinations(shown, 2))
    apart = [artist[a] != artist[b] or artist[a] == MISSING for a, b in pairs]
    own = {artist[item] for item in query} - {MISSING}
    return {
        m.NOVELTY_20: sum(-math.log2(plays[item] / plays.sum()) for item in shown) / len(shown),
        m.DIVERSITY_20: sum(apart) / len(pairs),
        m.OWN_ARTIST_SHARE_20: sum(artist[item] in own for item in shown) / len(shown),
    }


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_reference(seed: int) -> None:
    """Prevents a vectorised shortcut anywhere in the protocol from differing from the definition."""
    model, held_out, catalog, train = random_input(seed)
    evaluation = evaluate(model, held_out, catalog, train, seed=0)
    found = {one.metric: one for one in evaluation.measurements if one.slice == ALL_PLAYLISTS}
    expected = reference(model, held_out, catalog, train)
    assert 0 < found[m.HIT_RATE_100].value < 1
    assert found[m.COLD_TARGET_SHARE].value > 0
    for name, values in expected.items():
        assert found[name].value == pytest.approx(np.mean(values)), name
        assert found[name].low <= found[name].value <= found[name].high, name
    assert set(found) == set(m.DESCRIPTIONS)
    hits = np.array(expected[m.HIT_RATE_100])
    queries, targets = held_out.leave_last_out()
    plays = np.bincount(train.items, minlength=SIZE)
    sliced = {
        one.slice: one
        for one in evaluation.measurements
        if one.slice != ALL_PLAYLISTS and one.metric == m.HIT_RATE_100
    }
    counted = {one.slice: one.value for one in evaluation.measurements if one.metric == m.PLAYLISTS}
    masks = dict(slices(queries, targets, plays))
    assert set(sliced) == set(masks)
    assert counted == {ALL_PLAYLISTS: 40, **{name: mask.sum() for name, mask in masks.items()}}
    for name, mask in masks.items():
        assert sliced[name].value == pytest.approx(hits[mask].mean())
        assert (sliced[name].low, sliced[name].high) == mean_interval(hits[mask], seed=0)[1:]


def test_order_of_playlists_does_not_matter() -> None:
    """Prevents figures that depend on how the validation table happens to be sorted."""
    model, held_out, catalog, train = random_input(7)
    order = np.random.default_rng(0).permutation(len(held_out))
    one = evaluate(model, held_out, catalog, train, seed=0)
    other = evaluate(model, held_out.take(order), catalog, train, seed=0)
    assert other.ranks.tolist() == one.ranks[order].tolist()
    for a, b in zip(one.measurements, other.measurements, strict=True):
        if a.metric in {m.COVERAGE_100, m.GINI_100}:  # their groups of playlists are drawn by row
            assert a.value == b.value
        elif a.metric not in OF_ROW_OR_CLOCK:
            assert a == b


def test_same_seed_same_measurements() -> None:
    """Prevents a second run on unchanged data from telling another story."""
    model, held_out, catalog, train = random_input(8)
    runs = [
        [
            one
            for one in evaluate(model, held_out, catalog, train, seed=3).measurements
            if one.metric != m.QUERIES_PER_SECOND
        ]
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


@given(st.lists(st.integers(0, 120), min_size=1, max_size=40))
def test_bounds_and_monotone_hit_rates(places: list[int]) -> None:
    """Prevents a hit rate that falls with k, or a figure outside 0 to 1."""
    found = m.of_ranks(np.array(places, np.int32))
    rates = [found[f"hit_rate_{k}"] for k in m.CUTOFFS]
    for smaller, larger in itertools.pairwise(rates):
        assert (smaller <= larger).all()
    for values in found.values():
        assert ((values >= 0) & (values <= 1)).all()
    assert (found[m.MRR_20] <= found[m.NDCG_20]).all()
    assert (found[m.NDCG_20] <= found[m.HIT_RATE_20]).all()
    assert (found[m.HIT_RATE_1] <= found[m.MRR_20]).all()


def test_place_twenty_is_the_last_that_counts() -> None:
    """Prevents a cutoff that is one off."""
    found = m.of_ranks(np.array([20, 21, 100, 10, 11, 0], np.int32))
    assert found[m.MRR_20].tolist() == [1 / 20, 0, 0, 1 / 10, 1 / 11, 0]
    assert found[m.NDCG_20][0] == pytest.approx(1 / math.log2(21))
    assert found[m.HIT_RATE_20].tolist() == [1, 0, 0, 1, 1, 0]
    assert found[m.HIT_RATE_10].tolist() == [0, 0, 0, 1, 0, 0]


def test_blocks_of_playlists_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a value from landing beside another playlist at the edge of a block."""
    model, held_out, catalog, train = random_input(9)
    whole = evaluate(model, held_out, catalog, train, seed=0).measurements
    monkeypatch.setattr(m, "_BLOCK", 7)
    monkeypatch.setattr(beyond, "_BLOCK", 7)
    blocks = evaluate(model, held_out, catalog, train, seed=0).measurements
    for one, other in zip(whole, blocks, strict=True):
        assert one == other or one.metric == m.QUERIES_PER_SECOND


@given(st.integers(2, 300), st.data(), st.integers(0, 9))
def test_interval_holds_its_own_share(n: int, data: st.DataObject, seed: int) -> None:
    """Prevents an interval beside its own value, near 0 and 1 too."""
    hits = data.draw(st.integers(0, n))
    values = np.array([1.0] * hits + [0.0] * (n - hits))
    share, low, high = mean_interval(values, seed=seed)
    assert 0 <= low <= share <= high <= 1
    assert (low == high) is (hits in {0, n})


def test_many_and_few_distinct_values_give_the_same_interval() -> None:
    """Prevents the two ways of drawing from being of two distributions."""
    generator = np.random.default_rng(0)
    few = generator.integers(0, 5, 5000) / 4
    many = few + generator.random(5000) * 1e-6
    for a, b in zip(mean_interval(few, seed=0), mean_interval(many, seed=0), strict=True):
        assert a == pytest.approx(b, abs=1e-3)
    assert mean_interval(many[::-1], seed=0) == mean_interval(many, seed=0)


def test_k_beyond_the_catalogue() -> None:
    """Prevents a small catalogue from failing, or its gaps from counting as hits."""
    queries = PlaylistSet.from_lists([[0], [1]])
    ranked = evaluate_ranking(
        Scripted([0, 1, 2], 8), queries, np.array([2, MISSING], np.int32), k=50
    )
    assert ranked.items.shape == (2, 50)
    assert ranked.target_ranks.tolist() == [2, 0]
    assert ranked.hits.tolist() == [1, 0]
    with pytest.raises(ValueError, match="2 queries but 1 targets"):
        evaluate_ranking(Scripted([0], 8), queries, np.zeros(1, np.int32))


def test_a_playlist_of_one_track_is_an_error() -> None:
    """Prevents an empty query from being measured as if it were one."""
    held_out = PlaylistSet.from_lists([[0, 1], [2], []])
    with pytest.raises(DataError, match="2 of 3 are shorter, the first at row 1 with 1"):
        evaluate(Scripted([0, 1], 8), held_out, Catalog.anonymous(8), held_out, seed=0)


def test_a_single_playlist_is_measured() -> None:
    """Prevents a failure on the smallest possible validation set."""
    one = PlaylistSet.from_lists([[0, 1]])
    evaluation = evaluate(Scripted([0, 1], 8), one, Catalog.anonymous(8), one, seed=0)
    found = {x.metric: x for x in evaluation.measurements if x.slice == ALL_PLAYLISTS}
    hit = found[m.HIT_RATE_1]
    assert (hit.value, hit.low, hit.high) == (1, 1, 1)
    assert (found[m.COVERAGE_100].value, found[m.COVERAGE_100].low) == (0.5, None)


def test_tutorial_bets_over_all_known_tracks() -> None:
    """Prevents a bet that always falls on the same track, or on one that the model lacks."""
    model = Scripted([0, 1, 2, 3], size=8, known=[1, 3])
    queries = PlaylistSet.from_lists([[7]] * 60 + [[0]] * 60 + [[1]])
    hits = tutorial_hits(model, queries, np.ones(121, np.int32), seed=0)
    assert model.asked == [[1], [3]]
    assert 30 < hits[:120].sum() < 90  # track 1 follows 3, and never itself
    assert hits[120] == 0


def test_tutorial_without_any_known_track_is_lost() -> None:
    """Prevents a family of artists from failing a whole run on data that has no artists."""
    model = Scripted([0, 1], size=8, known=[])
    queries, targets = PlaylistSet.from_lists([[0], [5]]), np.ones(2, np.int32)
    assert tutorial_hits(model, queries, targets, seed=0).tolist() == [0, 0]
