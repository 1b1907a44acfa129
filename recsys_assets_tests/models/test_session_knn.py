"""Session nearest neighbours, by tracks and by artists, against hand-computed and plain-Python sums."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from recsys_assets.models.session_knn import decay_weights
from recsys_assets.playlists import MISSING, Catalog, PlaylistSet
from recsys_assets_tests.models.blocks import fitted

TRAIN = PlaylistSet.from_lists([[0, 1, 2], [0, 3], [4, 5], [6]])
PLAIN: dict[str, object] = {
    "recency": 0,
    "match_recency": 0,
    "position": 0,
    "idf_power": 1,
    "length_power": 0,
    "similarity_power": 1,
}


def scores_of(query: list[int], **changed: object) -> dict[int, float]:
    """Return the positive scores of a query: those below are the completion with popular items."""
    model = fitted("session_knn", TRAIN, 7, **{**PLAIN, **changed})
    items, scores = model.recommend(PlaylistSet.from_lists([query]), 6)
    pairs = zip(items[0].tolist(), scores[0].tolist(), strict=True)
    return {item: round(score, 4) for item, score in pairs if score > 0}


@pytest.mark.parametrize(
    ("query", "changed", "expected"),
    [
        ([0], {}, {1: 1, 2: 1, 3: 1}),
        # 1 and 3 stand next to the common track 0, and 2 one place further.
        ([0], {"position": 1}, {1: 0.5, 3: 0.5, 2: 0.3333}),
        ([0], {"length_power": 1}, {3: 1, 1: 0.6667, 2: 0.6667}),
        ([0], {"length_power": 1, "similarity_power": 2}, {3: 1, 1: 0.4444, 2: 0.4444}),
        # 0 is in two of four playlists, log(5/2) = 0.9163; 4 in one, log(5) = 1.6094.
        ([4, 0], {}, {5: 1, 1: 0.5693, 2: 0.5693, 3: 0.5693}),
        ([4, 0], {"recency": 1}, {1: 1, 2: 1, 3: 1, 5: 0.8782}),
        ([4, 0], {"match_recency": 1}, {1: 1, 2: 1, 3: 1, 5: 0.8782}),
        ([4, 0], {"idf_power": 0}, {1: 1, 2: 1, 3: 1, 5: 1}),
        ([4, 0], {"neighbours": 1}, {5: 1}),
        # 4 weighs more and is in one place, 0 in two; the heaviest is looked up all the same.
        ([0, 4], {"postings": 2}, {5: 1}),
        ([0, 4], {"postings": 3}, {5: 1, 1: 0.5693, 2: 0.5693, 3: 0.5693}),
        ([0], {"postings": 1}, {1: 1, 2: 1, 3: 1}),
        # The same similarity: the neighbour of smaller index.
        ([0], {"neighbours": 1}, {1: 1, 2: 1}),
        # Two matches with one playlist, and an unknown track in between.
        ([1, MISSING, 0], {"idf_power": 0}, {2: 1, 3: 0.5}),
    ],
)
def test_formula(query: list[int], changed: dict[str, object], expected: dict[int, float]) -> None:
    """Prevents a weight that does nothing, or something else than its description."""
    assert scores_of(query, **changed) == pytest.approx(expected, abs=1e-4)


def test_popularity_discount() -> None:
    """Prevents the discount from going to the wrong track."""
    train = PlaylistSet.from_lists([[0, 1, 2], [1], [1], [1]])
    model = fitted("session_knn", train, 3, **{**PLAIN, "popularity_discount": 0.5})
    items, scores = model.recommend(PlaylistSet.from_lists([[0]]), 2)
    assert items.tolist() == [[2, 1]]
    assert scores[0].tolist() == [1.0, 0.5]


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        ("power", [1, 2**-0.4, 3**-0.4]),
        ("exponential", [1, math.exp(-0.4), math.exp(-0.8)]),
        ("linear", [1, 0.6, 0.2]),
    ],
)
def test_decay(decay: str, expected: list[float]) -> None:
    """Prevents the weights of another method than the one named."""
    weights = decay_weights(decay, 0.4, 3)  # type: ignore[arg-type]
    assert weights.tolist() == pytest.approx(expected)


def test_high_powers_stay_finite() -> None:
    """Prevents overflow to infinity, or all scores vanishing, at the edge of the allowed range."""
    sharp = {"similarity_power": 10, "idf_power": 8, "length_power": 2, "position": 10}
    train = PlaylistSet.from_lists([[0, *range(1, 40)], *([[i] for i in range(40, 90)])])
    items, scores = fitted("session_knn", train, 90, **sharp).recommend(
        PlaylistSet.from_lists([[0]]), 5
    )
    assert items.tolist() == [[1, 2, 3, 4, 5]]
    assert np.isfinite(scores).all()
    assert (scores > 0).all()


def test_ties_by_index_in_a_block() -> None:
    """Prevents ties from coming in the order of a sort, and one query's sums from joining the next."""
    lists = [[0, *range(1, 60)], [60, *range(59, 0, -1)], *([[i] for i in range(61, 90)])]
    model = fitted("session_knn", PlaylistSet.from_lists(lists), 90, **PLAIN)
    items, scores = model.recommend(PlaylistSet.from_lists([[0], [60], [60, 0]]), 40)
    assert items.tolist() == [list(range(1, 41))] * 3
    assert scores.tolist() == [[1.0] * 40] * 2 + [[2.0] * 40]


