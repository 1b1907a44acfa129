"""What each table's columns are and where they come from: schema and column lineage for the UI.

One entry per table. The IO manager compares the declared columns with those it wrote and refuses a
difference, so these texts cannot drift from the tables. How a table is made belongs in `preparation/`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from recsys_assets import columns as c

DESCRIPTIONS: Mapping[str, str] = {
    c.PLAYLIST_ID: "Stable id of the playlist (or listening session).",
    c.POSITION: "Place in the playlist, from 0 without gaps.",
    c.TRACK_ID: "Stable id: the source's URI, or artist|||track.",
    c.TRACK_NAME: "Title of the track, if the source has one.",
    c.ARTIST_ID: "Stable id: the source's URI, or the artist's name; null where missing.",
    c.ARTIST_NAME: "Name of the artist; null where missing.",
    c.ALBUM_ID: "Stable id of the album, if the source has one.",
    c.ALBUM_NAME: "Name of the album, if the source has one.",
    c.USER_ID: "Owner of the playlist, if the source has one.",
    c.PLAYLIST_NAME: "Name of the playlist, if the source has one.",
    c.STARTED_AT: (
        "Time of the playlist (UTC): when a session began, when a list was last modified; null where "
        "the source has none."
    ),
    c.SOURCE_FILE: "Raw file, relative to the raw folder.",
    c.LINE: "Line of the file, from 1; null for JSON and parquet.",
    c.JSON_PATH: "Place in a JSON file, such as $.playlists[3].tracks[17].",
    c.KIND: "defect (counts towards the limit) or filter (left out by a setting).",
    c.REASON: "Why the row was not taken.",
    c.RAW_TEXT: "The row as it stood in the file.",
    c.TRACK_INDEX: "Dense index from 0, by falling number of training playlists, ties by id.",
    c.ARTIST_INDEX: "Dense index of the artist; -1 where missing.",
    c.ALBUM_INDEX: "Dense number of the album; -1 where missing.",
    c.PLAYLIST_COUNT: "Playlists that hold it, over all cleaned playlists.",
    c.PLAY_COUNT: "Rows that hold it, over all cleaned playlists.",
    c.TRAIN_PLAYLIST_COUNT: "Training playlists that hold it.",
    c.TRACK_SEQUENCE: "Track indices in playing order.",
    c.ARTIST_SEQUENCE: "Artist indices in playing order, -1 where missing.",
    c.TRACK_COUNT: "Tracks in the playlist.",
    c.SPLIT: "train, validation or test.",
    c.CANDIDATE: "Entry of the grid.",
    c.FAMILY: "Model family.",
    c.METRIC: "Name of the metric.",
    c.SLICE: "Which playlists: all, or a slice by target popularity, query length or answer tier.",
    c.VALUE: "The metric's value.",
    c.LOW: "Lower end of the 95 % interval; null where a metric has none.",
    c.HIGH: "Upper end of the 95 % interval; null where a metric has none.",
    c.DATA_VERSION: "Hash of the splits and the catalogue that were used.",
    c.PLACE: "Place on the leaderboard, from 1, by hit rate @100.",
    c.SEEDS: "Tracks that are given, the first of the playlist; the rest is asked for.",
    c.PLAYLISTS: "Validation playlists that were long enough, at most 1,000.",
    c.FINGERPRINT: "Hash of what decides the candidate: data, family, parameters, seed, code.",
    c.FORMAT: "Recognised format of the file.",
    c.BYTES: "Size of the file.",
    "path": "Absolute path of the file, or of the archive that holds it.",
    "name": "Name relative to the raw folder.",
    "mtime_ns": "Time of the last change, nanoseconds since 1970.",
    "ctime_ns": "The same of content, name or rights, which no program can set back.",
    "digest": "SHA-256 of the unpacked content; of a large file, of its pieces' hashes.",
    "container": "plain, gz or zip.",
    "member": "Name inside the archive, if it is in one.",
    "ignored": "Why the file is not read; null for those that are.",
}


@dataclass(frozen=True)
class TableSpec:
    """Columns of a table with their DuckDB types, and the columns that each is made from."""

    columns: Mapping[str, str]
    lineage: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)

    def metadata(self) -> dict[str, Any]:
        """Return the asset metadata that Dagster shows as schema and column lineage."""
        return {
            "dagster/column_schema": dg.TableSchema(
                columns=[
                    dg.TableColumn(name, type_, description=DESCRIPTIONS.get(name))
                    for name, type_ in self.columns.items()
                ]
            ),
            "dagster/column_lineage": dg.TableColumnLineage(
                {
                    column: [dg.TableColumnDep(dg.AssetKey(table), name) for table, name in sources]
                    for column, sources in self.lineage.items()
                }
            ),
        }


def _same(columns: Sequence[str], table: str) -> dict[str, list[tuple[str, str]]]:
    return {column: [(table, column)] for column in columns}


_SEQUENCES = {
    c.PLAYLIST_ID: "VARCHAR",
    c.PLAYLIST_NAME: "VARCHAR",
    c.USER_ID: "VARCHAR",
    c.STARTED_AT: "TIMESTAMP",
    c.TRACK_SEQUENCE: "INTEGER[]",
    c.ARTIST_SEQUENCE: "INTEGER[]",
    c.TRACK_COUNT: "INTEGER",
}
_SPLIT = TableSpec(_SEQUENCES, _same(list(_SEQUENCES), c.PLAYLIST_SEQUENCES))
_COUNTS = {
    c.PLAYLIST_COUNT: "BIGINT",
    c.PLAY_COUNT: "BIGINT",
    c.TRAIN_PLAYLIST_COUNT: "BIGINT",
}
_COUNT_LINEAGE = {name: [(c.CLEANED_PLAYLISTS, c.PLAYLIST_ID)] for name in _COUNTS}

TABLES: Mapping[str, TableSpec] = {
    c.RAW_PLAYLISTS: TableSpec(
        {
            "path": "VARCHAR",
            "name": "VARCHAR",
            c.BYTES: "BIGINT",
            "mtime_ns": "BIGINT",
            "ctime_ns": "BIGINT",
            "digest": "VARCHAR",
            "container": "VARCHAR",
            "member": "VARCHAR",
            c.FORMAT: "VARCHAR",
            "ignored": "VARCHAR",
        }
    ),
    c.CLEANED_PLAYLISTS: TableSpec(c.CLEANED_COLUMNS),
    c.REJECTED_ROWS: TableSpec(c.REJECTED_COLUMNS),
    c.ARTIST_CATALOG: TableSpec(
        {
            c.ARTIST_INDEX: "INTEGER",
            c.ARTIST_ID: "VARCHAR",
            c.ARTIST_NAME: "VARCHAR",
            **_COUNTS,
        },
        {
            **_same([c.ARTIST_ID, c.ARTIST_NAME], c.CLEANED_PLAYLISTS),
            c.ARTIST_INDEX: [(c.CLEANED_PLAYLISTS, c.ARTIST_ID)],
            **_COUNT_LINEAGE,
        },
    ),
    c.TRACK_CATALOG: TableSpec(
        {
            c.TRACK_INDEX: "INTEGER",
            c.TRACK_ID: "VARCHAR",
            c.TRACK_NAME: "VARCHAR",
            c.ARTIST_INDEX: "INTEGER",
            c.ALBUM_INDEX: "INTEGER",
            **_COUNTS,
        },
        {
            **_same([c.TRACK_ID, c.TRACK_NAME], c.CLEANED_PLAYLISTS),
            c.TRACK_INDEX: [(c.CLEANED_PLAYLISTS, c.TRACK_ID)],
            c.ARTIST_INDEX: [(c.ARTIST_CATALOG, c.ARTIST_INDEX)],
            c.ALBUM_INDEX: [(c.CLEANED_PLAYLISTS, c.ALBUM_ID)],
            **_COUNT_LINEAGE,
        },
    ),
    c.PLAYLIST_SEQUENCES: TableSpec(
        {**_SEQUENCES, c.SPLIT: "VARCHAR"},
        {
            **_same([c.PLAYLIST_ID, c.PLAYLIST_NAME, c.USER_ID, c.STARTED_AT], c.CLEANED_PLAYLISTS),
            c.TRACK_SEQUENCE: [(c.CLEANED_PLAYLISTS, c.POSITION), (c.TRACK_CATALOG, c.TRACK_INDEX)],
            c.ARTIST_SEQUENCE: [
                (c.CLEANED_PLAYLISTS, c.POSITION),
                (c.TRACK_CATALOG, c.ARTIST_INDEX),
            ],
            c.TRACK_COUNT: [(c.CLEANED_PLAYLISTS, c.POSITION)],
            c.SPLIT: [(c.CLEANED_PLAYLISTS, c.PLAYLIST_ID)],
        },
    ),
    c.TRAIN_PLAYLISTS: _SPLIT,
    c.VALIDATION_PLAYLISTS: _SPLIT,
    c.TEST_PLAYLISTS: _SPLIT,
    c.LEADERBOARD: TableSpec(
        {
            c.PLACE: "INTEGER",
            c.CANDIDATE: "VARCHAR",
            c.FAMILY: "VARCHAR",
            c.METRIC: "VARCHAR",
            c.SLICE: "VARCHAR",
            c.VALUE: "DOUBLE",
            c.LOW: "DOUBLE",
            c.HIGH: "DOUBLE",
            c.DATA_VERSION: "VARCHAR",
        },
        {
            c.DATA_VERSION: [
                (c.TRAIN_PLAYLISTS, c.TRACK_SEQUENCE),
                (c.VALIDATION_PLAYLISTS, c.TRACK_SEQUENCE),
            ]
        },
    ),
    c.CHALLENGE_METRICS: TableSpec(
        {
            c.PLACE: "INTEGER",
            c.CANDIDATE: "VARCHAR",
            c.FAMILY: "VARCHAR",
            c.SEEDS: "INTEGER",
            c.METRIC: "VARCHAR",
            c.VALUE: "DOUBLE",
            c.LOW: "DOUBLE",
            c.HIGH: "DOUBLE",
            c.PLAYLISTS: "INTEGER",
            c.DATA_VERSION: "VARCHAR",
            c.FINGERPRINT: "VARCHAR",
        },
        {
            **_same([c.PLACE, c.CANDIDATE, c.FAMILY, c.DATA_VERSION], c.LEADERBOARD),
            c.PLAYLISTS: [(c.VALIDATION_PLAYLISTS, c.TRACK_COUNT)],
        },
    ),
}
