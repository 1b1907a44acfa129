"""The IO manager's contract: one test for every silent data error of the stock manager."""

import multiprocessing
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from recsys_assets.errors import StorageError
from recsys_assets.preparation.queries import TableQuery
from recsys_assets.resources.database import DuckDBReader, open_database
from recsys_assets.resources.io_manager import RecsysDuckDBIOManager


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Path of a DuckDB file that does not exist yet."""
    return str(tmp_path / "test.duckdb")


def store(database: str, value: object, **asset_arguments: Any) -> dg.ExecuteInProcessResult:
    """Materialise one asset `numbers` that returns `value`."""

    @dg.asset(name="numbers", **asset_arguments)
    def numbers() -> object:
        return value

    return dg.materialize(
        [numbers],
        resources={"io_manager": RecsysDuckDBIOManager(database=database, lock_timeout=1.0)},
        raise_on_error=True,
    )


def rows(database: str, sql: str = "FROM numbers") -> list[tuple[Any, ...]]:
    """Read with plain DuckDB."""
    with duckdb.connect(database, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_reordered_columns_do_not_swap_values(database: str) -> None:
    """Prevents positional inserts: the stock manager swaps a and b here, silently."""
    store(database, pa.table({"a": [1], "b": [2]}))
    store(database, pa.table({"b": [20], "a": [10]}))
    assert rows(database, "SELECT a, b FROM numbers") == [(10, 20)]


def test_added_column_keeps_the_new_rows_whole(database: str) -> None:
    """Prevents an insert that fails after the old rows are deleted."""
    store(database, pa.table({"a": [1]}))
    store(database, pa.table({"a": [2], "b": ["x"]}))
    assert rows(database) == [(2, "x")]


def test_removed_column_is_gone(database: str) -> None:
    """Prevents a dropped column from living on with nulls."""
    store(database, pa.table({"a": [1], "b": [2]}))
    store(database, pa.table({"a": [3]}))
    assert rows(database) == [(3,)]


def test_failure_keeps_the_old_table(database: str) -> None:
    """Prevents delete and insert in two transactions: an error would leave an empty table."""
    store(database, pa.table({"a": [1, 2]}))
    with pytest.raises(duckdb.ConversionException):
        store(database, TableQuery("SELECT 'not a number'::INTEGER AS a"))
    assert rows(database) == [(1,), (2,)]


def test_failing_view_rolls_the_table_back(database: str) -> None:
    """Prevents a table of the new run beside views of the old one."""
    store(database, TableQuery("SELECT 1 AS a", views={"named": "SELECT a FROM numbers"}))
    with pytest.raises(duckdb.BinderException):
        store(database, TableQuery("SELECT 2 AS a", views={"named": "SELECT nope FROM numbers"}))
    assert rows(database, "FROM named") == [(1,)]


def test_changed_type_replaces_the_table(database: str) -> None:
    """Prevents values from being cast into the old table's types."""
    store(database, pa.table({"a": [1]}))
    store(database, pa.table({"a": [1.5]}))
    assert rows(database) == [(1.5,)]


def test_declared_columns_are_enforced(database: str) -> None:
    """Prevents a schema in the UI that differs from the table."""
    declared = {"dagster/column_schema": dg.TableSchema([dg.TableColumn("a", "BIGINT")])}
    store(database, pa.table({"a": [1]}), metadata=declared)
    with pytest.raises(StorageError, match="declared with columns"):
        store(database, pa.table({"a": ["text"]}), metadata=declared)
    assert rows(database) == [(1,)]


PARTITIONS = {
    "partitions_def": dg.StaticPartitionsDefinition(["x", "y"]),
    "metadata": {"partition_expr": "part"},
}


def store_partition(database: str, key: str, value: pa.Table) -> None:
    """Materialise one partition of the asset `numbers`."""

    @dg.asset(name="numbers", **PARTITIONS)
    def numbers() -> object:
        return value

    dg.materialize(
        [numbers],
        partition_key=key,
        resources={"io_manager": RecsysDuckDBIOManager(database=database)},
    )


