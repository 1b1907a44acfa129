"""Small tools around DuckDB relations: a table that DuckDB computes by itself, and previews.

A `TableQuery` is a SELECT with its parameters and, where wanted, views that go with the table. It
lets an asset say what a table holds while the rows never pass through Python; the IO manager (or a
test, on a connection of its own) runs it. No SQL of a particular table belongs here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from recsys_assets.preparation.lineage import record_lineage


@dataclass(frozen=True)
class TableQuery:
    """A table to be made by one SELECT inside DuckDB.

    Attributes
    ----------
    select
        The SELECT statement; named parameters as ``$name``.
    parameters
        Values of the named parameters.
    views
        Names and SELECT statements of views that are replaced in the same transaction.
    arrays
        Makes Arrow tables that the SELECT reads by name; called on the same connection, before it.
    made_from
        The tables that the SELECT reads.
    """

    select: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    views: Mapping[str, str] = field(default_factory=dict)
    arrays: Callable[[duckdb.DuckDBPyConnection], Mapping[str, pa.Table]] | None = None
    made_from: Sequence[str] = ()

    def create(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        """Create or replace `table` (already quoted) and the views, inside the caller's transaction."""
        arrays = {} if self.arrays is None else self.arrays(connection)
        for name, rows in arrays.items():
            connection.register(name, rows)
        try:
            connection.execute(
                f"CREATE OR REPLACE TABLE {table} AS {self.select}", dict(self.parameters) or None
            )
        finally:
            for name in arrays:
                connection.unregister(name)
        record_lineage(connection, table, self.made_from)
        for name, select in self.views.items():
            connection.execute(f'CREATE OR REPLACE VIEW "{name}" AS {select}')

    def fetch(self, connection: duckdb.DuckDBPyConnection) -> pa.Table:
        """Run the SELECT alone and return its rows."""
        return connection.execute(self.select, dict(self.parameters) or None).to_arrow_table()


def read_head(path: Path, rows: int = 5) -> pa.Table:
    """Return the first rows of a parquet file."""
    with duckdb.connect() as connection:
        return connection.execute(
            f"FROM read_parquet($path) LIMIT {rows}", {"path": str(path)}
        ).to_arrow_table()


def markdown_table(table: pa.Table, *, longest: int = 80) -> str:
    """Return an Arrow table of few rows as a Markdown table; long values are cut at `longest`."""

    def cell(value: object) -> str:
        text = "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")
        return text if len(text) <= longest else text[: longest - 1] + "…"

    lines = [
        "| " + " | ".join(table.column_names) + " |",
        "|" + "---|" * table.num_columns,
    ]
    lines += [
        "| " + " | ".join(cell(value) for value in row.values()) + " |" for row in table.to_pylist()
    ]
    return "\n".join(lines)


def count_rows(path: Path) -> int:
    """Return the number of rows of a parquet file, from its metadata."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT count(*) FROM read_parquet($path)", {"path": str(path)}
        ).fetchall()
    return int(rows[0][0])
