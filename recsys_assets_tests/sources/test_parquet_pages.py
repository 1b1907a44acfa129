"""Parquet files written page by page are read back by Arrow and by DuckDB as what was written."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recsys_assets.sources import parquet_pages
from recsys_assets.sources.parquet_pages import (
    LZ4,
    ZSTD,
    Codec,
    Coded,
    Column,
    ParquetFile,
    Plain,
    Steps,
)
from recsys_assets.sources.record_kernels import Bytes

SCHEMA = {
    "text": "VARCHAR",
    "step": "INTEGER",
    "big": "BIGINT",
    "flag": "BOOLEAN",
    "at": "TIMESTAMP",
}
INTEGERS = st.one_of(
    st.integers(0, 3), st.sampled_from([-(2**31), 2**31 - 1]), st.integers(-(2**31), 2**31 - 1)
)
RUNS = st.lists(st.tuples(INTEGERS, st.sampled_from([1, 2, 7, 15, 16, 17, 40])), max_size=12)


def plain(texts: Iterable[str]) -> Bytes:
    """Return texts as plain parquet values."""
    encoded = [text.encode() for text in texts]
    joined = b"".join(len(one).to_bytes(4, "little") + one for one in encoded)
    return np.frombuffer(joined, np.uint8)


def columns(values: list[int], texts: list[str]) -> list[Column]:
    """Return columns for `SCHEMA` made of the same whole numbers."""
    numbers = np.array([value % (len(texts) + 1) - 1 for value in values], np.int32)
    steps = np.array(values, np.int32)
    big = np.array(values, np.int64) << 31
    flags = steps % 2 == 0
    middle = len(texts) // 2
    return [
        Coded(
            lambda part: numbers[part],
            len(texts),
            iter([plain(texts[:middle]), plain(texts[middle:])]),
        ),
        Steps(lambda part: steps[part]),
        Plain(lambda part: big[part].view(np.uint8)),
        Plain(lambda part: np.packbits(flags[part], bitorder="little")),
        None,
    ]


@given(
    groups=st.lists(RUNS, min_size=1, max_size=3),
    texts=st.lists(st.text(max_size=9), max_size=40, unique=True),
    page=st.sampled_from([8, 24, 1 << 17]),
    codec=st.sampled_from([ZSTD, LZ4]),
)
@example(groups=[[(0, 40), (1, 3), (0, 17), (5, 1)]], texts=["a"], page=24, codec=LZ4)
@example(groups=[[(0, 1)]], texts=[], page=24, codec=LZ4)
@settings(max_examples=40, deadline=None)
def test_reads_back(groups: list[list[tuple[int, int]]], texts: list[str], page: int, codec: Codec):
    """A wrong bit in a page would change rows in silence, or make a file that nobody can read."""
    every = [[value for value, count in runs for _ in range(count)] for runs in groups]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_pages, "_ROWS_PER_PAGE", page)
        path = Path(folder) / "x.parquet"
        with ParquetFile(path, SCHEMA, codec) as file:
            for values in every:
                chunks = (file.encode(column, len(values)) for column in columns(values, texts))
                file.write_group(chunks, len(values))
        expected = [
            (
                None if value % (len(texts) + 1) == 0 else texts[value % (len(texts) + 1) - 1],
                value,
                value << 31,
                value % 2 == 0,
                None,
            )
            for values in every
            for value in values
        ]
        table = pq.read_table(path)
        assert list(zip(*(column.to_pylist() for column in table.columns), strict=True)) == expected
        assert table.schema.names == list(SCHEMA)
        assert [str(kind) for kind in table.schema.types] == [
            "string", "int32", "int64", "bool", "timestamp[us]",
        ]  # fmt: skip
        with duckdb.connect() as connection:
            read = connection.execute("FROM read_parquet($path)", {"path": str(path)})
            assert [one[1] for one in read.description or ()] == list(SCHEMA.values())
            assert read.fetchall() == expected


def test_an_error_leaves_no_whole_file(tmp_path: Path):
    """A file whose writer failed must not look complete."""
    path = tmp_path / "x.parquet"
    with pytest.raises(ZeroDivisionError), ParquetFile(path, {"at": "TIMESTAMP"}) as file:
        file.write_group(iter([file.encode(None, 3)]), 3)
        raise ZeroDivisionError
    with pytest.raises(pa.ArrowInvalid):
        pq.read_table(path)
