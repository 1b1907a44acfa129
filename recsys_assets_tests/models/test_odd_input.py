"""Odd input to every family: a clear error or a right answer, whatever the family."""

from pathlib import Path

import annotated_types
import numpy as np
import pytest
import yaml

from recsys_assets.errors import DataError, GridError
from recsys_assets.evaluation import metrics as m
from recsys_assets.evaluation.protocol import evaluate
from recsys_assets.grid import CandidateSpec, load_grid
from recsys_assets.models.base import Hyperparameters
from recsys_assets.models.registry import FAMILIES, build
from recsys_assets.models.tiers import TIERS, Tiered
from recsys_assets.playlists import MISSING, Catalog, PlaylistSet
from recsys_assets.progress import silent
from recsys_assets.training import train_and_evaluate
from recsys_assets_tests.models.blocks import (
    PARAMETERS,
    SIZE,
    block_catalog,
    block_playlists,
    block_titles,
)

SETTINGS = [
    (family, settings)
    for family in FAMILIES
    for settings in ({}, PARAMETERS.get(family))
    if settings is not None
]
"""Every family with its defaults, and where there are any with parameters for tiny data."""


def of_one_artist(size: int) -> Catalog:
    """Return a catalogue in which all tracks are of one artist."""
    names = Catalog.anonymous(size)
    return Catalog(names.ids, names.names, np.zeros(size, np.int32))


def fit_or_told(family: str, settings: dict, train: PlaylistSet, catalog: Catalog) -> Tiered | None:
    """Return the fitted model; None if it was refused with a message that says what to change."""
    try:
        return Tiered.fit(build(family, settings), train, catalog, seed=0)
    except DataError as error:
        assert PARAMETERS.get(family) != settings, "parameters for tiny data must be usable"
        message = str(error)
        assert message.startswith(f"{family}: expected ")
        assert "found none" in message
        assert "in the candidates file" in message
        return None


@pytest.mark.parametrize(("family", "settings"), SETTINGS)
@pytest.mark.parametrize("tracks", [[0, 1, 2, 3, 4], [0, 0, 1, 0], [1], [0, 0]])
def test_a_training_set_of_one_playlist(family: str, settings: dict, tracks: list[int]) -> None:
    """Prevents a small first data set from ending in a traceback, or in answers of nothing."""
    train = PlaylistSet.from_lists([tracks], ["mix"])
    model = fit_or_told(family, settings, train, of_one_artist(6))
    if model is None:
        return
    queries = PlaylistSet.from_lists(
        [[], [0], [5], [MISSING], [0, 1, 2, 3, 4]], ["mix"] + [None] * 4
    )
    items, scores, _ = model.answer(queries, 4)
    for row in range(len(queries)):
        asked = queries.items[queries.offsets[row] : queries.offsets[row + 1]].tolist()
        left = set(tracks) - set(asked)
        answered = items[row][items[row] != MISSING].tolist()
        assert len(answered) == len(set(answered)) == min(4, len(left))
        assert set(answered) <= left
        assert np.isfinite(scores[row, : len(answered)]).all()


@pytest.mark.parametrize(("family", "settings"), SETTINGS)
@pytest.mark.parametrize("playlists", [[[0]], [[0], [0]], [[0, 0], [0]]])
def test_a_catalogue_of_one_track(family: str, settings: dict, playlists: list[list[int]]) -> None:
    """Prevents the smallest catalogue from failing, or from recommending what is played already."""
    train = PlaylistSet.from_lists(playlists, ["mix"] * len(playlists))
    for catalog in (of_one_artist(1), Catalog.anonymous(1)):
        model = fit_or_told(family, settings, train, catalog)
        if model is None:
            continue
        queries = PlaylistSet.from_lists([[], [0], [MISSING], [0, 0]], ["mix", None, None, "mix"])
        items, scores, _ = model.answer(queries, 2)
        nothing = [MISSING, MISSING]
        assert items.tolist() == [[0, MISSING], nothing, [0, MISSING], nothing]
        assert (scores[items == MISSING] == -np.inf).all()
        measured = evaluate(model, PlaylistSet.from_lists([[0, 0]]), catalog, train, seed=0)
        assert measured.ranks.tolist() == [0]


@pytest.mark.parametrize("family", FAMILIES)
def test_an_empty_validation_set(family: str) -> None:
    """Prevents a leaderboard of means over nothing."""
    spec = CandidateSpec(family, family, build(family, PARAMETERS.get(family, {})).parameters)
    train = PlaylistSet.from_lists([[0, 1, 2], [1, 2, 3], [0, 2, 3]])
    with pytest.raises(DataError, match="at least one held-out playlist to measure on, found none"):
        train_and_evaluate(
            spec, train, PlaylistSet.from_lists([]), of_one_artist(4), seed=0, progress=silent
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_an_all_cold_query_set(family: str) -> None:
    """Prevents a failure, a hit or a wrong tier where training saw no track of any query."""
    names = block_catalog(SIZE + 9)
    artists = np.concatenate([block_catalog().artist_index, np.full(9, MISSING, np.int32)])
    catalog = Catalog(names.ids, names.names, artists)
    held_out = PlaylistSet.from_lists(
        [[SIZE + i, SIZE + i + 1, i] for i in range(8)] + [[SIZE, SIZE + 8]],
        [*block_titles([0] * 4), "?", "?", None, None, None],
    )
    model = Tiered.fit(
        build(family, PARAMETERS.get(family, {})), block_playlists(), catalog, seed=0
    )
    found = {
        (one.metric, one.slice): one.value
        for one in evaluate(model, held_out, catalog, block_playlists(), seed=0).measurements
    }
    assert found[m.COLD_QUERY_SHARE, "all"] == 1.0
    assert found[m.COLD_TARGET_SHARE, "all"] == pytest.approx(1 / 9)
    counts = {tier: found.get((m.PLAYLISTS, f"tier_{tier}"), 0) for tier in TIERS}
    titled = 4 if TIERS.index("popularity") != model.model.signal else 0
    assert counts == {"track": 0, "artist": 0, "title": titled, "popularity": 9 - titled}
    popular = model.popular[:100].tolist()
    queries, _ = held_out.leave_last_out()
    items, _ = model.recommend(queries, 100)
    assert items[8][: len(popular)].tolist() == popular


def wrong_values(kind: type[Hyperparameters]) -> list[tuple[str, object]]:
    """Return for every hyperparameter a value of a wrong kind, and values out of its range."""
    wrong: list[tuple[str, object]] = []
    for name, field in kind.model_fields.items():
        wrong.append((name, {"a": 1}))
        for bound in field.metadata:
            for limit, step in (("ge", -1), ("gt", 0), ("le", 1), ("lt", 0)):
                if isinstance(bound, getattr(annotated_types, limit.title())):
                    wrong.append((name, getattr(bound, limit) + step))
    return [*wrong, ("no_such_field", 1)]


@pytest.mark.parametrize("family", FAMILIES)
def test_bad_hyperparameters(family: str, tmp_path: Path) -> None:
    """Prevents a typo or an impossible value from being trained, or from an unhelpful message."""
    file = tmp_path / "mine.yaml"
    wrong = wrong_values(FAMILIES[family].parameters_type)
    assert len(wrong) > len(FAMILIES[family].parameters_type.model_fields)
    for name, value in wrong:
        entry = {"name": "mine", "family": family, "parameters": {name: value}}
        file.write_text(yaml.safe_dump({"candidates": [entry]}))
        with pytest.raises(GridError) as caught:
            load_grid(file)
        message = str(caught.value)
        assert str(file) in message
        assert "entry 1 (mine)" in message
        assert name in message
