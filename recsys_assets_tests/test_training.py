"""Fingerprints that see every change, and another model measured through its own catalogue."""

import numpy as np
import pyarrow as pa
import pytest

from recsys_assets import training
from recsys_assets.code_version import library_versions
from recsys_assets.grid import CandidateSpec
from recsys_assets.models.cooccurrence import CooccurrenceParameters
from recsys_assets.playlists import Catalog, PlaylistSet
from recsys_assets.progress import silent
from recsys_assets.serving.bundle import Bundle
from recsys_assets.training import (
    candidate_fingerprint,
    data_version,
    hits_of_bundle,
    train_and_evaluate,
)

LISTS = [[i % 7, (i * 3) % 11, (i * 5) % 13, (i + 2) % 7] for i in range(40)]
SPEC = CandidateSpec("cooccurrence", "cooccurrence", CooccurrenceParameters())


def catalog_of(ids: list[str]) -> Catalog:
    """Make a catalogue of these ids."""
    names = pa.array(ids, pa.string())
    return Catalog(names, names, np.zeros(len(ids), np.int32))


def test_champion_is_measured_through_its_own_ids() -> None:
    """Prevents comparing with a champion whose integers mean other tracks."""
    ids = [f"t{i}" for i in range(13)]
    catalog = catalog_of(ids)
    train, test = PlaylistSet.from_lists(LISTS[:30]), PlaylistSet.from_lists(LISTS[30:])
    trained = train_and_evaluate(SPEC, train, test, catalog, seed=0, progress=silent)
    same = hits_of_bundle(Bundle(trained.model, catalog), test, catalog, progress=silent)
    assert same.tolist() == (trained.evaluation.ranks > 0).astype(float).tolist()

    # The current catalogue numbers the tracks the other way round, and knows one more.
    reordered = catalog_of(["new", *reversed(ids)])
    index = {id_: i for i, id_ in enumerate(reordered.ids.to_pylist())}
    renumbered = PlaylistSet.from_lists([[index[ids[i]] for i in one] for one in LISTS[30:]])
    bundle = Bundle(trained.model, catalog)
    assert hits_of_bundle(bundle, renumbered, reordered, progress=silent).tolist() == same.tolist()
    unknown = PlaylistSet.from_lists([[index["t0"], index["t1"], 0]])
    assert hits_of_bundle(bundle, unknown, reordered, progress=silent).tolist() == [0.0]


def test_fingerprint_sees_data_parameters_and_seed() -> None:
    """Prevents a changed candidate from being taken for a registered one."""
    catalog = catalog_of([f"t{i}" for i in range(13)])
    one, other = PlaylistSet.from_lists(LISTS[:30]), PlaylistSet.from_lists(LISTS[1:31])
    versions = {data_version(one, other, catalog), data_version(other, one, catalog)}
    assert len(versions) == 2
    changed = CandidateSpec("x", "cooccurrence", CooccurrenceParameters(window=3))
    prints = [
        candidate_fingerprint(SPEC, version="v", seed=0),
        candidate_fingerprint(SPEC, version="w", seed=0),
        candidate_fingerprint(SPEC, version="v", seed=1),
        candidate_fingerprint(changed, version="v", seed=0),
    ]
    assert len(set(prints)) == 4
    went_on = candidate_fingerprint(SPEC, version="v", seed=0, begun="going on from a model")
    assert went_on not in prints
    why = candidate_fingerprint(SPEC, version="v", seed=0, begun="from scratch: no earlier model")
    assert why == prints[0]
    renamed = CandidateSpec("other name", SPEC.family, SPEC.parameters)
    assert candidate_fingerprint(renamed, version="v", seed=0) == prints[0]


def test_fingerprint_sees_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a model of another LightGBM from standing for what this one would have learned."""
    before = candidate_fingerprint(SPEC, version="v", seed=0)
    names = [text.split()[0] for text in library_versions()]
    assert "lightgbm" in names
    assert "torch" not in names  # an extra: all families would be trained again for two
    monkeypatch.setattr(training, "library_versions", lambda: ("lightgbm 0.1",))
    assert candidate_fingerprint(SPEC, version="v", seed=0) != before
