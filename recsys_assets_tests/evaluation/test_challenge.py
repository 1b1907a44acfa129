"""The challenge's metrics: hand-computed cases, a plain reference in Python, what must always hold."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.evaluation.challenge import (
    CLICKS,
    COLD_WITHHELD_SHARE,
    MIN_WITHHELD,
    MOST_PLAYLISTS,
    NDCG,
    NO_CLICKS,
    R_PRECISION,
    SEEDS,
    challenge_values,
    evaluate_challenge,
    seed_queries,
)
from recsys_assets.playlists import MISSING, Catalog, PlaylistSet
from recsys_assets_tests.evaluation.fakes import Scripted

SIZE = 60


def values_of(
    answer: list[int], withheld: list[int], artists: list[int] | None = None
) -> dict[str, float]:
    """Return the metrics of one playlist; without `artists` every track has its own."""
    found = challenge_values(
        np.array([answer], np.int32),
        PlaylistSet.from_lists([withheld]),
        np.arange(SIZE, dtype=np.int32) if artists is None else np.array(artists, np.int32),
    )
    return {name: float(column[0]) for name, column in found.items()}


def test_by_hand() -> None:
    """Prevents a wrong formula: two of four found, at places 1 and 3, a third beyond the fourth."""
    found = values_of([10, 50, 11, 51, 52, 12], [10, 11, 12, 13])
    # Two tracks and their two artists within the first four.
    assert found[R_PRECISION] == pytest.approx((2 + 0.25 * 2) / 4)
    gain = 1 + 1 / math.log2(4) + 1 / math.log2(7)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4) + 1 / math.log2(5)
    assert found[NDCG] == pytest.approx(gain / ideal)
    assert found[CLICKS] == 0


def test_artist_part_of_r_precision() -> None:
    """Prevents artists from counting twice, beyond the first |G| answers, or when unknown."""
    artists = [0] * SIZE
    artists[1:9] = [7, 7, 8, 9, MISSING, MISSING, 7, 8]
    # G = {1 (artist 7), 3 (8), 5 (unknown)}: of the first three answers, 2 and 7 are by artist 7.
    assert values_of([2, 7, 6, 8], [1, 3, 5], artists)[R_PRECISION] == pytest.approx(0.25 / 3)
    # A track that is found brings its artist's part too: 1.25 is the most.
    assert values_of([1, 3], [1, 3], artists)[R_PRECISION] == pytest.approx(1.25)
    # No artists at all: tracks alone.
    assert values_of([1, 9], [1, 3], [MISSING] * SIZE)[R_PRECISION] == pytest.approx(0.5)


@pytest.mark.parametrize(("place", "clicks"), [(0, 0), (9, 0), (10, 1), (19, 1), (29, 2)])
def test_clicks_are_pages_of_ten(place: int, clicks: int) -> None:
    """Prevents clicks that are off by one at a page's end."""
    answer = list(range(20, 50))
    assert values_of(answer, [answer[place], 0, 1])[CLICKS] == clicks


def test_nothing_found() -> None:
    """Prevents a miss from counting as the first place, and an empty answer from counting as a hit."""
    expected = {R_PRECISION: 0, NDCG: 0, CLICKS: NO_CLICKS}
    assert values_of([1, 2, 3], [4, 5]) == expected
    assert values_of([MISSING, MISSING], [SIZE - 1, 5]) == expected


def test_repeats_count_once() -> None:
    """Prevents a withheld track that is there twice from counting as two."""
    assert values_of([4, 1], [4, 4, 4]) == {R_PRECISION: 1.25, NDCG: 1, CLICKS: 0}


