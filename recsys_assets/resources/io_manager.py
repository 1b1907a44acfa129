"""The DuckDB IO manager: one asset, one table, one transaction.

A subclass of dagster-duckdb's. The stock manager deletes and then inserts by position, outside a
transaction: re-ordered columns swap values silently, an added column loses the old rows, a failure
leaves an empty table. This one replaces an unpartitioned table whole, inserts partitions by name after
comparing the columns, and rolls back on any error. What tables hold belongs in `preparation/`.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pyarrow as pa
from dagster._core.storage.db_io_manager import DbIOManager, DbTypeHandler, TableSlice
from dagster_duckdb.io_manager import DuckDbClient, DuckDBIOManager
from pydantic import Field

from recsys_assets.columns import SCHEMA
from recsys_assets.errors import StorageError
from recsys_assets.preparation.lineage import require_current
from recsys_assets.preparation.queries import TableQuery, markdown_table
from recsys_assets.resources.database import open_database

PREVIEW_ROWS = 5
_INCOMING = "incoming_rows"


class _Client(DuckDbClient):
    """dagster-duckdb's client with our locking and error messages."""

    @staticmethod
    @contextmanager
    def connect(
        context: dg.OutputContext | dg.InputContext, table_slice: TableSlice
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        del table_slice
        config: Mapping[str, Any] = context.resource_config or {}
        with open_database(
            config["database"],
            read_only=isinstance(context, dg.InputContext),
            config=dict(config["connection_config"]),
            lock_timeout=float(config["lock_timeout"]),
        ) as connection:
            yield connection


class _Handler(DbTypeHandler[Any]):
    """Writes Arrow tables, data frames and queries; reads Arrow tables and data frames."""

    @property
    def supported_types(self) -> Sequence[type[object]]:
        return (pa.Table, pd.DataFrame, TableQuery)

    def handle_output(
        self,
        context: dg.OutputContext,
        table_slice: TableSlice,
        obj: pa.Table | pd.DataFrame | TableQuery,
        connection: duckdb.DuckDBPyConnection,
    ) -> Mapping[str, Any]:
        """Write `obj` inside the transaction that the manager has begun."""
        query = obj
        if not isinstance(query, TableQuery):
            connection.register(_INCOMING, obj)
            query = TableQuery(f"SELECT * FROM {_INCOMING}")
        table = _quoted(table_slice)
        if table_slice.partition_dimensions:
            _replace_partition(connection, table_slice, query)
        else:
            query.create(connection, table)
        return _describe(connection, table, _declared(context))

    def load_input(
        self,
        context: dg.InputContext,
        table_slice: TableSlice,
        connection: duckdb.DuckDBPyConnection,
    ) -> pa.Table | pd.DataFrame:
        """Read the table, as whatever type the asset's argument is annotated with."""
        if table_slice.partition_dimensions and not context.asset_partition_keys:
            return pa.table({})
        require_current(connection, table_slice.table)
        try:
            result = connection.execute(DuckDbClient.get_select_statement(table_slice))
        except duckdb.CatalogException as error:
            raise StorageError(
                f"table {_quoted(table_slice)} is not in the DuckDB file; materialise asset "
                f"{table_slice.table} first ({error})"
            ) from error
        if context.dagster_type.typing_type is pd.DataFrame:
            return result.df()
        return result.to_arrow_table()


class TransactionalDuckDBIOManager(DbIOManager):
    """dagster's database IO manager with delete, insert and schema change in one transaction."""

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Write one asset's table, or leave the old one untouched."""
        self._check_supported_type(type(obj))  # type: ignore[no-untyped-call]
        table_slice = self._get_table_slice(context, context)
        handler = self._resolve_handler(type(obj))
        start = time.perf_counter()
        with self._db_client.connect(context, table_slice) as connection:
            connection.execute("BEGIN TRANSACTION")
            try:
                connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{table_slice.schema}"')
                metadata = handler.handle_output(context, table_slice, obj, connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        database = str((context.resource_config or {})["database"])
        context.add_output_metadata(
            {
                **(metadata or {}),
                "dagster/table_name": f"{table_slice.schema}.{table_slice.table}",
                "dagster/uri": database,
                "database_bytes": Path(database).stat().st_size,
                "seconds_in_database": round(time.perf_counter() - start, 3),
            }
        )


class RecsysDuckDBIOManager(DuckDBIOManager):
    """Configuration of the transactional manager: the file, its limits and its patience."""

    lock_timeout: float = Field(
        default=60.0, description="Seconds to wait while another process holds the file."
    )

    @staticmethod
    def type_handlers() -> Sequence[DbTypeHandler[Any]]:
        """Return the one handler of all types."""
        return [_Handler()]

    @staticmethod
    def default_load_type() -> type | None:
        """Load Arrow tables where an argument has no annotation."""
        return pa.Table  # type: ignore[no-any-return]

    def create_io_manager(self, context: Any) -> TransactionalDuckDBIOManager:  # noqa: ANN401
        """Build the manager (called by Dagster)."""
        del context
        return TransactionalDuckDBIOManager(
            db_client=_Client(),
            database=self.database,
            schema=self.schema_ or SCHEMA,
            type_handlers=self.type_handlers(),
            default_load_type=self.default_load_type(),
            io_manager_name="RecsysDuckDBIOManager",
        )


def _quoted(table_slice: TableSlice) -> str:
    return f'"{table_slice.schema}"."{table_slice.table}"'


def _replace_partition(
    connection: duckdb.DuckDBPyConnection, table_slice: TableSlice, query: TableQuery
) -> None:
    """Delete the slice's rows and insert the new ones by name, inside the caller's transaction."""
    table = _quoted(table_slice)
    connection.execute(
        f"CREATE TEMP TABLE {_INCOMING}_staged AS {query.select}", dict(query.parameters) or None
    )
    try:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} AS FROM {_INCOMING}_staged LIMIT 0")
        held, offered = (_columns(connection, name) for name in (table, f"{_INCOMING}_staged"))
        if set(held) != set(offered):
            raise StorageError(
                f"{table} has columns {held}, the new rows have {offered}: inserting by name would "
                "fill or lose a column in silence. Materialise all partitions after dropping the "
                "table, or restore the old columns"
            )
        DuckDbClient.delete_table_slice(None, table_slice, connection)  # type: ignore[arg-type]
        connection.execute(f"INSERT INTO {table} BY NAME FROM {_INCOMING}_staged")
    finally:
        connection.execute(f"DROP TABLE {_INCOMING}_staged")


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    return [row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall()]


def _declared(context: dg.OutputContext) -> dg.TableSchema | None:
    declared = (context.definition_metadata or {}).get("dagster/column_schema")
    return getattr(declared, "schema", declared)  # Dagster wraps it in a metadata value


def _describe(
    connection: duckdb.DuckDBPyConnection, table: str, declared: dg.TableSchema | None
) -> dict[str, Any]:
    """Return row count, schema and a preview of the table just written, as Dagster metadata."""
    described = connection.execute(f"DESCRIBE {table}").fetchall()
    found = {name: type_ for name, type_, *_ in described}
    if declared is not None:
        expected = {column.name: column.type for column in declared.columns}
        if found != expected:
            raise StorageError(f"{table}: declared with columns {expected}, but holds {found}")
    rows = connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
    preview = connection.execute(f"SELECT * FROM {table} LIMIT {PREVIEW_ROWS}").to_arrow_table()
    return {
        "dagster/row_count": rows,
        "dagster/column_schema": declared
        or dg.TableSchema(columns=[dg.TableColumn(name, type_) for name, type_ in found.items()]),
        "preview": dg.MetadataValue.md(markdown_table(preview)),
    }
