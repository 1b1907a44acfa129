"""Who answers which query, for a catalogue, artists and titles whose right answers are known."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from recsys_assets.models.base import ARTIST, POPULARITY, TITLE, TRACK
from recsys_assets.models.registry import FAMILIES, build, load_recommender
from recsys_assets.models.tiers import TIERS, Tiered
from recsys_assets.models.title import Title
from recsys_assets.playlists import MISSING, Catalog, PlaylistSet
from recsys_assets_tests.models.blocks import (
    BLOCK_SIZE,
    BLOCKS,
    EVERY_FAMILY,
    PARAMETERS,
    SIZE,
    block_catalog,
    block_playlists,
    block_titles,
    fitted,
)

NEW = SIZE + np.arange(BLOCKS, dtype=np.int32)
"""One track of each block's artist that training never saw; the last track has no artist."""
NAMELESS = SIZE + BLOCKS
QUERIES = PlaylistSet.from_lists(
    [[0, int(NEW[0])], [int(NEW[1]), MISSING], [NAMELESS], [], [MISSING], [NAMELESS]],
    ["aaa", "fff", "songs ccc", "ddd", "?!", None],
)
BY_TIER = {
    TRACK: [TRACK, ARTIST, TITLE, TITLE, POPULARITY, POPULARITY],
    ARTIST: [ARTIST, ARTIST, TITLE, TITLE, POPULARITY, POPULARITY],
    TITLE: [TITLE, TITLE, TITLE, TITLE, POPULARITY, POPULARITY],
    POPULARITY: [POPULARITY] * 6,
}
"""What each query is answered from, by what the family itself answers from."""
BLOCK_OF_ROW = [{TRACK: 0, ARTIST: 0, TITLE: 0}, {ARTIST: 1, TITLE: 5}, {TITLE: 2}, {TITLE: 3}]
"""The block that the answer is in, where the tier decides it."""


def catalog() -> Catalog:
    """Return the blocks' catalogue with new tracks: one of each artist, and one of none."""
    whole = block_catalog(SIZE + BLOCKS + 1)
    artists = np.concatenate(
        [
            np.arange(SIZE, dtype=np.int32) // BLOCK_SIZE,
            np.arange(BLOCKS, dtype=np.int32),
            [MISSING],
        ]
    )
    return Catalog(whole.ids, whole.names, artists.astype(np.int32))


def tiered(family: str, train: PlaylistSet | None = None, **parameters: object) -> Tiered:
    """Return a fitted family with its tiers, with parameters for tiny data."""
    model = build(family, {**PARAMETERS.get(family, {}), **parameters})
    return Tiered.fit(model, train or block_playlists(), catalog(), seed=1)


@cache
def of_blocks(family: str) -> Tiered:
    """Return a family fitted on the blocks, once for all tests."""
    return tiered(family)