def test_partition_replaces_only_its_slice_by_name(database: str) -> None:
    """Prevents a partition from deleting its neighbours or inserting by position."""
    store_partition(database, "x", pa.table({"part": ["x"], "a": [1], "b": [2]}))
    store_partition(database, "y", pa.table({"part": ["y"], "a": [3], "b": [4]}))
    store_partition(database, "x", pa.table({"b": [20], "a": [10], "part": ["x"]}))
    found = rows(database, "SELECT part, a, b FROM numbers ORDER BY part")
    assert found == [("x", 10, 20), ("y", 3, 4)]


def test_partition_with_other_columns_is_refused(database: str) -> None:
    """Prevents INSERT BY NAME from filling a lost column with nulls."""
    store_partition(database, "x", pa.table({"part": ["x"], "a": [1]}))
    with pytest.raises(StorageError, match="has columns"):
        store_partition(database, "y", pa.table({"part": ["y"], "b": [1]}))
    assert rows(database) == [("x", 1)]


def test_loads_what_the_argument_asks_for(database: str) -> None:
    """Prevents data from changing between the types that assets exchange."""
    seen: dict[str, object] = {}

    @dg.asset
    def numbers() -> pd.DataFrame:
        return pd.DataFrame({"a": [1, 2], "b": [["x"], []]})

    @dg.asset(ins={"numbers": dg.AssetIn(metadata={"columns": ["b"]})})
    def arrow(numbers: pa.Table) -> None:
        seen["arrow"] = numbers.to_pydict()

    @dg.asset
    def frame(numbers: pd.DataFrame) -> None:
        seen["frame"] = numbers["a"].tolist()

    # `None` outputs are not stored, so only `numbers` needs the manager.
    dg.materialize(
        [numbers, arrow, frame],
        resources={"io_manager": RecsysDuckDBIOManager(database=database)},
    )
    assert seen == {"arrow": {"b": [["x"], []]}, "frame": [1, 2]}


def test_missing_table_is_named(database: str) -> None:
    """Prevents a bare catalogue error when an upstream asset was never materialised."""
    store(database, pa.table({"a": [1]}))

    @dg.asset
    def reader(other: pa.Table) -> None: ...

    with pytest.raises(StorageError, match="materialise asset other first"):
        dg.materialize(
            [reader, dg.AssetSpec("other")],
            selection=[reader],
            resources={"io_manager": RecsysDuckDBIOManager(database=database)},
        )


def test_metadata_counts_and_previews(database: str) -> None:
    """Prevents a materialisation that does not say what it wrote."""
    result = store(database, pa.table({"a": list(range(9))}))
    metadata = result.asset_materializations_for_node("numbers")[0].metadata
    assert metadata["dagster/row_count"].value == 9
    assert metadata["dagster/table_name"].value == "main.numbers"
    assert [x.name for x in metadata["dagster/column_schema"].schema.columns] == ["a"]
    assert "| 4 |" in metadata["preview"].md_str


def _hold(database: str, ready: Any, release: Any) -> None:
    with duckdb.connect(database):
        ready.set()
        release.wait(20)


@pytest.fixture
def holder(database: str) -> Any:
    """Another process that holds the DuckDB file until told to let go."""
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(database, ready, release))
    process.start()
    assert ready.wait(20)
    yield release
    release.set()
    process.join(20)


def test_lock_is_waited_for(database: str, holder: Any) -> None:
    """Prevents a second process from failing at once when the first is about to finish."""
    import threading

    threading.Timer(0.5, holder.set).start()
    with open_database(database, read_only=False, lock_timeout=15) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.usefixtures("holder")
def test_lock_that_outlasts_patience_is_explained(database: str) -> None:
    """Prevents an endless wait, or a lock error that does not say what to close."""
    with (
        pytest.raises(StorageError, match=r"held the DuckDB file for 0 s.*PID"),
        open_database(database, read_only=False, lock_timeout=0.2),
    ):
        pass


def test_reader_needs_a_database(database: str) -> None:
    """Prevents checks from creating an empty database where there is none."""
    with pytest.raises(StorageError, match="no DuckDB file there"):
        DuckDBReader(database=database).query("SELECT 1")
    assert not Path(database).exists()
