"""Small tools around DuckDB relations: a table that DuckDB computes by itself, and previews.

A `TableQuery` is a SELECT with its parameters and, where wanted, arrays that it reads and views that
go with the table. It lets an asset say what a table holds; the IO manager (or a test, on a connection
of its own) runs it. No SQL of a particular table belongs here.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from recsys_assets.heap import give_back_freed
from recsys_assets.preparation.lineage import record_lineage
from recsys_assets.sources.fields import literal

Rows: TypeAlias = pa.Table | pa.RecordBatchReader


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
    alongside
        Names and SELECT statements of tables that are replaced in the same transaction, before this
        one.
    arrays
        Makes Arrow data that the SELECTs read by name; called on the same connection, before them.
        Of a reader, which at most one of them may be and only `select` may read, `threads` batches
        are taken at a time: the SELECT of the first makes the table, those of the others are
        inserted.
    made_from
        The tables that the SELECT reads.
    numbering
        Hash of the coded files' numbers that the table speaks of, where it does.
    compression
        DuckDB's name of the only method to be tried; it chooses by trying all otherwise.
    threads
        Of DuckDB, to store the rows, if it may use so many. Two pay where each batch of a reader is
        a group of rows as DuckDB stores it: the training side of 160,000 playlists took two 1.1
        processor seconds and 65 MiB more, one takes 0.6.
    """

    select: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    views: Mapping[str, str] = field(default_factory=dict)
    alongside: Mapping[str, str] = field(default_factory=dict)
    arrays: Callable[[duckdb.DuckDBPyConnection], Mapping[str, Rows]] | None = None
    made_from: Sequence[str] = ()
    numbering: str | None = None
    compression: str = "auto"
    threads: int = 1

    def create(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        """Create or replace `table` (already quoted) and the views, inside the caller's transaction."""
        give_back_freed()  # what the step before left: 80 MiB after a check of track_catalog's keys
        arrays = {} if self.arrays is None else self.arrays(connection)
        give_back_freed()  # what the arrays took while they were made
        readers = {name: r for name, r in arrays.items() if isinstance(r, pa.RecordBatchReader)}
        threads = min(self.threads, _setting(connection, "threads"))
        with _settings(
            connection,
            threads=threads,
            force_compression=self.compression,
            write_buffer_row_group_count=1,
        ):
            try:
                for name, rows in arrays.items():
                    connection.register(name, _next(rows) if name in readers else rows)
                for name, select in self.alongside.items():
                    connection.execute(f'CREATE OR REPLACE TABLE "{name}" AS {select}')
                connection.execute(
                    f"CREATE OR REPLACE TABLE {table} AS {self.select}",
                    dict(self.parameters) or None,
                )
                for name, rows in readers.items():
                    for batches in _ahead(rows, threads):
                        connection.register(name, _reader(rows.schema, batches))
                        connection.execute(f"INSERT INTO {table} {self.select}")
                        give_back_freed()
            finally:
                for name in arrays:
                    connection.unregister(name)
        del arrays, readers
        give_back_freed()
        record_lineage(connection, table, self.made_from, numbering=self.numbering)
        for name, select in self.views.items():
            connection.execute(f'CREATE OR REPLACE VIEW "{name}" AS {select}')

    def fetch(self, connection: duckdb.DuckDBPyConnection) -> pa.Table:
        """Run the SELECT alone and return its rows."""
        return connection.execute(self.select, dict(self.parameters) or None).to_arrow_table()


@contextlib.contextmanager
def _settings(connection: duckdb.DuckDBPyConnection, **values: str | int) -> Iterator[None]:
    """Change settings for a while; after an error, where no statement is taken, they stay changed."""
    before = {name: _setting(connection, name) for name in values}
    for name, value in values.items():
        connection.execute(f"SET {name} = {literal(str(value))}")
    yield
    for name, value in before.items():
        connection.execute(f"SET {name} = {literal(str(value))}")


def _setting(connection: duckdb.DuckDBPyConnection, name: str) -> Any:  # noqa: ANN401
    return connection.execute("SELECT current_setting($name)", {"name": name}).fetchall()[0][0]


def _ahead(rows: Iterable[pa.RecordBatch], most: int) -> Iterator[list[pa.RecordBatch]]:
    """Yield so many batches at a time, made by another thread while those before are used."""
    batches = iter(rows)

    def following() -> list[pa.RecordBatch]:
        return list(itertools.islice(batches, most))

    with ThreadPoolExecutor(1, thread_name_prefix="recsys") as pool:
        making = pool.submit(following)
        while taken := making.result():
            making = pool.submit(following)
            yield taken


def _next(rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    return _reader(rows.schema, list(itertools.islice(rows, 1)))


def _reader(schema: pa.Schema, batches: list[pa.RecordBatch]) -> pa.RecordBatchReader:
    # DuckDB reads a table ahead by threads of Arrow's, which keep all that they copied. Whoever
    # made the list still knows it: what has been taken must not stay in memory for that.
    taken = (batches.pop(0) for _ in range(len(batches)))
    return pa.RecordBatchReader.from_batches(schema, taken)


def read_head(path: Path, rows: int = 5) -> pa.Table:
    """Return the first rows of a parquet file."""
    # A second thread would begin with rows that nobody asked for.
    with duckdb.connect(config={"threads": 1}) as connection:
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
    return int(pq.read_metadata(path).num_rows)