def reference(answer: list[int], withheld: list[int], artists: list[int]) -> dict[str, float]:
    """Work the metrics out with sets and loops, from the definitions."""
    tracks = set(withheld)
    front = [item for item in answer[: len(tracks)] if item != MISSING]
    known = {artists[item] for item in tracks} - {MISSING}
    common = {artists[item] for item in front} & known
    places = [at for at, item in enumerate(answer, start=1) if item in tracks]
    return {
        R_PRECISION: (len(tracks & set(front)) + 0.25 * len(common)) / len(tracks),
        NDCG: sum(1 / math.log2(1 + at) for at in places)
        / sum(1 / math.log2(1 + at) for at in range(1, min(len(tracks), 500) + 1)),
        CLICKS: (places[0] - 1) // 10 if places else 51,
    }


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, SIZE))
def test_agrees_with_the_reference(seed: int, rows: int, width: int) -> None:
    """Prevents a vectorised shortcut from differing from the definition."""
    generator = np.random.default_rng(seed)
    artists = generator.integers(MISSING, 12, SIZE).astype(np.int32)
    answers = np.array([generator.permutation(SIZE)[:width] for _ in range(rows)], np.int32)
    for answer in answers:
        answer[int(generator.integers(0, width + 1)) :] = MISSING
    withheld = [
        generator.integers(0, SIZE, generator.integers(1, 40)).tolist() for _ in range(rows)
    ]
    found = challenge_values(answers, PlaylistSet.from_lists(withheld), artists)
    for row in range(rows):
        expected = reference(answers[row].tolist(), withheld[row], artists.tolist())
        assert {name: column[row] for name, column in found.items()} == pytest.approx(expected)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=30),
    st.permutations(range(SIZE)),
    st.integers(0, SIZE - 2),
)
def test_ranges_and_order(withheld: list[int], answer: list[int], at: int) -> None:
    """Prevents figures out of range, and a better ranking from getting a worse figure."""
    found = values_of(answer, withheld)
    assert 0 <= found[R_PRECISION] <= 1.25
    assert 0 <= found[NDCG] <= 1 + 1e-12
    assert 0 <= found[CLICKS] <= NO_CLICKS
    if answer[at] not in withheld and answer[at + 1] in withheld:
        better = [*answer[:at], answer[at + 1], answer[at], *answer[at + 2 :]]
        swapped = values_of(better, withheld)
        assert swapped[NDCG] > found[NDCG]
        assert swapped[R_PRECISION] >= found[R_PRECISION]
        assert swapped[CLICKS] <= found[CLICKS]
    perfect = values_of([*dict.fromkeys(withheld)], withheld)
    assert perfect == pytest.approx({R_PRECISION: 1.25, NDCG: 1, CLICKS: 0})


def test_queries_are_first_tracks_and_the_rest_is_withheld() -> None:
    """Prevents tracks that are in both, in neither, or in another playlist's query."""
    playlists = PlaylistSet.from_lists(
        [list(range(7)), list(range(10, 16)), list(range(20, 28))], ["a", None, "c"]
    )
    queries, withheld = seed_queries(playlists, 2, seed=0)
    assert MIN_WITHHELD == 5
    assert queries.offsets.tolist() == [0, 2, 4]
    assert queries.items.tolist() == [0, 1, 20, 21]
    assert withheld.items.tolist() == [2, 3, 4, 5, 6, 22, 23, 24, 25, 26, 27]
    assert withheld.offsets.tolist() == [0, 5, 11]
    assert queries.titles is not None
    assert queries.titles.to_pylist() == ["a", "c"]


def test_playlists_are_drawn_where_there_are_many() -> None:
    """Prevents hours on large data, and a draw that another run does not repeat."""
    many = PlaylistSet.from_lists([[i] * 6 for i in range(3 * MOST_PLAYLISTS)])
    queries, _ = seed_queries(many, 1, seed=1)
    again, _ = seed_queries(many, 1, seed=1)
    other, _ = seed_queries(many, 1, seed=2)
    assert len(queries) == MOST_PLAYLISTS == len(set(queries.items.tolist()))
    assert queries.items.tolist() == again.items.tolist() != other.items.tolist()


def test_whole_evaluation() -> None:
    """Prevents metrics of the wrong seeds, playlists without enough tracks, and lost cold shares."""
    held_out = PlaylistSet.from_lists([list(range(8)), list(range(30, 36)), [1, 2]])
    plays = np.ones(SIZE, np.int64)
    plays[[6, 7]] = 0
    model = Scripted([31, 5, *range(40, 60)], SIZE)
    result = evaluate_challenge(model, held_out, Catalog.anonymous(SIZE), plays, seed=0)
    found = {(one.seeds, one.metric): one for one in result.measurements}
    assert {seeds for seeds, _ in found} == {1}  # nobody has 5 seeds and 5 more
    assert SEEDS == (1, 5, 10, 25, 100)
    assert model.asked == [[0], [30]]
    # 0..7: 5 is at place 2 of 7 withheld; 30..35: 31 is at place 1 of 5. No artist is known.
    assert found[1, R_PRECISION].interval.value == pytest.approx((1 / 7 + 1 / 5) / 2)
    assert found[1, COLD_WITHHELD_SHARE].interval.value == pytest.approx((2 / 7 + 0) / 2)
    assert found[1, NDCG].playlists == 2
    assert found[1, CLICKS].interval == (0, 0, 0)
