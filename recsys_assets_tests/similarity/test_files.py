"""The similarity files: what serving stacks may rely on."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys_assets import columns as c
from recsys_assets.errors import DataError, StorageError
from recsys_assets.models.cooccurrence import Cooccurrence
from recsys_assets.playlists import Catalog, PlaylistSet
from recsys_assets.similarity.encoding import encode_id
from recsys_assets.similarity.files import (
    PARQUET_SCHEMA,
    check_similarity_file,
    parquet_path,
    read_similarity,
    sorted_by_key,
    write_similarity,
)
from recsys_assets.similarity.nearest import nearest_items

IDS = ["b b", "a", "ünï", "50%", "tab\there", "Z"]
CATALOG = Catalog(
    ids=pa.array(IDS),
    names=pa.array([f"name {i}" for i in IDS]),
    artist_index=np.zeros(6, np.int32),
)
PLAYLISTS = PlaylistSet.from_lists([[0, 1, 2, 3], [2, 3, 4], [4, 5, 0], [1, 5, 3]])


def write(path: Path, *, block: int = 4096) -> Path:
    """Write the neighbours of a small co-occurrence model."""
    model = Cooccurrence().fit(PLAYLISTS, CATALOG, seed=0)
    items = sorted_by_key(model.popular, CATALOG)
    written = write_similarity(path, nearest_items(model, items, 3, block=block), CATALOG)
    assert written == 6
    return path


def test_format(tmp_path: Path) -> None:
    """Prevents a file that a serving stack cannot load line by line."""
    path = write(tmp_path / "tracks.txt")
    raw = path.read_bytes()
    lines = raw.decode().split("\n")
    assert lines.pop() == ""
    assert [line.split(" ")[0] for line in lines] == sorted(
        (encode_id(i) for i in IDS), key=str.encode
    )
    assert "b%20b" in raw.decode()
    assert "50%25" in raw.decode()
    assert check_similarity_file(path, 3) == []
    for line in lines:
        key, *neighbours = line.split(" ")
        assert len(set(neighbours)) == 3
        assert key not in neighbours


def test_parquet_says_the_same(tmp_path: Path) -> None:
    """Prevents text and parquet from disagreeing."""
    path = write(tmp_path / "tracks.txt")
    rows = pq.read_table(parquet_path(path)).to_pylist()
    from_parquet: dict[str, list[str]] = {}
    for row in rows:
        from_parquet.setdefault(row[c.ITEM], []).append(row[c.NEIGHBOUR])
        assert row[c.RANK] == len(from_parquet[row[c.ITEM]])
        assert row[c.ITEM_NAME] == f"name {row[c.ITEM]}"
        assert row[c.NEIGHBOUR_NAME] == f"name {row[c.NEIGHBOUR]}"
    assert from_parquet == dict(read_similarity(path))
    scores = [row[c.SCORE] for row in rows if row[c.ITEM] == "a"]
    assert scores == sorted(scores, reverse=True)


def test_blocks_do_not_change_the_files(tmp_path: Path) -> None:
    """Prevents the block size from showing in what is delivered."""
    one, other = write(tmp_path / "one.txt"), write(tmp_path / "other.txt", block=2)
    assert one.read_bytes() == other.read_bytes()


def test_too_few_items_is_an_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    """Prevents short lines, or a delivered file that is half written."""
    path = write(tmp_path / "tracks.txt")
    before = path.read_bytes()
    model = Cooccurrence().fit(PLAYLISTS, CATALOG, seed=0)
    with pytest.raises(DataError, match="RECSYS_NEIGHBOURS to at most 5"):
        write_similarity(path, nearest_items(model, model.popular, 6), CATALOG)
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["tracks.parquet", "tracks.txt"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b c\nb a c\n", None),
        ("a b\nb a c\n", "1 neighbours, expected 2"),
        ("a a c\nb a c\n", "its own neighbour"),
        ("a b b\nb a c\n", "is there twice"),
        ("b a c\na b c\n", "not sorted"),
        ("a b c\na b c\n", "the line before, again"),
        ("a  b c\nb a c\n", "more than one space"),
        ("a b c\r\nb a c\n", "control character"),
        ("a b c\nb a c", "no newline at the end"),
        ("a b c\u3000\nb a c\n", "white space"),
        ("a b 5%\nb a c\n", "% not encoded"),
        ("a b c\n\n", "0 neighbours, expected 2"),
        ("", "the file is empty"),
    ],
)
def test_check_finds_each_violation(tmp_path: Path, text: str, expected: str | None) -> None:
    """Prevents a blocking check that lets a broken file through."""
    path = write(tmp_path / "file.txt")
    path.write_bytes(text.encode())
    found = check_similarity_file(path, 2)
    of_text = [one for one in found if not one.startswith("file.parquet")]
    assert (of_text == []) if expected is None else any(expected in one for one in of_text)


def test_missing_file_is_named(tmp_path: Path) -> None:
    """Prevents a bare FileNotFoundError."""
    with pytest.raises(StorageError, match="run a refresh first"):
        next(read_similarity(tmp_path / "none.txt"))
    assert "not there" in check_similarity_file(tmp_path / "none.txt", 3)[0]


def test_not_utf8_is_found(tmp_path: Path) -> None:
    """Prevents a delivered file that a reader cannot decode."""
    path = write(tmp_path / "file.txt")
    path.write_bytes(b"a b \xff\nb a c\n")
    assert any("line 1: not UTF-8" in one for one in check_similarity_file(path, 2))


def test_kill_between_the_two_moves_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a new text beside an old parquet from being delivered as a pair."""
    path = write(tmp_path / "tracks.txt")

    def killed(source: Path, target: Path) -> None:
        if target.suffix == ".parquet":
            raise KeyboardInterrupt
        Path(source).rename(target)

    model = Cooccurrence().fit(PLAYLISTS, CATALOG, seed=0)
    items = sorted_by_key(model.popular, CATALOG)
    reverse = [(k, n[:, ::-1], s) for k, n, s in nearest_items(model, items, 3)]
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("recsys_assets.files.os.replace", killed)
        write_similarity(path, reverse, CATALOG)
    assert ["made with another text" in one for one in check_similarity_file(path, 3)] == [True]
    write_similarity(path, reverse, CATALOG)
    assert check_similarity_file(path, 3) == []


