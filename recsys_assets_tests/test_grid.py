"""The candidates file: the shipped grid, and the message for every mistake."""

from pathlib import Path

import pytest

from recsys_assets.errors import GridError
from recsys_assets.grid import asked_grid, chosen_grid, left_out, load_grid
from recsys_assets.models import extras
from recsys_assets.models.registry import FAMILIES, build


def grid(tmp_path: Path, text: str) -> Path:
    """Write a candidates file."""
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    return file


def entry(fields: str) -> str:
    """Return a grid of one entry in flow style."""
    return f"candidates:\n  - {{{fields}}}\n"


def test_shipped_grid() -> None:
    """Prevents a release whose grid does not load or lacks a family or the tutorial's sets."""
    full = asked_grid(None, "full")
    assert {spec.family for spec in full} == set(FAMILIES)
    assert len({spec.name for spec in full}) == len(full)
    assert chosen_grid(None, "default") == load_grid() == full[: len(load_grid())]
    specs = {spec.name: spec for spec in load_grid()}
    for min_count in (3, 5, 10):
        p = specs[f"word2vec_min_count_{min_count}"].parameters.model_dump()
        tutorial = {
            "min_count": min_count,
            "epochs": 30,
            "vector_size": 48,
            "window": 10,
            "ns_exponent": 0.75,
            "sg": 0,
            "query": "last",
        }
        assert {key: p[key] for key in tutorial} == tutorial
    assert specs["word2vec_skipgram"].parameters.model_dump()["sg"] == 1
    assert specs["cooccurrence"].parameters.model_dump()["two_hop"] == 0
    assert specs["cooccurrence_two_hop"].parameters.model_dump()["two_hop"] > 0


@pytest.mark.parametrize("installed", [True, False])
def test_entries_whose_extra_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """Prevents a failed run, or a silent gap in the leaderboard, where torch is not installed."""
    monkeypatch.setattr(
        extras.importlib.util, "find_spec", lambda name: object() if installed else None
    )
    full = asked_grid(None, "full")
    trained = {"matrix_factorisation", "mlp"}
    found = {spec.family for spec in chosen_grid(None, "full")}
    assert found == set(FAMILIES) - (set() if installed else trained)
    names = [spec.name for spec in full if spec.family in trained]
    how = "pip install 'recsys_assets[torch]', or here: make setup EXTRAS=torch"
    line = f"left out, as torch is not installed: {', '.join(names)} ({how})"
    assert left_out(full) == (() if installed else (line,))
    text = (
        "candidates:\n  - {name: floor, family: popularity}\n"
        "  - name: mix\n    family: blend\n    parameters:\n"
        "      members: [{family: popularity}, {family: mlp}]\n"
    )
    mine = chosen_grid(grid(tmp_path, text), "default")
    assert [spec.name for spec in mine] == (["floor", "mix"] if installed else ["floor"])
    text = entry("name: net, family: mlp")
    if installed:
        assert len(chosen_grid(grid(tmp_path, text), "default")) == 1
        return
    with pytest.raises(GridError, match=r"mine\.yaml: no entry can be trained.*net \(pip install"):
        chosen_grid(grid(tmp_path, text), "default")
    with pytest.raises(GridError, match="field epochs: found 0"):
        chosen_grid(grid(tmp_path, entry("name: n, family: mlp, parameters: {epochs: 0}")), "full")


def test_mistakes_in_a_list_of_members(tmp_path: Path) -> None:
    """Prevents a message that shows a whole list and not the entry, the name and what is allowed."""
    text = (
        "candidates:\n  - name: mix\n    family: blend\n    parameters:\n      members:\n"
        "        - family: cooccurrence\n        - {family: cooccurrence, parameters: {windw: 3}}\n"
        "        - family: tilte\n"
    )
    with pytest.raises(GridError) as caught:
        load_grid(grid(tmp_path, text))
    message = str(caught.value)
    assert "(mix), field members entry 2: cooccurrence, windw: found 3" in message
    assert "cooccurrence has window, distance_exponent" in message
    assert "field members entry 3: no family 'tilte'; allowed are popularity" in message


def test_order_and_defaults(tmp_path: Path) -> None:
    """Prevents a changed order, lost values, and parameters that `build` would not take."""
    specs = load_grid(
        grid(
            tmp_path,
            "candidates:\n"
            "  - {name: b, family: word2vec, parameters: {sample: 1e-5, alpha: 1, epochs: 3}}\n"
            "  - {name: A_1, family: popularity}\n",
        )
    )
    assert [(spec.name, spec.family) for spec in specs] == [
        ("b", "word2vec"),
        ("A_1", "popularity"),
    ]
    values = specs[0].parameters.model_dump()
    assert (values["sample"], values["alpha"], values["epochs"]) == (1e-5, 1.0, 3)
    assert build("word2vec", values).parameters == specs[0].parameters


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    """Prevents the check for keys given twice from refusing YAML's own way to share values."""
    specs = load_grid(
        grid(
            tmp_path,
            "candidates:\n"
            "  - {name: a, family: word2vec, parameters: &a {epochs: 3, window: 4}}\n"
            "  - {name: b, family: word2vec, parameters: &b {<<: *a, window: 5}}\n"
            "  - {name: c, family: word2vec, parameters: {<<: *b, window: 6}}\n",
        )
    )
    values = [spec.parameters.model_dump() for spec in specs]
    assert [(one["epochs"], one["window"]) for one in values] == [(3, 4), (3, 5), (3, 6)]


