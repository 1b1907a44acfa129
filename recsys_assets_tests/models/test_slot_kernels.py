"""Sums in a table: whatever shares a slot, answers are those of sums of every item."""

import numpy as np
import pyarrow as pa
import pytest

from recsys_assets.models import slot_kernels
from recsys_assets.playlists import MISSING, Catalog, PlaylistSet
from recsys_assets_tests.models.blocks import fitted

SIZE, ARTISTS = 300, 40
MODELS: list[tuple[str, dict[str, object]]] = [
    ("session_knn", {}),
    ("session_knn", {"popularity_discount": 0.5}),
    ("artist_knn", {"count_power": 0.7}),
    ("artist_knn", {"popularity_discount": 0.5}),
    ("cooccurrence", {}),
    ("cooccurrence", {"two_hop": 0.8, "two_hop_items": 7}),
    ("cooccurrence", {"two_hop": 2.0, "two_hop_items": 60, "query_items": 3}),
    ("pair_counts", {}),
    ("ease", {"regularization": 5.0}),
    ("artist_tracks", {}),
    ("title", {}),
    ("title", {"similar_titles": 3, "similarity_power": 0.0}),
]


@pytest.mark.parametrize(("family", "parameters"), MODELS)
def test_table_size_changes_nothing(
    family: str, parameters: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents losing tracks that share a slot of a kernel's table, or adding them up twice."""
    rng = np.random.default_rng(4)
    lists = [(SIZE * rng.random(rng.integers(2, 30)) ** 2).astype(int).tolist() for _ in range(120)]
    asked = [*lists[:20], [], [MISSING, 5], [7], list(range(40)), [3, MISSING, 3, 9]]
    words = ["summer", "party", "sad", "road", "trip", "rock"]
    titles: list[str | None] = [
        " ".join(rng.choice(words, rng.integers(1, 4))) for _ in range(len(lists) + len(asked))
    ]
    titles[3] = titles[-2] = None
    ids = pa.array([str(i) for i in range(SIZE)])
    catalog = Catalog(ids, ids, (np.arange(SIZE, dtype=np.int32) * 7) % ARTISTS)
    train = PlaylistSet.from_lists(lists, titles[: len(lists)])
    queries = PlaylistSet.from_lists(asked, titles[len(lists) :])
    model = fitted(family, train, SIZE, catalog=catalog, **parameters)
    items, scores = model._rank(queries, 12)
    assert (items != MISSING).any()
    monkeypatch.setattr(slot_kernels, "SLOTS_PER_ANSWER", 0)
    for bits in (3, 0):
        monkeypatch.setattr(slot_kernels, "SLOT_BITS", bits)
        crowded = model._rank(queries, 12)
        assert crowded[0].tolist() == items.tolist()
        assert crowded[1].tolist() == scores.tolist()


def test_ties_of_tracks_that_share_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents losing a track of the worst answer's score and a smaller index."""
    train = PlaylistSet.from_lists([[0, 1], [2, 3]] * 3)
    model = fitted("cooccurrence", train, 4, recency_exponent=0.0)
    queries = PlaylistSet.from_lists([[0, 2]])
    assert len(set(model._rank(queries, 2)[1][0].tolist())) == 1
    monkeypatch.setattr(slot_kernels, "SLOTS_PER_ANSWER", 0)
    # Of two slots 0 and 2 have the one, 1 and 3 the other, which 3 meets first.
    monkeypatch.setattr(slot_kernels, "SLOT_BITS", 1)
    assert model._rank(queries, 1)[0].tolist() == [[1]]


def test_table_is_bounded_by_the_catalogue() -> None:
    """Prevents a served request for a million tracks from taking gigabytes of table."""
    assert 1 << (32 - slot_kernels.slot_shift(10, 10**6)) == 1 << slot_kernels.SLOT_BITS
    assert 1 << (32 - slot_kernels.slot_shift(1000, 10**6)) == 1 << 15
    assert 1 << (32 - slot_kernels.slot_shift(10**9, 10**6)) == 1 << 20
    assert 1 << (32 - slot_kernels.slot_shift(10**9, 1)) == 1 << slot_kernels.SLOT_BITS
