"""Recommendations by title, and the words that titles are made of."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from recsys_assets.models.registry import load_recommender
from recsys_assets.models.title_words import Vocabulary, normalised, tokens
from recsys_assets.playlists import MISSING, PlaylistSet
from recsys_assets_tests.models.blocks import fitted
from recsys_assets_tests.models.test_families import assert_valid

TRAIN = PlaylistSet.from_lists(
    [[0, 1], [2, 3], [4, 5], [6], [1, 2]],
    ["Road Trip", "road-trip!", "Sleep", None, "gym"],
)


def ranked(
    title: str | None, query: tuple[int, ...] = (), **parameters: object
) -> list[tuple[int, float]]:
    """Return what the family itself says to a title, without completion."""
    model = fitted("title", TRAIN, 7, **parameters)
    items, scores = model._rank(PlaylistSet.from_lists([list(query)], [title]), 7)
    pairs = zip(items[0].tolist(), scores[0].tolist(), strict=True)
    return [(item, round(score, 4)) for item, score in pairs if item != MISSING]


def test_normalised() -> None:
    """Prevents titles that differ in case, punctuation or spaces only from being two."""
    assert normalised("  Road_Trip!!  2016 ") == "road trip 2016"
    assert normalised("ROAD-TRIP: 2016") == "road trip 2016"
    assert normalised("???") == "???"
    assert normalised("🔥 x") == "x"
    assert normalised("🔥") == "🔥"
    assert normalised(None) == normalised(" \n ") == ""


def test_tokens() -> None:
    """Prevents 3-grams from being taken for words, and words from running together."""
    assert tokens("a bc") == ["  a ", "  bc", " a b", " bc ", "a", "bc"]
    assert tokens("aaa aaa") == ["  aa", " a a", " aa ", " aaa", "aaa"]
    assert tokens("") == []


def test_vocabulary() -> None:
    """Prevents weights that are not inverse frequencies, and rows that are not of length 1."""
    vocabulary = Vocabulary.of([("a", 3), ("b", 1)], 0.5)
    assert vocabulary.words == ["  a ", "  b ", "a", "b"]
    rare, common = np.log(5 / 1), np.log(5 / 3)
    assert vocabulary.weights.tolist() == pytest.approx([common / 2, rare / 2, common, rare])
    offsets, words, weights = vocabulary.rows(["a", "", "zz", "b a"])
    # " a " is no 3-gram of "b a", which has " b ", "b a" and " a ".
    assert offsets.tolist() == [0, 2, 2, 2, 6]
    assert words[:2].tolist() == [0, 2]
    assert weights[:2].tolist() == pytest.approx([5**-0.5, 2 * 5**-0.5])
    assert (weights[2:] ** 2).sum() == pytest.approx(1)
    words_only = Vocabulary.of([("ab", 1)], 0.0)
    assert words_only.rows(["abc"])[2].tolist() == [0.0]


def test_same_title() -> None:
    """Prevents neighbours of another title, and playlists of one title from counting once."""
    found = ranked("ROAD trip", length_power=0, recency_exponent=0)
    assert found == [(0, 1), (1, 1), (2, 1), (3, 1)]
    # Places from the end: 1 and 3 last; each playlist has two tracks.
    found = ranked("road trip", length_power=1, recency_exponent=1)
    assert found == [(1, 0.5), (3, 0.5), (0, 0.25), (2, 0.25)]


def test_similarity_power() -> None:
    """Prevents the power from doing nothing: 0 takes every title that shares anything alike."""
    plain = {"length_power": 0, "recency_exponent": 0}
    alike = dict(ranked("sleeping gym", similarity_power=0, **plain))
    assert alike == {1: 1, 2: 1, 4: 1, 5: 1}
    once = dict(ranked("sleeping gym", **plain))
    twice = dict(ranked("sleeping gym", similarity_power=2, **plain))
    assert 0 < once[4] < once[1] < 1.5
    ratio = once[4] / once[1]
    assert twice[4] / twice[1] == pytest.approx(ratio**2, abs=1e-3)


def test_own_tracks_are_left_out() -> None:
    """Prevents a query's own tracks from being recommended."""
    assert [item for item, _ in ranked("road trip", (3, MISSING, 0))] == [1, 2]


