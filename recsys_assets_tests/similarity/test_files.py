"""The similarity files: what serving stacks may rely on."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets import columns as c
from recsys_assets.errors import DataError, StorageError
from recsys_assets.models.cooccurrence import Cooccurrence
from recsys_assets.playlists import Catalog, PlaylistSet
from recsys_assets.similarity.files import (
    check_similarity_file,
    decode_id,
    encode_id,
    parquet_path,
    read_similarity,
    sorted_by_key,
    write_similarity,
)
from recsys_assets.similarity.nearest import nearest_items

IDS = ["b b", "a", "ünï", "50%", "tab\there", "Z"]
CATALOG = Catalog(
    ids=pa.array(IDS), names=pa.array([f"name {i}" for i in IDS]), artist_index=np.zeros(6, np.int32)
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
        ("a b c\na b c\n", "a key twice"),
        ("a  b c\nb a c\n", "more than one space"),
        ("a b c\r\nb a c\n", "carriage return"),
        ("a b c\nb a c", "no newline at the end"),
        ("", "the file is empty"),
    ],
)
def test_check_finds_each_violation(tmp_path: Path, text: str, expected: str | None) -> None:
    """Prevents a blocking check that lets a broken file through."""
    path = tmp_path / "file.txt"
    path.write_bytes(text.encode())
    found = check_similarity_file(path, 2)
    assert (found == []) if expected is None else any(expected in one for one in found)


@given(st.text())
def test_ids_survive_encoding(id_: str) -> None:
    """Prevents an id with white space from splitting its line, or changing on the way back."""
    encoded = encode_id(id_)
    assert len(f"x {encoded} y".split()) == (3 if id_ else 2)
    assert len(f"x{encoded}y".splitlines()) == 1
    assert decode_id(encoded) == id_


def test_missing_file_is_named(tmp_path: Path) -> None:
    """Prevents a bare FileNotFoundError."""
    with pytest.raises(StorageError, match="run a refresh first"):
        next(read_similarity(tmp_path / "none.txt"))