def reference(
    train: list[list[int]], query: list[int], artists: list[int] | None, p: dict[str, float]
) -> dict[int, float]:
    """Return the scores by the formula in the class docstring, in plain Python."""

    def key(item: int) -> int:
        return MISSING if item == MISSING else item if artists is None else artists[item]

    sums: dict[int, float] = {}
    sims, anchors = {}, {}
    for number, playlist in enumerate(train):
        keys = [key(item) for item in playlist]
        total = 0.0
        for place, item in enumerate(reversed(query), start=1):
            common = key(item)
            if common == MISSING or common not in keys:
                continue
            frequency = sum(common in [key(i) for i in other] for other in train)
            idf = math.log((1 + len(train)) / frequency) ** p["idf_power"]
            total += place ** -p["recency"] * idf * keys.count(common) ** p.get("count_power", 0)
            if number not in anchors:
                anchors[number] = len(keys) - 1 - keys[::-1].index(common), place
        if total:
            place = anchors[number][1]
            sims[number] = total / len(keys) ** p["length_power"] * place ** -p["match_recency"]
    for number, sim in sims.items():
        for at, item in enumerate(train[number]):
            if item not in query:
                near = (1 + abs(at - anchors[number][0])) ** -p["position"]
                value = (sim / max(sims.values())) ** p["similarity_power"] * near
                sums[item] = sums.get(item, 0.0) + value
    return sums


strengths = st.sampled_from([0.0, 0.5, 1.0, 2.0])


@examples(max_examples=60, deadline=None)
@given(
    train=st.lists(st.lists(st.integers(0, 9), max_size=7), min_size=1, max_size=6).filter(any),
    query=st.lists(st.integers(-1, 9), max_size=6),
    artists=st.none() | st.lists(st.integers(-1, 3), min_size=10, max_size=10),
    strengths=st.fixed_dictionaries(
        {
            "recency": strengths,
            "match_recency": strengths,
            "position": strengths,
            "idf_power": strengths,
            "length_power": strengths,
            "similarity_power": strengths,
        }
    ),
    count_power=strengths,
)
def test_agrees_with_plain_python(
    train: list[list[int]],
    query: list[int],
    artists: list[int] | None,
    strengths: dict[str, float],
    count_power: float,
) -> None:
    """Prevents errors of indexing in the kernel, by tracks (no artists given) and by artists."""
    ids = pa.array([str(i) for i in range(10)], pa.string())
    parameters = strengths if artists is None else {**strengths, "count_power": count_power}
    model = fitted(
        "session_knn" if artists is None else "artist_knn",
        PlaylistSet.from_lists(train),
        10,
        catalog=Catalog(ids, ids, np.array(artists or [MISSING] * 10, np.int32)),
        **parameters,
    )
    # `_rank`, not `recommend`: popular items would follow.
    items, scores = model._rank(PlaylistSet.from_lists([query]), 10)
    found = dict(zip(items[0].tolist(), scores[0].tolist(), strict=True))
    found.pop(MISSING, None)
    assert found == pytest.approx(reference(train, query, artists, parameters), rel=1e-5)


@pytest.mark.parametrize("family", ["artist_knn", "artist_tracks"])
def test_no_artists_no_opinion(family: str) -> None:
    """Prevents a crash, or nonsense, on sources without artists."""
    model = fitted(family, TRAIN, 7, catalog=Catalog.anonymous(7))
    items, _ = model._rank(PlaylistSet.from_lists([[0], [MISSING], []]), 3)
    assert (items == MISSING).all()
    assert model.recommend(PlaylistSet.from_lists([[1]]), 3)[0].tolist() == [[0, 2, 3]]


def test_single_tracks_share_lists() -> None:
    """Prevents other answers to a track alone than to the same track beside longer queries."""
    rng = np.random.default_rng(5)
    lists = [rng.integers(0, 60, rng.integers(2, 9)).tolist() for _ in range(50)]
    ids = pa.array([str(i) for i in range(60)])
    artists = (np.arange(60, dtype=np.int32) % 12) - 1  # those of -1 have none
    model = fitted("artist_knn", PlaylistSet.from_lists(lists), catalog=Catalog(ids, ids, artists))
    singles = [[item] for item in range(60)] + [[], [MISSING]]
    alone = model._rank(PlaylistSet.from_lists(singles), 7)
    beside = model._rank(PlaylistSet.from_lists([*singles, [1, 2, 3]]), 7)
    assert alone[0].tolist() == beside[0][:-1].tolist()
    assert alone[1].tolist() == beside[1][:-1].tolist()
