"""Shared fixtures: tiny cleaned playlists, temporary settings, the real data's folder."""

from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings as hypothesis_settings

from recsys_assets import columns as c
from recsys_assets.settings import Settings
from recsys_assets.sources.coded import CodedFiles, code_cleaned

# No deadline: a slow machine is not a wrong result. The same examples on every run of CI.
hypothesis_settings.register_profile("project", deadline=None, derandomize=True)
hypothesis_settings.load_profile("project")

REAL_DATA = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose every path is below a temporary folder."""
    return Settings(home=tmp_path / "var")


@pytest.fixture
def real_data() -> Path:
    """The folder of real data; skips where it is absent."""
    if not REAL_DATA.exists():
        pytest.skip("the real data of ../shared/data is not on this machine")
    return REAL_DATA


def write_cleaned(
    path: Path,
    playlists: dict[str, list[tuple[str, str | None]]],
    started_at: dict[str, datetime | None] | None = None,
) -> Path:
    """Write a cleaned parquet file and its coded rows.

    From {playlist id: [(track id, artist id), …]}, with times.
    """
    rows = [
        {
            **dict.fromkeys(c.CLEANED_COLUMNS),
            c.PLAYLIST_ID: playlist,
            c.POSITION: position,
            c.TRACK_ID: track,
            c.TRACK_NAME: f"title of {track}",
            c.ARTIST_ID: artist,
            c.ARTIST_NAME: artist,
            c.PLAYLIST_NAME: f"name of {playlist}",
            c.USER_ID: "user",
            c.STARTED_AT: (started_at or {}).get(playlist),
        }
        for playlist, tracks in playlists.items()
        for position, (track, artist) in enumerate(tracks)
    ]
    types = {"INTEGER": pa.int32(), "TIMESTAMP": pa.timestamp("us")}
    schema = pa.schema(
        [(name, types.get(type_, pa.string())) for name, type_ in c.CLEANED_COLUMNS.items()]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema), path)
    with duckdb.connect() as connection:
        code_cleaned(connection, path, CodedFiles.beside(path))
    return path
