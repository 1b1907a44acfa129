"""Which state of which tables a table was made from, kept as its comment in DuckDB.

Indices mean nothing beside another catalogue: after a killed run, or when only some assets are
materialised in the UI, a table may be older than what it was made from. Written by `TableQuery`,
asked by the IO manager. It is of the content, so making the same table again changes nothing.
"""

import json
from collections.abc import Sequence
from typing import Any

import duckdb

from recsys_assets.errors import StorageError
from recsys_assets.sources.fields import literal


def record_lineage(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    made_from: Sequence[str],
    *,
    numbering: str | None = None,
) -> None:
    """Note at `table` (quoted) what it holds, and what the tables it was made from hold now.

    `numbering` is the hash of the coded files' numbers that it speaks of, or None.
    """
    # Hashed twice: a row's hash is an exclusive or of its columns', so that two rows that change
    # places in one column would leave the exclusive or of all rows as it was.
    content = connection.execute(
        f"SELECT count(*) || ' ' || coalesce(bit_xor(hash(hash(held))), 0) FROM {table} AS held"
    ).fetchall()[0][0]
    sources = {one: _lineage(connection, one).get("content") for one in made_from}
    noted = {"content": content, "sources": sources, "numbering": numbering}
    text = literal(json.dumps(noted))
    connection.execute(f"COMMENT ON TABLE {table} IS {text}")


def require_current(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Check that all that `table` was made from is as it was then.

    Raises
    ------
    StorageError
        Naming the two tables and what to materialise.
    """
    for source, content in _lineage(connection, table).get("sources", {}).items():
        if _lineage(connection, source).get("content") != content:
            raise StorageError(
                f"table {table} was made from another state of {source}, so that its indices would "
                f"be read as other tracks and artists; materialise {table} and what lies between "
                "(the job `prepare` does), then this asset again"
            )
        require_current(connection, source)


def recorded_numbering(connection: duckdb.DuckDBPyConnection, table: str) -> str | None:
    """Return the hash of the numbers that `table` speaks of; None where there is none."""
    return _lineage(connection, table).get("numbering")


def _lineage(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, Any]:
    found = connection.execute(
        "SELECT comment FROM duckdb_tables() WHERE table_name = $table AND comment IS NOT NULL",
        {"table": table},
    ).fetchall()
    return dict(json.loads(found[0][0])) if found else {}
