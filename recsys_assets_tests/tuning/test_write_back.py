"""Writing an entry back: one value changes, and every other byte and candidate stays."""

import difflib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.errors import GridError
from recsys_assets.grid import PACKAGED_GRID, asked_grid, load_grid
from recsys_assets.tuning.space import Choices, Value
from recsys_assets.tuning.write_back import packaged_source, write_entry


def written(tmp_path: Path, text: str, name: str, values: dict[str, Value]) -> str:
    """Write an entry back into a file of that text and return the new text."""
    file = tmp_path / "mine.yaml"
    file.write_bytes(text.encode())
    write_entry(file, file, name, values)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]
    return file.read_bytes().decode()


BLOCK = """# My grid.   Two spaces above.

candidates:
  - family: 'popularity'   # first
    name: floor

  - name: "near"
    family: cooccurrence
    parameters:      # what was tuned by hand
      window: 30     # positions
      backward: .7
      query_items: 5 # few
"""


def test_block_entry(tmp_path: Path) -> None:
    """Prevents lost comments, changed quotes, order or spacing, and a comment out of its column."""
    found = written(tmp_path, BLOCK, "near", {"window": 7, "backward": 0.25, "query_items": 120})
    expected = BLOCK.replace("window: 30    ", "window: 7     ").replace(".7", "0.25")
    assert found == expected.replace("query_items: 5 #", "query_items: 120 #")


def test_new_fields_go_to_the_end_of_their_mapping(tmp_path: Path) -> None:
    """Prevents a field in another entry, and a lost last line without a newline."""
    text = BLOCK.removesuffix("\n")
    assert written(tmp_path, text, "near", {"two_hop": 0.5}) == text + "\n      two_hop: 0.5"
    text = BLOCK + "  # a last remark\n  - {name: b, family: cooccurrence}\n"
    expected = BLOCK + "      two_hop: 0.5\n" + text.removeprefix(BLOCK)
    assert written(tmp_path, text, "near", {"two_hop": 0.5}) == expected


def test_windows_line_ends(tmp_path: Path) -> None:
    """Prevents a file of mixed line ends."""
    text = BLOCK.replace("\n", "\r\n")
    found = written(tmp_path, text, "near", {"window": 7, "two_hop": 0.5})
    expected = BLOCK.replace("window: 30    ", "window: 7     ") + "      two_hop: 0.5\n"
    assert found == expected.replace("\n", "\r\n")


def test_byte_order_mark(tmp_path: Path) -> None:
    """Prevents a search's result from being refused by a file that Windows' Notepad saved."""
    found = written(tmp_path, "\ufeff" + BLOCK, "near", {"window": 7, "two_hop": 0.5})
    expected = BLOCK.replace("window: 30    ", "window: 7     ") + "      two_hop: 0.5\n"
    assert found == "\ufeff" + expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{name: a, family: word2vec}", "{name: a, family: word2vec, parameters: {window: 3}}"),
        (
            "{name: a, family: word2vec, parameters: {}}",
            "{name: a, family: word2vec, parameters: {window: 3}}",
        ),
        (
            "{name: a, family: word2vec, parameters: {epochs: 3,}, }",
            "{name: a, family: word2vec, parameters: {epochs: 3,window: 3}, }",
        ),
        (
            "name: a\n    family: word2vec",
            "name: a\n    family: word2vec\n    parameters: {window: 3}",
        ),
        (
            "name: a\n    parameters:\n    family: word2vec",
            "name: a\n    parameters: {window: 3}\n    family: word2vec",
        ),
    ],
)
def test_other_ways_to_write_an_entry(tmp_path: Path, before: str, after: str) -> None:
    """Prevents an entry without parameters, or in flow style, from being refused or broken."""
    head = "candidates:\n  - "
    assert written(tmp_path, f"{head}{before}\n", "a", {"window": 3}) == f"{head}{after}\n"


SHARED = """candidates:
  - name: a
    family: word2vec
    parameters: &a {epochs: 3, window: &w 4}
  - name: b
    family: word2vec
    parameters: &b
      <<: *a
      negative: 7
  - {name: c, family: word2vec, parameters: *b}
  - {name: d, family: cooccurrence, parameters: {window: *w}}
"""


