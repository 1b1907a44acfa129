"""The ranker: trees as LightGBM's own."""

import lightgbm
import numpy as np
import pytest

from recsys_assets.models.two_stage_ranker import _parse, fit_trees


@pytest.mark.parametrize("objective", ["lambdarank", "binary"])
def test_trees_score_as_lightgbm_does(objective: str) -> None:
    """Prevents a misread split, leaf or order of LightGBM's text format."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(600, 5)).astype(np.float32)
    labels = (rows[:, 2] + rng.normal(size=600) > 1).astype(np.int32)
    parameters = {"objective": objective, "num_leaves": 7, "min_data_in_leaf": 5, "verbosity": -1}
    data = lightgbm.Dataset(rows, labels, group=np.full(60, 10))
    booster = lightgbm.train({**parameters, "label_gain": "0,1", "num_threads": 1}, data, 9)
    trees = _parse(booster.model_to_string())
    assert trees.score(rows) == pytest.approx(booster.predict(rows, raw_score=True), abs=1e-12)
    learned = fit_trees(rows, labels, np.full(60, 10), parameters, rounds=9)
    assert np.corrcoef(learned.score(rows), rows[:, 2])[0, 1] > 0.8


def test_trees_without_a_split() -> None:
    """Prevents a forest that LightGBM could not grow from failing to be read."""
    rows, labels = np.zeros((20, 2), np.float32), np.tile(np.array([1, 0], np.int32), 10)
    trees = fit_trees(rows, labels, np.full(10, 2), {"objective": "binary"}, rounds=3)
    assert len(set(trees.score(rows).tolist())) == 1
