"""Assets called directly, without an instance."""

import json

import dagster as dg
import duckdb
import pytest

from recsys_assets import columns as c
from recsys_assets.assets import ingestion, preparation
from recsys_assets.assets.common import user_errors
from recsys_assets.assets.tables import DESCRIPTIONS, TABLES
from recsys_assets.errors import DataError
from recsys_assets.resources.database import DuckDBReader
from recsys_assets.settings import Settings
from recsys_assets.sources import known_files
from recsys_assets.sources.demo import write_demo
from recsys_assets_tests.conftest import write_cleaned


def test_preparation_assets_make_the_declared_columns(settings: Settings) -> None:
    """Prevents tables whose columns differ from what the UI says."""
    settings.cleaned.mkdir(parents=True)
    write_cleaned(ingestion.cleaned_file(settings), {"p": [("a", "X"), ("b", None), ("c", "Y")]})
    with duckdb.connect() as connection:
        for asset in preparation.ASSETS:
            table = asset.key.path[-1]
            asset(settings=settings).create(connection, table)
            described = connection.execute(f"DESCRIBE {table}").fetchall()
            assert {name: type_ for name, type_, *_ in described} == TABLES[table].columns


def test_manifest_of_the_demo(settings: Settings) -> None:
    """Prevents a demo that needs a raw path, or a data version that changes by itself."""
    versions = set()
    for _ in range(2):
        output = ingestion.raw_playlists(context=dg.build_asset_context(), settings=settings)
        versions.add(output.data_version.value)
        assert output.value.column_names == list(TABLES[c.RAW_PLAYLISTS].columns)
    assert len(versions) == 1
    assert settings.raw_or_demo.exists()


def test_incremental_is_a_choice(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents RECSYS_INCREMENTAL=false from trusting what is remembered, or from keeping parts."""
    monkeypatch.setattr(known_files, "_SETTLED_NS", 0)

    def told(settings: Settings) -> tuple[str, list[str]]:
        context = dg.build_asset_context()
        manifest = ingestion.raw_playlists(context=context, settings=settings)
        with duckdb.connect(str(settings.database)) as connection:
            connection.register("manifest", manifest.value)
            connection.execute(f"CREATE OR REPLACE TABLE {c.RAW_PLAYLISTS} AS FROM manifest")
        lines: list[str] = []
        monkeypatch.setattr(context.log, "info", lines.append)
        database = DuckDBReader(database=str(settings.database))
        list(ingestion.ingested_playlists(context, settings=settings, database=database))
        return manifest.data_version.value, [line for line in lines if "unchanged" in line]

    settings.home.mkdir()
    write_demo(settings.home / "demo.csv", playlists=20)
    values = {"home": settings.home, "raw": settings.home / "demo.csv"}
    version, _ = told(Settings(**values, incremental=False))
    assert not (settings.home / "parts").exists()
    told(Settings(**values))
    text = settings.known_files.read_text()
    assert text.count('"digest"') == 1
    assert told(Settings(**values))[1][0].startswith("1 of 1 file(s)")
    entries = json.loads(text)
    settings.known_files.write_text(json.dumps([{**entries[0], "digest": "of before"}]) + "\n")
    assert told(Settings(**values))[0] != version
    assert told(Settings(**values, incremental=False)) == (version, [])


def test_user_errors_become_failures_with_their_message() -> None:
    """Prevents a message for the user from being buried in a traceback, or a defect from hiding."""
    with pytest.raises(dg.Failure) as caught, user_errors():
        raise DataError("mend this")
    assert caught.value.description == "mend this"
    with pytest.raises(ZeroDivisionError), user_errors():
        raise ZeroDivisionError


def test_every_column_is_described() -> None:
    """Prevents columns that nobody explains."""
    names = {name for spec in TABLES.values() for name in spec.columns}
    assert names <= set(DESCRIPTIONS)