@pytest.mark.parametrize("name", ["a", "b", "c", "d"])
def test_entries_that_share_values(tmp_path: Path, name: str) -> None:
    """Prevents a better value for one entry from changing what others train through an anchor."""
    (tmp_path / "mine.yaml").write_text(SHARED)
    before = {spec.name: spec for spec in load_grid(tmp_path / "mine.yaml")}
    written(tmp_path, SHARED, name, {"window": 9})
    after = {spec.name: spec for spec in load_grid(tmp_path / "mine.yaml")}
    assert list(after) == list(before)
    assert after.pop(name).parameters.model_dump()["window"] == 9
    assert all(spec == before[other] for other, spec in after.items())


def test_texts_that_look_like_something_else(tmp_path: Path) -> None:
    """Prevents a choice written so that YAML reads another type."""
    text = "candidates:\n  - {name: a, family: word2vec, parameters: {query: last}}\n"
    found = written(tmp_path, text, "a", {"query": "recency_mean", "alpha": 1e-5, "sg": 0})
    assert "query: recency_mean, sg: 0, alpha: 1e-05}" in found
    values = load_grid(tmp_path / "mine.yaml")[0].parameters.model_dump()
    assert (values["query"], values["alpha"], values["sg"]) == ("recency_mean", 1e-5, 0)


def test_nothing_is_written_where_it_cannot_be(tmp_path: Path) -> None:
    """Prevents half an edit, or the loss of a result: the message holds the values."""
    merged = (
        "candidates:\n  - &a {name: a, family: word2vec}\n  - {<<: *a, name: b}\n"
        "  - &c {name: c, family: word2vec, parameters: {window: 3,  # comma\n    }}\n"
    )
    file = tmp_path / "mine.yaml"
    for name, message in (
        ("c", r'by hand: \{"epochs": 9\}'),
        ("x", "no entry 'x'; its .* a, b, c"),
    ):
        file.write_text(merged)
        with pytest.raises(GridError, match=message):
            write_entry(file, file, name, {"epochs": 9})
        assert file.read_text() == merged
        assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize("grid", ["default", "full"])
def test_copy_of_the_shipped_grid(tmp_path: Path, grid: str) -> None:
    """Prevents a copy that loses comments or entries, or an edit of the package's own file."""
    shipped = PACKAGED_GRID.read_bytes()
    source, extra = packaged_source(grid)
    copy = tmp_path / "home" / "candidates.yaml"
    write_entry(source, copy, "cooccurrence", {"window": 31}, extra=extra)
    wanted, found = asked_grid(None, grid), load_grid(copy)
    changed = [new.name for old, new in zip(wanted, found, strict=True) if old != new]
    assert changed == ["cooccurrence"]
    lines = list(
        difflib.ndiff((source.read_text() + extra).split("\n"), copy.read_text().split("\n"))
    )
    assert [line[2:].strip() for line in lines if line.startswith("+ ")] == [
        "window: 31                # positions to either side"
    ]
    assert PACKAGED_GRID.read_bytes() == shipped


GRID = {spec.name: spec for spec in load_grid() if spec.search}


@settings(max_examples=8)  # each reads the shipped grid five times
@given(st.data())
def test_any_setting_of_any_shipped_entry(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    """Prevents a value that reads back as another, or another candidate that changes with it."""
    spec = GRID[data.draw(st.sampled_from(sorted(GRID)))]
    values: dict[str, Value] = {}
    for name, one in spec.search.items():
        if isinstance(one, Choices):
            values[name] = data.draw(st.sampled_from(one.values))
        elif one.whole:
            values[name] = data.draw(st.integers(int(one.low), int(one.high)))
        else:
            values[name] = data.draw(st.floats(one.low, one.high))
    copy = tmp_path_factory.mktemp("any") / "mine.yaml"
    write_entry(PACKAGED_GRID, copy, spec.name, values)
    for old, new in zip(load_grid(), load_grid(copy), strict=True):
        expected = {**old.parameters.model_dump(), **(values if old.name == spec.name else {})}
        assert new.parameters.model_dump() == expected
