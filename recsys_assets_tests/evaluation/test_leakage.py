"""Leakage: whoever learns from shuffled playlists must fall to popularity, on the same held-out ones.

Shuffling deals the tracks of all training playlists anew: lengths, titles and plays stay, what goes
together is gone. A hit rate above popularity could then come only from the held-out playlists.
"""

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from recsys_assets import columns as c
from recsys_assets.evaluation.intervals import paired_difference
from recsys_assets.evaluation.protocol import Evaluation
from recsys_assets.grid import CandidateSpec, load_grid
from recsys_assets.models.registry import FAMILIES, build
from recsys_assets.playlists import MISSING, Catalog, Float64, PlaylistSet
from recsys_assets.preparation.catalog import (
    artist_catalog_query,
    track_catalog_query,
    tracks_as_catalog,
)
from recsys_assets.preparation.sequences import playlist_sequences_query, track_playlists
from recsys_assets.preparation.split import SplitRule, split_query
from recsys_assets.progress import silent
from recsys_assets.training import train_and_evaluate
from recsys_assets_tests.models.blocks import (
    BLOCK_SIZE,
    BLOCKS,
    PARAMETERS,
    SIZE,
    block_catalog,
    block_titles,
)
from recsys_assets_tests.sources.support import run

PLACES = 10
CHANCE = 0.07
"""Beyond three standard errors (0.06) of the difference of two shares of 10 in 84, 500 playlists."""
OF_ARTISTS = {"artist_tracks", "matrix_factorisation", "mlp"}
LEARNING = [name for name in FAMILIES if name != "popularity"]


def shuffled(playlists: PlaylistSet, seed: int) -> PlaylistSet:
    """Deal all tracks anew over the same playlists."""
    items = np.random.default_rng(seed).permutation(playlists.items)
    return PlaylistSet(playlists.offsets, items, playlists.titles)


def joined(first: PlaylistSet, second: PlaylistSet) -> PlaylistSet:
    """Return the playlists of both."""
    assert first.titles is not None
    assert second.titles is not None
    return PlaylistSet(
        np.concatenate([first.offsets, first.offsets[-1] + second.offsets[1:]]),
        np.concatenate([first.items, second.items]),
        pa.concat_arrays([first.titles, second.titles]),
    )


def with_dealt_artists(catalog: Catalog, seed: int) -> Catalog:
    """Deal the artists anew: which tracks are of one artist is no part of the playlists."""
    artists = np.random.default_rng(seed).permutation(catalog.artist_index)
    return replace(catalog, artist_index=artists)


def block_lists(count: int, seed: int) -> PlaylistSet:
    """Return playlists of 7 tracks of one block each, all tracks alike: popularity is chance."""
    rng = np.random.default_rng(seed)
    blocks = [p % BLOCKS for p in range(count)]
    lists = [(rng.choice(BLOCK_SIZE, 7, replace=False) + BLOCK_SIZE * b).tolist() for b in blocks]
    return PlaylistSet.from_lists(lists, block_titles(blocks))


def hits(evaluation: Evaluation, places: int) -> Float64:
    """float64[n]: 1 where the target is among the first so many."""
    return ((evaluation.ranks > 0) & (evaluation.ranks <= places)).astype(np.float64)


def measured(
    spec: CandidateSpec, train: PlaylistSet, held_out: PlaylistSet, catalog: Catalog
) -> Evaluation:
    """Train and measure as a candidate is."""
    return train_and_evaluate(spec, train, held_out, catalog, seed=1, progress=silent).evaluation


def spec_of(family: str) -> CandidateSpec:
    """Return a family with parameters for tiny data."""
    return CandidateSpec(family, family, build(family, PARAMETERS.get(family, {})).parameters)


def popular_hits(train: PlaylistSet, held_out: PlaylistSet, catalog: Catalog) -> Float64:
    """Return what popularity hits."""
    return hits(measured(spec_of("popularity"), train, held_out, catalog), PLACES)


@pytest.mark.parametrize("family", LEARNING)
def test_shuffled_training_drops_to_popularity(family: str) -> None:
    """Prevents a family, or the protocol around it, from seeing the targets it is measured on."""
    train, held_out, catalog = block_lists(240, 3), block_lists(500, 4), block_catalog(SIZE)
    spec, popular = spec_of(family), popular_hits(train, held_out, catalog)
    assert popular.mean() == pytest.approx(10 / 84, abs=0.05)
    learned = hits(measured(spec, train, held_out, catalog), PLACES)
    assert paired_difference(learned, popular, seed=0).low > 0.3
    dealt = measured(spec, shuffled(train, 5), held_out, with_dealt_artists(catalog, 6))
    assert paired_difference(hits(dealt, PLACES), popular, seed=0).value < CHANCE


@pytest.mark.parametrize("family", LEARNING)
def test_a_planted_leak_is_found(family: str) -> None:
    """Prevents the check above from passing whatever leaks: here the targets are in training."""
    train, held_out, catalog = block_lists(240, 3), block_lists(500, 4), block_catalog(SIZE)
    spec, popular = spec_of(family), popular_hits(train, held_out, catalog)
    leaked = joined(shuffled(train, 5), held_out)
    # Families of artists see tracks through them alone: theirs stay true, which leaks as much.
    artists = catalog if family in OF_ARTISTS else with_dealt_artists(catalog, 6)
    found = hits(measured(spec, leaked, held_out, artists), PLACES)
    assert paired_difference(found, popular, seed=0).value > CHANCE


@pytest.mark.slow
@pytest.mark.real_data
def test_shuffled_training_drops_to_popularity_on_real_playlists(
    real_data: Path, tmp_path: Path
) -> None:
    """Prevents a leak that only real playlists show: titles, repeats, albums, cold tracks."""
    run(real_data / "mpd", tmp_path)
    rule = SplitRule("recsys_assets")
    with duckdb.connect() as connection:
        cleaned = tmp_path / "cleaned.parquet"
        for table, query in (
            (c.ARTIST_CATALOG, artist_catalog_query(cleaned, rule)),
            (c.TRACK_CATALOG, track_catalog_query(cleaned, rule)),
            (c.PLAYLIST_SEQUENCES, playlist_sequences_query(cleaned, rule)),
        ):
            query.create(connection, table)
        train, held_out = (
            track_playlists(split_query(table).fetch(connection))
            for table in (c.TRAIN_PLAYLISTS, c.VALIDATION_PLAYLISTS)
        )
        catalog = tracks_as_catalog(connection.execute(f"FROM {c.TRACK_CATALOG}").to_arrow_table())
    assert (catalog.artist_index != MISSING).any()
    grid = [spec for spec in load_grid() if spec.family != "word2vec"]
    floor = next(spec for spec in grid if spec.family == "popularity")
    popular = hits(measured(floor, train, held_out, catalog), 100)
    dealt_train, dealt_catalog = shuffled(train, 5), with_dealt_artists(catalog, 6)
    for spec in grid:
        dealt = hits(measured(spec, dealt_train, held_out, dealt_catalog), 100)
        difference = paired_difference(dealt, popular, seed=0)
        assert difference.low <= 0, (spec.name, difference)
