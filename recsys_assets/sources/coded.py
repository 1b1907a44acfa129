"""The cleaned rows once more, as integers: four parquet files that later steps read instead.

Grouping and joining 12.9 million rows by their string ids costs several times what it costs by
number, so every id is numbered once, here. The numbers mean nothing outside these files, and may be
others after the next ingestion. Files of any format are coded by SQL; `quick_write.py` writes the
same tables from what the quick reader numbered.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from recsys_assets import columns as c
from recsys_assets.errors import StorageError
from recsys_assets.sources.fields import literal

_COPY: Final = "(FORMAT parquet, COMPRESSION lz4_raw)"
ROWS_ORDER: Final = f"ORDER BY {c.PLAYLIST_NUMBER}, {c.POSITION}"


@dataclass(frozen=True)
class CodedFiles:
    """Where the four tables are.

    Attributes
    ----------
    folder
        Holds ``rows``: playlist_number, position, track_number, artist_number int32 (-1 without an
        artist), first_of_track, first_of_artist bool (is it the playlist's first row of it?), in
        order of playlist and position; ``playlists``: playlist_number, playlist_id, playlist_name,
        user_id, started_at, track_count int32; ``tracks``: track_number, track_id, track_name,
        artist_number, album_id, playlist_count, play_count int64; ``artists``: artist_number,
        artist_id, artist_name, playlist_count, play_count.
    """

    folder: Path

    @classmethod
    def beside(cls, cleaned: Path) -> "CodedFiles":
        """Return where the coded rows of a parquet file of cleaned rows are."""
        return cls(cleaned.with_name("coded"))

    @property
    def rows(self) -> Path:
        """One row per cleaned row."""
        return self.folder / "rows.parquet"

    @property
    def playlists(self) -> Path:
        """One row per playlist."""
        return self.folder / "playlists.parquet"

    @property
    def tracks(self) -> Path:
        """One row per track."""
        return self.folder / "tracks.parquet"

    @property
    def artists(self) -> Path:
        """One row per artist."""
        return self.folder / "artists.parquet"

    def relations(self) -> str:
        """Return common table expressions that name the four tables, for a WITH clause.

        Raises
        ------
        StorageError
            If they are not there.
        """
        if not self.folder.is_dir():
            raise StorageError(
                f"{self.folder}: not there, because the ingestion was interrupted or was that of an "
                "earlier version; materialise cleaned_playlists first"
            )
        return ", ".join(
            f"coded_{path.stem} AS (FROM read_parquet({literal(str(path))}))"
            for path in (self.rows, self.playlists, self.tracks, self.artists)
        )


def code_cleaned(connection: duckdb.DuckDBPyConnection, cleaned: Path, files: CodedFiles) -> None:
    """Write the four tables from the parquet file of cleaned rows.

    Numbers follow the ids. Where the rows of one id differ in a name, an artist or an album, the
    smallest is taken.
    """
    source = f"read_parquet({literal(str(cleaned))})"
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE coded_playlists AS
        SELECT (row_number() OVER (ORDER BY {c.PLAYLIST_ID}) - 1)::INTEGER AS {c.PLAYLIST_NUMBER}, *
        FROM (SELECT {c.PLAYLIST_ID}, min({c.PLAYLIST_NAME}) AS {c.PLAYLIST_NAME},
            min({c.USER_ID}) AS {c.USER_ID}, min({c.STARTED_AT}) AS {c.STARTED_AT},
            count(*)::INTEGER AS {c.TRACK_COUNT} FROM {source} GROUP BY {c.PLAYLIST_ID});

        CREATE OR REPLACE TEMP TABLE coded_artists AS
        SELECT (row_number() OVER (ORDER BY {c.ARTIST_ID}) - 1)::INTEGER AS {c.ARTIST_NUMBER}, *
        FROM (SELECT {c.ARTIST_ID}, min({c.ARTIST_NAME}) AS {c.ARTIST_NAME}
            FROM {source} WHERE {c.ARTIST_ID} IS NOT NULL GROUP BY {c.ARTIST_ID});

        CREATE OR REPLACE TEMP TABLE coded_tracks AS
        SELECT (row_number() OVER (ORDER BY {c.TRACK_ID}) - 1)::INTEGER AS {c.TRACK_NUMBER}, *
        FROM (SELECT {c.TRACK_ID}, min({c.TRACK_NAME}) AS {c.TRACK_NAME},
            min({c.ARTIST_ID}) AS {c.ARTIST_ID}, min({c.ALBUM_ID}) AS {c.ALBUM_ID}
            FROM {source} GROUP BY {c.TRACK_ID});

        CREATE OR REPLACE TEMP TABLE coded_rows AS
        SELECT {c.PLAYLIST_NUMBER}, {c.POSITION}, {c.TRACK_NUMBER},
            coalesce(coded_artists.{c.ARTIST_NUMBER}, -1)::INTEGER AS {c.ARTIST_NUMBER},
            row_number() OVER (PARTITION BY {c.PLAYLIST_NUMBER}, {c.TRACK_NUMBER}
                ORDER BY {c.POSITION}) = 1 AS {c.FIRST_OF_TRACK},
            coded_artists.{c.ARTIST_NUMBER} IS NOT NULL AND row_number() OVER (
                PARTITION BY {c.PLAYLIST_NUMBER}, coded_artists.{c.ARTIST_NUMBER}
                ORDER BY {c.POSITION}) = 1 AS {c.FIRST_OF_ARTIST}
        FROM {source}
        JOIN coded_playlists USING ({c.PLAYLIST_ID})
        JOIN (SELECT {c.TRACK_ID}, {c.TRACK_NUMBER} FROM coded_tracks) USING ({c.TRACK_ID})
        LEFT JOIN coded_artists USING ({c.ARTIST_ID}) {ROWS_ORDER}""")
    counts = f"""count(*) FILTER (first) AS {c.PLAYLIST_COUNT}, count(*) AS {c.PLAY_COUNT}"""
    tables = {
        files.rows: f"FROM coded_rows {ROWS_ORDER}",
        files.playlists: f"FROM coded_playlists ORDER BY {c.PLAYLIST_NUMBER}",
        files.tracks: f"""
            SELECT {c.TRACK_NUMBER}, {c.TRACK_ID}, {c.TRACK_NAME},
                coalesce({c.ARTIST_NUMBER}, -1)::INTEGER AS {c.ARTIST_NUMBER}, {c.ALBUM_ID},
                {c.PLAYLIST_COUNT}, {c.PLAY_COUNT}
            FROM coded_tracks JOIN (SELECT {c.TRACK_NUMBER}, {counts}
                FROM (SELECT *, {c.FIRST_OF_TRACK} AS first FROM coded_rows)
                GROUP BY {c.TRACK_NUMBER}) USING ({c.TRACK_NUMBER})
            LEFT JOIN coded_artists USING ({c.ARTIST_ID}) ORDER BY {c.TRACK_NUMBER}""",
        files.artists: f"""
            SELECT * FROM coded_artists JOIN (SELECT {c.ARTIST_NUMBER}, {counts}
                FROM (SELECT *, {c.FIRST_OF_ARTIST} AS first FROM coded_rows)
                GROUP BY {c.ARTIST_NUMBER}) USING ({c.ARTIST_NUMBER})
            ORDER BY {c.ARTIST_NUMBER}""",
    }
    files.folder.mkdir(parents=True, exist_ok=True)
    for path, select in tables.items():
        connection.execute(f"COPY ({select}) TO {literal(str(path))} {_COPY}")
