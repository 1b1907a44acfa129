"""Titles held as the ends of ids."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.preparation.tails import read_tails

ID = st.text("ab|é", max_size=6)
ROWS = st.lists(
    st.tuples(ID, ID, st.booleans()).map(lambda row: (row[0] + row[1], row[1] if row[2] else None))
    | st.tuples(ID, st.none() | ID),
    max_size=30,
)


@given(ROWS, st.data(), st.integers(1, 7), st.sampled_from([pa.string(), pa.large_string()]))
def test_texts_come_back(
    rows: list[tuple[str, str | None]], data: st.DataObject, group: int, kind: pa.DataType
) -> None:
    """Prevents titles of other tracks, lost nulls, and shifts at the borders of row groups."""
    ids, titles = [row[0] for row in rows], [row[1] for row in rows]
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1))) if rows else []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "texts.parquet"
        table = pa.table({"x": range(len(rows)), "t": pa.array(titles, pa.string())})
        pq.write_table(table, path, row_group_size=group)
        tails = read_tails(path, "t", pa.array(ids, kind))
    taken = tails.take(np.array(chosen, np.int32))
    taken.validate(full=True)
    assert taken.type == pa.large_string()
    assert taken.to_pylist() == [titles[row] for row in chosen]


def test_only_what_is_no_end_is_held(tmp_path: Path) -> None:
    """Titles held beside the ids that end with them would cost what this is there to save."""
    titles = ["one", "two", "", None, "a|b"]
    ids = ["A|||one", "A|||owt", "A|||", "A|||x", "A|||a\\|b"]
    path = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"t": titles}), path)
    tails = read_tails(path, "t", pa.array(ids))
    assert tails.lengths.tolist() == [3, -1, 0, -2, -3]
    assert tails.others.to_pylist() == ["two", None, "a|b"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_part_of_a_longer_array(tmp_path: Path, kind: pa.DataType) -> None:
    """An array that begins inside its buffers has its texts further on."""
    path = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"t": ["x", "zz"]}), path)
    tails = read_tails(path, "t", pa.array(["other", "1x", "2y"], kind)[1:])
    assert tails.take(np.array([1, 0], np.int32)).to_pylist() == ["zz", "x"]