def own_tier(family: str) -> int:
    """Return what a family with its default parameters answers from at best."""
    return TRACK if family in {"blend", "two_stage"} else FAMILIES[family].signal


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_the_first_tier_that_knows_answers(family: str) -> None:
    """Prevents a cold query from being answered by popularity, or a tier from being misreported."""
    model = of_blocks(family)
    items, scores, tiers = model.answer(QUERIES, 10)
    assert tiers.tolist() == BY_TIER[own_tier(family)]
    for row, blocks in enumerate(BLOCK_OF_ROW):
        if tiers[row] in blocks:
            own = items[row] // BLOCK_SIZE == blocks[tiers[row]]
            assert own.all(), (row, items[row])
    assert (items != MISSING).all()
    assert (np.diff(scores, axis=1) <= 0).all()
    popular = model.popular[:10].tolist()
    for row in np.flatnonzero(tiers == POPULARITY):
        queried = QUERIES.items[QUERIES.offsets[row] : QUERIES.offsets[row + 1]].tolist()
        assert items[row].tolist() == [item for item in popular if item not in queried][:10]


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_the_model_itself_answers_what_it_knows(family: str) -> None:
    """Prevents a stand-in from changing answers that the family has an opinion on."""
    model, alone = of_blocks(family), fitted(family, block_playlists(), catalog=catalog())
    queries = PlaylistSet.from_lists(
        [[b * BLOCK_SIZE, b * BLOCK_SIZE + 3] for b in range(BLOCKS)],
        block_titles(list(range(BLOCKS))),
    )
    for one, other in zip(model.recommend(queries, 8), alone.recommend(queries, 8), strict=True):
        assert one.tobytes() == other.tobytes()
    singles = np.arange(SIZE, dtype=np.int32)
    for one, other in zip(model.similar(singles, 5), alone.similar(singles, 5), strict=True):
        assert one.tobytes() == other.tobytes()
    assert model.neighbour_model() == alone.neighbour_model()
    assert model.known_items().tolist() == alone.known_items().tolist()


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_save_and_load(family: str, tmp_path: Path) -> None:
    """Prevents a registered model without the tiers that it was measured with."""
    model = of_blocks(family)
    model.save(tmp_path)
    again = Tiered.load(tmp_path)
    for one, other in zip(model.answer(QUERIES, 12), again.answer(QUERIES, 12), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_batch_changes_nothing(family: str) -> None:
    """Prevents a served single request from getting another tier than the evaluated block."""
    model = of_blocks(family)
    whole = model.answer(QUERIES, 12)
    for row in range(len(QUERIES)):
        one = model.answer(QUERIES.slice(row, row + 1), 12)
        for part, block in zip(one, whole, strict=True):
            assert part[0].tobytes() == block[row].tobytes()


def test_a_model_without_tiers_is_completed_with_popular_items(tmp_path: Path) -> None:
    """Prevents a version that was registered before tiers existed from being refused."""
    alone = fitted("cooccurrence", block_playlists(), catalog=catalog())
    alone.save(tmp_path)
    model = Tiered.load(tmp_path)
    items, _, tiers = model.answer(QUERIES, 10)
    assert tiers.tolist() == [TRACK] + [POPULARITY] * 5
    assert items.tolist() == load_recommender(tmp_path).recommend(QUERIES, 10)[0].tolist()


def test_nothing_is_fitted_that_cannot_answer(tmp_path: Path) -> None:
    """Prevents data without artists or titles from paying for tiers that it cannot use."""
    untitled = PlaylistSet.from_lists([[0, 1, 2], [1, 2, 3]])
    model = Tiered.fit(build("pair_counts", {}), untitled, Catalog.anonymous(5), seed=0)
    assert model.stand_ins == {}
    assert set(tiered("cooccurrence").stand_ins) == {ARTIST, TITLE}
    assert set(tiered("artist_knn").stand_ins) == {TITLE}
    assert set(tiered("title").stand_ins) == set(tiered("popularity").stand_ins) == set()
    assert set(tiered("blend").stand_ins) == {TITLE}
    members = [{"family": one} for one in ("cooccurrence", "artist_tracks", "title")]
    assert tiered("blend", members=members, weights=[1, 1, 1]).stand_ins == {}


def test_an_ensemble_tells_what_its_members_answered_from() -> None:
    """Prevents a blend's answer by title or artist from being reported as one by tracks."""
    members = [{"family": one} for one in ("cooccurrence", "artist_tracks", "title")]
    model = tiered("blend", members=members, weights=[1, 1, 1])
    assert model.answer(QUERIES, 10).tiers.tolist() == BY_TIER[TRACK]
    by_title = tiered(
        "blend", members=[{"family": "popularity"}, {"family": "title"}], weights=[1, 1]
    )
    assert by_title.answer(QUERIES, 10).tiers.tolist() == BY_TIER[TITLE]


def test_a_track_without_neighbours_is_answered_by_its_artist() -> None:
    """Prevents a track that training saw alone from getting popular tracks of other artists."""
    train = block_playlists().concat(PlaylistSet.from_lists([[int(NEW[4])]], [None]))
    model = tiered("cooccurrence", train)
    items, _, tiers = model.answer(PlaylistSet.from_lists([[int(NEW[4])]]), 10)
    assert model.known_items()[NEW[4]]
    assert tiers.tolist() == [ARTIST]
    assert (items[0] // BLOCK_SIZE == 4).all()


def test_k_below_one_is_refused() -> None:
    """Prevents k = 0 from giving empty answers."""
    with pytest.raises(ValueError, match="at least 1"):
        tiered("popularity").answer(QUERIES, 0)
    with pytest.raises(ValueError, match="at least 1"):
        tiered("popularity").similar(np.array([1], np.int32), 0)
    assert TIERS[POPULARITY] == "popularity"


def test_stand_ins_are_fitted_once_for_the_same_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents fitting the same titles again for every candidate, or serving those of other data."""
    fits: list[PlaylistSet] = []
    fit = Title.fit

    def counted(self: Title, train: PlaylistSet, catalog: Catalog, **rest: Any) -> Title:
        fits.append(train)
        return fit(self, train, catalog, **rest)

    monkeypatch.setattr(Title, "fit", counted)
    train, other = block_playlists(seed=8), block_playlists(seed=9)
    first, second = tiered("cooccurrence", train), tiered("pair_counts", train)
    assert fits == [train]
    assert first.stand_ins[TITLE] is second.stand_ins[TITLE]
    assert tiered("cooccurrence", other).stand_ins[TITLE] is not first.stand_ins[TITLE]
    retitled = PlaylistSet(other.offsets, other.items, pa.array(["songs"] * len(other)))
    tiered("cooccurrence", retitled)
    assert fits == [train, other, retitled]
