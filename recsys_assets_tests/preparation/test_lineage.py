"""Tables know what they were made from."""

from pathlib import Path

import duckdb
import pytest

from recsys_assets.errors import StorageError
from recsys_assets.preparation.lineage import require_current
from recsys_assets.preparation.queries import TableQuery
from recsys_assets.sources.coded import CodedFiles


def test_a_table_older_than_its_source_is_refused() -> None:
    """Prevents indices from being read as other tracks after a killed or partial run."""
    with duckdb.connect() as connection:

        def make(table: str, select: str, *made_from: str) -> None:
            TableQuery(select, made_from=made_from).create(connection, table)

        make("catalog", "SELECT * FROM (VALUES (0, 'a'), (1, 'b')) AS rows(number, id)")
        make("sequences", "SELECT number, [number] AS items FROM catalog", "catalog")
        make("split", "FROM sequences", "sequences")
        require_current(connection, "split")
        make("catalog", "SELECT * FROM (VALUES (1, 'b'), (0, 'a')) AS rows(number, id)")
        require_current(connection, "split")  # the same content in another order
        make("catalog", "SELECT * FROM (VALUES (0, 'b'), (1, 'a')) AS rows(number, id)")
        for table in ("split", "sequences"):
            with pytest.raises(StorageError, match=r"sequences was made from another .* catalog"):
                require_current(connection, table)
        make("sequences", "SELECT number, [number] AS items FROM catalog", "catalog")
        require_current(connection, "sequences")


def test_table_of_an_earlier_version_passes() -> None:
    """Prevents a home folder from before these comments from being refused."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE old AS SELECT 1 AS one")
        require_current(connection, "old")
        require_current(connection, "not there at all")


def test_missing_coded_files_are_named(tmp_path: Path) -> None:
    """Prevents a message of DuckDB's about a pattern where an ingestion was killed."""
    with pytest.raises(StorageError, match="materialise cleaned_playlists first"):
        CodedFiles.beside(tmp_path / "cleaned_playlists.parquet").relations()