MISTAKES = {
    "out of range": (
        entry("name: a, family: word2vec, parameters: {window: 0}"),
        [
            "entry 1 (a), field window: found 0; allowed is a whole number",
            "at least 1 and at most 10000. (Largest distance",
        ],
    ),
    "exclusive bound": (
        entry("name: a, family: word2vec, parameters: {alpha: 0}"),
        ["field alpha: found 0; allowed is a number", "greater than 0 and at most 1"],
    ),
    "wrong type": (
        entry("name: a, family: word2vec, parameters: {epochs: '10'}"),
        ["field epochs: found '10'; allowed is a whole number"],
    ),
    "not one of": (
        entry("name: a, family: word2vec, parameters: {query: first}"),
        ["field query: found 'first'; allowed is 'last' or 'recency_mean'"],
    ),
    "unknown parameter": (
        entry("name: a, family: word2vec, parameters: {epoch: 3}"),
        ["field epoch: not a hyperparameter of family word2vec", "did you mean epochs?"],
    ),
    "no parameters": (
        entry("name: a, family: popularity, parameters: {epochs: 3}"),
        ["field epochs: not a hyperparameter of family popularity; it has none"],
    ),
    "unknown family": (
        entry("name: a, family: word2vek"),
        [
            "entry 1 (a), field family: found 'word2vek'; allowed are popularity, word2vec",
            "did you mean word2vec?",
        ],
    ),
    "no family": (entry("name: a"), ["field family: found nothing; allowed are popularity"]),
    "bad name": (
        entry("name: a-b, family: popularity"),
        ["field name: found 'a-b'; allowed are letters, digits and underscores"],
    ),
    "numeric name": (entry("name: 3, family: popularity"), ["field name: found 3; allowed"]),
    "no name": (entry("family: popularity"), ["entry 1, field name: found nothing"]),
    "unknown entry field": (
        entry("name: a, family: popularity, params: {}"),
        [
            "field params: not a field of an entry; allowed are name, family, parameters",
            "parameters?",
        ],
    ),
    "parameters of a wrong kind": (
        entry("name: a, family: popularity, parameters: [1]"),
        ["field parameters: expected hyperparameters by name, found a list"],
    ),
    "name taken": (
        "candidates:\n  - {name: a, family: popularity}\n  - {name: a, family: word2vec}\n",
        ["entry 2 (a), field name: 'a' is taken by an earlier entry"],
    ),
    "not an entry": ("candidates: [popularity]", ["entry 1: expected name, family and parameters"]),
    "no entries": ("candidates: []", ["expected a list of entries", "an empty list"]),
    "no list": ("candidates: {a: 1}", ["expected a list of entries", "a mapping"]),
    "other top": ("models: []", ["expected one key 'candidates' at the top, found keys models"]),
    "empty": ("", ["expected one key 'candidates' at the top, found nothing"]),
    "key twice": (
        "candidates:\n  - name: a\n    family: popularity\n    name: b\n",
        ["line 4", "key 'name' is given twice"],
    ),
    "key of many": (
        "candidates:\n  - name: a\n    ? [family]\n    : popularity\n",
        ["line 3", "unhashable key"],
    ),
    "not yaml": ("candidates: [\n", ["not valid YAML"]),
    "two mistakes": (
        "candidates:\n"
        "  - {name: a, family: x}\n"
        "  - {name: b, family: word2vec, parameters: {sg: 2}}\n",
        ["entry 1 (a), field family", "entry 2 (b), field sg: found 2; allowed is 0 or 1"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_explained(mistake: str, tmp_path: Path) -> None:
    """Prevents a mistake that passes, or a message that leaves the user to guess."""
    text, expected = MISTAKES[mistake]
    with pytest.raises(GridError) as caught:
        load_grid(grid(tmp_path, text))
    message = str(caught.value)
    for part in [str(tmp_path / "mine.yaml"), *expected]:
        assert part in message


def test_unreadable_file(tmp_path: Path) -> None:
    """Prevents a traceback where the setting names a file that is not there."""
    with pytest.raises(GridError, match=r"none\.yaml: the candidates file cannot be read.*RECSYS_"):
        load_grid(tmp_path / "none.yaml")