def test_misspelt() -> None:
    """Prevents a title that shares no whole word from going unanswered; words alone do not reach."""
    assert {item for item, _ in ranked("sleeping")} == {4, 5}
    assert ranked("sleeping", gram_weight=0) == []


@pytest.mark.parametrize("title", [None, "", "?!", "zzz"])
def test_nothing_to_go_by(title: str | None) -> None:
    """Prevents an opinion where there is no title, or an unheard one."""
    assert ranked(title) == []


def test_similar_titles_are_cut() -> None:
    """Prevents weakly similar titles from being used beyond the limit."""
    both = {item for item, _ in ranked("sleep gym")}
    assert both == {1, 2, 4, 5}
    assert len(ranked("sleep gym", similar_titles=1)) == 2


def test_no_titles_anywhere(tmp_path: Path) -> None:
    """Prevents a crash, in training, ranking or storing, on sources without titles."""
    train = PlaylistSet.from_lists([[0, 1], [1]])
    model = fitted("title", train, 2)
    model.save(tmp_path)
    for one in (model, load_recommender(tmp_path)):
        for titles in (None, ["road trip"]):
            items, _ = one.recommend(PlaylistSet.from_lists([[]], titles), 2)
            assert items.tolist() == [[1, 0]]


def test_stored_words(tmp_path: Path) -> None:
    """Prevents a vocabulary that another alphabet, or an odd space, breaks when stored."""
    titles: list[str | None] = ["Été 夏", "a\x85b\u2028c", "🔥", "x\x00y"]
    train = PlaylistSet.from_lists([[0], [1], [2], [3]], titles)
    model = fitted("title", train, 4)
    model.save(tmp_path)
    again = load_recommender(tmp_path)
    items, _ = again.recommend(PlaylistSet.from_lists([[]] * 4, titles), 1)
    assert items.ravel().tolist() == [0, 1, 2, 3]


texts = st.none() | st.text(alphabet="ab -_é🔥\n", max_size=6)


@examples(max_examples=40, deadline=None)
@given(
    train=st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=6), texts), min_size=1).filter(
        lambda playlists: any(tracks for tracks, _ in playlists)
    ),
    queries=st.lists(st.tuples(st.lists(st.integers(-1, 9), max_size=6), texts), max_size=5),
)
def test_any_title(
    train: list[tuple[list[int], str | None]], queries: list[tuple[list[int], str | None]]
) -> None:
    """Prevents a title from breaking training, or what every answer promises."""
    playlists = PlaylistSet.from_lists([t for t, _ in train], [title for _, title in train])
    model = fitted("title", playlists, 10)

    class Titled:
        """The model, asked with titles."""

        def recommend(self, asked: PlaylistSet, k: int) -> tuple[np.ndarray, np.ndarray]:
            titles = pa.array([title for _, title in queries], pa.string())
            return model.recommend(PlaylistSet(asked.offsets, asked.items, titles), k)

    assert_valid(Titled(), playlists, [query for query, _ in queries], 8)  # type: ignore[arg-type]


def test_max_tracks_keeps_the_best_of_each_title() -> None:
    """Prevents a title of thousands of playlists from growing without bound, or losing its best."""
    # Last tracks weigh 1 and those before 2 ** -0.2: 1 and 3 are the best of "road trip".
    assert {item for item, _ in ranked("road trip")} == {0, 1, 2, 3}
    assert [item for item, _ in ranked("road trip", max_tracks=2)] == [1, 3]
    assert [item for item, _ in ranked("sleep", max_tracks=2)] == [5, 4]
