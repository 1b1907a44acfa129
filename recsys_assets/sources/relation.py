"""What a format's reader hands over: its rows staged in DuckDB, and how they become cleaned ones.

The value types between the readers and `ingest.py`. No SQL of one format and no files here.
"""

from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from recsys_assets.progress import Progress
from recsys_assets.sources.manifest import RawManifest
from recsys_assets.sources.options import IngestOptions
from recsys_assets.sources.parts import Parts

SEQ = "seq"
"""BIGINT column of every staged table: the order of the rows over all files."""

SEQ_PER_FILE = 1 << 44
"""File number `f` owns the values from ``f * SEQ_PER_FILE``; the rest is its line or row."""


@dataclass(frozen=True)
class Workspace:
    """What a reader works with.

    Attributes
    ----------
    connection
        DuckDB in memory, spilling into `scratch`.
    scratch
        An empty folder that is removed afterwards.
    parts
        What was made of files that are unchanged.
    """

    connection: duckdb.DuckDBPyConnection
    manifest: RawManifest
    options: IngestOptions
    scratch: Path
    progress: Progress
    parts: Parts


@dataclass(frozen=True)
class FileRead:
    """What was read of one file, counted while reading and not from the staged rows.

    Attributes
    ----------
    rows
        Data rows (records, track entries); the unusable rest of a JSON slice is one row.
    bytes, rejected_bytes
        Unpacked size, and how much of it was rejected as a whole.
    seconds
        Time for reading and staging.
    """

    rows: int
    bytes: int
    seconds: float
    rejected_bytes: int = 0


@dataclass(frozen=True)
class Staged:
    """Rows staged by a reader; every string is a SQL expression over `table`.

    Attributes
    ----------
    table
        A table or view with `SEQ` and all that the expressions need.
    defect
        The reason why a row cannot be used, or NULL.
    columns
        One expression for each of `CLEANED_COLUMNS` that is not NULL, but `position`.
    playlist
        The expressions that tell playlists apart.
    order
        The order within a playlist; ends with a unique column.
    raw_text
        The row as it was read.
    json_path
        Where it was, in JSON.
    files
        One per file of the manifest.
    """

    table: str
    defect: str
    columns: dict[str, str]
    playlist: tuple[str, ...]
    order: str
    raw_text: str
    json_path: str = "NULL"
    files: list[FileRead] = field(default_factory=list)
