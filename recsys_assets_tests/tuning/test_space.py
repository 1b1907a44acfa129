"""Ranges in a candidates file: what they become, and the message for every mistake."""

from pathlib import Path

import pytest

from recsys_assets.errors import GridError
from recsys_assets.grid import CandidateSpec, load_grid
from recsys_assets.models.cooccurrence import CooccurrenceParameters
from recsys_assets.training import candidate_fingerprint
from recsys_assets.tuning.space import Choices, Span

ENTRY = "candidates:\n  - {name: a, family: %s, parameters: {%s}, search: %s}\n"


def load(tmp_path: Path, family: str, parameters: str, search: str) -> CandidateSpec:
    """Read a grid of one entry."""
    file = tmp_path / "mine.yaml"
    file.write_text(ENTRY % (family, parameters, search))
    return load_grid(file)[0]


def test_ranges(tmp_path: Path) -> None:
    """Prevents whole numbers searched as fractions, a lost `log`, and choices of another type."""
    spec = load(
        tmp_path,
        "word2vec",
        "window: 7, alpha: 1, half_life: 2",
        "{window: {low: 5, high: 9}, alpha: {low: 1e-3, high: 1, log: true}, sg: [0, 1], "
        "query: [last, recency_mean], half_life: [1, 2.0]}",
    )
    assert spec.search == {
        "window": Span(5, 9, whole=True),
        "alpha": Span(0.001, 1.0, whole=False, log=True),
        "sg": Choices((0, 1)),
        "query": Choices(("last", "recency_mean")),
        "half_life": Choices((1.0, 2.0)),
    }
    window, half_life = spec.search["window"], spec.search["half_life"]
    assert isinstance(window, Span)
    assert isinstance(window.low, int)
    assert isinstance(half_life, Choices)
    assert all(isinstance(value, float) for value in half_life.values)


def test_search_changes_no_candidate(tmp_path: Path) -> None:
    """Prevents a range from altering what a normal run trains, or its fingerprint."""
    plain = load(tmp_path, "cooccurrence", "window: 7", "null")
    searched = load(tmp_path, "cooccurrence", "window: 7", "{window: {low: 1, high: 9}}")
    assert plain.search == {}
    assert searched.parameters == plain.parameters == CooccurrenceParameters(window=7)
    one, other = (candidate_fingerprint(s, version="v", seed=1) for s in (plain, searched))
    assert one == other


MISTAKES = {
    "not a mapping": ("[window]", "field search: expected ranges by hyperparameter, found a list"),
    "nothing in it": ("{}", "field search: expected at least one hyperparameter with its range"),
    "unknown field": (
        "{windw: {low: 1, high: 9}}",
        "field search windw: not a hyperparameter of family cooccurrence; allowed are window, "
        "distance_exponent",
    ),
    "below the field's range": (
        "{window: {low: 0, high: 9}}",
        "field search window: low: found 0; allowed is a whole number at least 1 and at most 10000. (",
    ),
    "above it": (
        "{backward: {low: 0.5, high: 2}}",
        "field search backward: high: found 2; allowed is a number at least 0 and at most 1. (",
    ),
    "wrong type": (
        "{window: {low: 1.5, high: '9'}}",
        "field search window: high: found '9'; allowed is a whole number",
    ),
    "low above high": (
        "{window: {low: 100, high: 5}}",
        "field search window: low 100 is not below high 5",
    ),
    "log from 0": (
        "{backward: {low: 0, high: 1, log: true}}",
        "field search backward: log: true needs a low greater than 0, found 0",
    ),
    "log of another type": (
        "{window: {low: 1, high: 50, log: 1}}",
        "field search window: log: found 1; allowed is true or false",
    ),
    "no high": ("{window: {low: 1}}", "field search window: high is missing; expected {low: …"),
    "unknown part": (
        "{window: {low: 1, hihg: 50}}",
        "field search window: hihg is not part of a range; allowed are low, high, log (did you mean "
        "high?)",
    ),
    "one value": (
        "{window: 30}",
        "field search window: found 30; expected {low: …, high: …}, with",
    ),
    "one choice": ("{window: [7]}", "field search window: expected two or more different choices"),
    "a choice twice": ("{window: [7, 7]}", "expected two or more different choices, found [7, 7]"),
    "a choice out of range": (
        "{window: [7, 0]}",
        "field search window: found 0; allowed is a whole number at least 1",
    ),
    "own value outside": (
        "{window: {low: 8, high: 9}}",
        "field search window: the entry's own value 7 is not in 8 to 9; the search starts from it",
    ),
    "two mistakes": ("{window: 30, windw: 3}", "field search windw: not a hyperparameter"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_explained(mistake: str, tmp_path: Path) -> None:
    """Prevents a mistake that passes, or a message that leaves the user to guess."""
    search, expected = MISTAKES[mistake]
    with pytest.raises(GridError) as caught:
        load(tmp_path, "cooccurrence", "window: 7", search)
    assert "entry 1 (a), field search" in str(caught.value)
    assert expected in str(caught.value)


def test_only_scalars_and_only_numbers_have_ranges(tmp_path: Path) -> None:
    """Prevents a search over lists of members, over choices as if between them, or to infinity."""
    cases = {
        ("blend", "{members: [[], []]}"): "a list is not searched; allowed are per_member, combine",
        (
            "word2vec",
            "{sg: {low: 0, high: 1}}",
        ): "expected a list of choices out of 0 or 1, found a",
        ("word2vec", "{query: {low: 0, high: 1}}"): "choices out of 'last' or 'recency_mean'",
        ("pair_counts", "{threshold: {low: 1, high: .inf}}"): "found inf; a search needs finite",
        (
            "popularity",
            "{window: {low: 0, high: 1}}",
        ): "hyperparameter of family popularity; it has",
    }
    for (family, search), expected in cases.items():
        with pytest.raises(GridError) as caught:
            load(tmp_path, family, "", search)
        assert expected in str(caught.value)
