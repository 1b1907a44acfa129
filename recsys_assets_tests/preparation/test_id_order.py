"""Sorting by a count and an id, and reading the coded files as arrays."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets import columns as c
from recsys_assets.errors import StorageError
from recsys_assets.preparation.catalog import (
    _stretches,
    artist_catalog_query,
    order_by_count_and_id,
    track_catalog_query,
)
from recsys_assets.preparation.coded_rows import read_texts
from recsys_assets.preparation.queries import TableQuery
from recsys_assets.preparation.sequences import playlist_sequences_query
from recsys_assets.preparation.split import SplitRule
from recsys_assets_tests.conftest import write_cleaned

TEXTS = st.lists(
    # Few letters, a zero byte, and lengths around words of eight bytes: many common beginnings.
    st.text("ab\0é", max_size=20) | st.text(max_size=3),
    unique=True,
    max_size=60,
)


@given(TEXTS, st.data(), st.sampled_from([pa.string(), pa.large_string()]))
def test_order_is_that_of_counts_and_bytes(
    ids: list[str], data: st.DataObject, kind: pa.DataType
) -> None:
    """Prevents an index that depends on anything but count and id, and a sort that loses one."""
    counts = data.draw(st.lists(st.integers(0, 2), min_size=len(ids), max_size=len(ids)))
    found = order_by_count_and_id(np.array(counts, np.int32), pa.array(ids, kind))
    expected = sorted(range(len(ids)), key=lambda item: (-counts[item], ids[item].encode()))
    assert found.tolist() == expected


def test_order_of_many_ids_with_a_long_common_beginning() -> None:
    """Prevents a sort that is right for a few ids only: beyond insertion, and beyond one stack."""
    ids = [f"{'the same artist' * 40}|||{number % 977:04}{number}" for number in range(4000)]
    found = order_by_count_and_id(np.zeros(len(ids), np.int32), pa.array(ids))
    assert [ids[item] for item in found] == sorted(ids)


@given(st.lists(st.none() | st.text(max_size=9), max_size=30), st.integers(1, 7), st.booleans())
def test_texts_come_back(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str | None], group: int, again: bool
) -> None:
    """Prevents shifted strings at the borders of row groups, lost nulls, and too little room."""
    path = tmp_path_factory.mktemp("texts") / "texts.parquet"
    texts = texts * 50 if again else texts  # a dictionary is smaller than what it stands for
    pq.write_table(
        pa.table({"x": range(len(texts)), "t": pa.array(texts, pa.string())}),
        path,
        row_group_size=group * 10 if again else group,
    )
    assert read_texts(path, "t").to_pylist() == texts


def make(connection: duckdb.DuckDBPyConnection, cleaned: Path, *tables: str) -> None:
    """Make some of the tables."""
    rule = SplitRule("salt")
    queries = {
        c.ARTIST_CATALOG: artist_catalog_query,
        c.TRACK_CATALOG: track_catalog_query,
        c.PLAYLIST_SEQUENCES: playlist_sequences_query,
    }
    for table in tables:
        queries[table](cleaned, rule).create(connection, table)


def test_sequences_of_other_cleaned_playlists_are_refused(tmp_path: Path) -> None:
    """Prevents track numbers from being read by a catalogue that was made from other ones."""
    playlists = {"p": [("b", "X"), ("c", "X"), ("d", "Y")]}
    cleaned = write_cleaned(tmp_path / "cleaned.parquet", playlists)
    with duckdb.connect() as connection:
        make(connection, cleaned, c.ARTIST_CATALOG, c.TRACK_CATALOG)
        write_cleaned(cleaned, {"p": [("a", "X"), *playlists["p"]]})
        with pytest.raises(StorageError, match="materialise artist_catalog and track_catalog"):
            make(connection, cleaned, c.PLAYLIST_SEQUENCES)
        write_cleaned(cleaned, playlists)  # the same again: the numbers are those of before
        make(connection, cleaned, c.PLAYLIST_SEQUENCES)


def test_catalogue_without_an_artist_is_refused(tmp_path: Path) -> None:
    """Prevents tracks of an artist that the artist catalogue does not have."""
    cleaned = write_cleaned(tmp_path / "cleaned.parquet", {"p": [("a", "X"), ("b", None)]})
    with duckdb.connect() as connection:
        make(connection, cleaned, c.ARTIST_CATALOG, c.TRACK_CATALOG)
        write_cleaned(cleaned, {"p": [("a", "X"), ("b", "Y")]})
        with pytest.raises(StorageError, match="artist_catalog lacks artists"):
            make(connection, cleaned, c.TRACK_CATALOG)


def test_albums_are_numbered_by_id(tmp_path: Path) -> None:
    """Prevents album numbers in the order of tracks, and a number for no album."""
    cleaned = write_cleaned(
        tmp_path / "cleaned.parquet", {"p": [("a", "X"), ("b", "X"), ("d", "X")]}
    )
    tracks = tmp_path / "coded" / "tracks.parquet"
    table = pq.read_table(tracks)
    place = table.column_names.index(c.ALBUM_ID)
    albums = pa.array(["second", None, "first"])
    pq.write_table(table.set_column(place, c.ALBUM_ID, albums), tracks)
    with duckdb.connect() as connection:
        make(connection, cleaned, c.ARTIST_CATALOG, c.TRACK_CATALOG)
        found = connection.execute(
            f"SELECT {c.TRACK_ID}, {c.ALBUM_INDEX} FROM {c.TRACK_CATALOG} ORDER BY 1"
        ).fetchall()
    assert found == [("a", 1), ("b", -1), ("d", 0)]


ROW_GROUP = 122_880


@pytest.mark.parametrize(
    ("batches", "size", "threads"),
    [(0, 2, 1), (1, 2, 1), (3, 2, 1), (0, 2, 2), (3, 2, 2), (5, ROW_GROUP, 2)],
)
def test_a_table_of_batches(batches: int, size: int, threads: int) -> None:
    """Prevents lost or reordered batches, and settings that outlive the table."""
    schema = pa.schema([("n", pa.int32())])
    parts = [
        pa.record_batch([pa.array(np.arange(size * n, size * (n + 1)), pa.int32())], schema=schema)
        for n in range(batches)
    ]
    query = TableQuery(
        "FROM parts",
        arrays=lambda _: {"parts": pa.RecordBatchReader.from_batches(schema, parts)},
        compression="uncompressed",
        threads=threads,
    )
    settings = "SELECT current_setting('threads'), current_setting('force_compression')"
    with duckdb.connect(config={"threads": 3}) as connection:
        before = connection.execute(settings).fetchall()
        query.create(connection, "numbers")
        assert connection.execute(settings).fetchall() == before
        rows = connection.execute("FROM numbers").fetchnumpy()["n"]
    assert rows.tolist() == list(range(size * batches))


@pytest.mark.parametrize(("allowed", "used"), [(1, 1), (3, 2)])
def test_threads_of_a_table(allowed: int, used: int) -> None:
    """Prevents a table from being stored by more threads than the settings allow."""
    seen = []
    with duckdb.connect(config={"threads": allowed}) as connection:

        def rows() -> Iterator[pa.RecordBatch]:
            beside = connection.cursor()
            for n in range(3):
                seen.append(beside.execute("SELECT current_setting('threads')").fetchone())
                yield pa.record_batch({"n": pa.array([n])})

        schema = pa.schema([("n", pa.int64())])
        reader = pa.RecordBatchReader.from_batches(schema, rows())
        TableQuery("FROM parts", arrays=lambda _: {"parts": reader}, threads=2).create(
            connection, "numbers"
        )
    assert seen == [(used,)] * 3


@given(
    values=st.lists(st.integers(-1, 300) | st.integers(-1, 2**31 - 1), min_size=1, max_size=20),
    data=st.data(),
)
def test_stretches_in_order(values: list[int], data: st.DataObject) -> None:
    """Prevents counts from being cut off by the small integers that they wait in."""
    order = data.draw(st.permutations(range(len(values))))
    stretches = _stretches(np.array(values, np.int32), np.array(order, np.int32))
    assert [int(one) for part in reversed(stretches) for one in part] == [values[n] for n in order]


def test_stretches_are_small() -> None:
    """Prevents twice the memory where an artist is missing, for numpy's type of -1 and 70,000."""
    order = np.arange(2, dtype=np.int32)
    kinds = [_stretches(np.array([-1, most], np.int32), order)[0].dtype for most in (5, 70_000)]
    assert kinds == [np.int16, np.int32]