def test_missing_or_broken_parquet_is_found(tmp_path: Path) -> None:
    """Prevents half a delivery from passing the blocking check."""
    path = write(tmp_path / "tracks.txt")
    assert (
        "tracks.parquet: 18 rows, expected 12 as in the text" in check_similarity_file(path, 2)[-1]
    )
    parquet_path(path).write_bytes(b"PAR")
    assert "not a parquet file" in check_similarity_file(path, 3)[0]
    parquet_path(path).unlink()
    assert "not there" in check_similarity_file(path, 3)[0]


def test_at_most_twenty_violations(tmp_path: Path) -> None:
    """Prevents a check's message as long as a broken file."""
    path = tmp_path / "tracks.txt"
    path.write_text("a a\n" * 1000)
    assert len(check_similarity_file(path, 1)) == 20


def test_an_empty_id_is_refused(tmp_path: Path) -> None:
    """Prevents a line whose key is missing."""
    catalog = Catalog(pa.array(["a", ""]), pa.array(["a", "b"]), np.zeros(2, np.int32))
    with pytest.raises(DataError, match="item 1 has an empty id"):
        write_similarity(tmp_path / "tracks.txt", [], catalog)


def test_parquet_columns_are_plain(tmp_path: Path) -> None:
    """Prevents readers from meeting other types than the format names."""
    path = write(tmp_path / "tracks.txt")
    assert pq.read_schema(parquet_path(path)).equals(PARQUET_SCHEMA)
    assert pq.read_metadata(parquet_path(path)).row_group(0).column(0).compression == "ZSTD"


def test_items_without_names_are_written(tmp_path: Path) -> None:
    """Prevents a source without names (interactions) from failing at the last step."""
    nameless = Catalog(CATALOG.ids, pa.nulls(6, pa.string()), CATALOG.artist_index)
    half = Catalog(CATALOG.ids, pa.array(["x", None, "y", None, "z", None]), CATALOG.artist_index)
    model = Cooccurrence().fit(PLAYLISTS, CATALOG, seed=0)
    for catalog in (nameless, half):
        items = sorted_by_key(model.popular, catalog)
        write_similarity(tmp_path / "t.txt", nearest_items(model, items, 3), catalog)
        name_of = dict(zip(catalog.ids.to_pylist(), catalog.names.to_pylist(), strict=True))
        for row in pq.read_table(tmp_path / "t.parquet").to_pylist():
            assert row[c.ITEM_NAME] == name_of[row[c.ITEM]]
            assert row[c.NEIGHBOUR_NAME] == name_of[row[c.NEIGHBOUR]]


def test_equal_names_keep_their_dictionary(tmp_path: Path) -> None:
    """Prevents a dictionary with a value twice, for which Arrow writes uninitialised memory."""
    namesakes = Catalog(
        CATALOG.ids, pa.array(["x", "same", "y", "same", None, "same"]), CATALOG.artist_index
    )
    model = Cooccurrence().fit(PLAYLISTS, CATALOG, seed=0)
    items = sorted_by_key(model.popular, namesakes)
    write_similarity(tmp_path / "t.txt", nearest_items(model, items, 3), namesakes)
    group = pq.read_metadata(tmp_path / "t.parquet").row_group(0)
    for name in (c.ITEM, c.ITEM_NAME):
        column = group.column(PARQUET_SCHEMA.get_field_index(name))
        assert "RLE_DICTIONARY" in column.encodings
    name_of = dict(zip(namesakes.ids.to_pylist(), namesakes.names.to_pylist(), strict=True))
    for row in pq.read_table(tmp_path / "t.parquet").to_pylist():
        assert row[c.ITEM_NAME] == name_of[row[c.ITEM]]
