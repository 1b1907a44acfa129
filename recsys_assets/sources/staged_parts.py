"""Staged rows as parts: of one file, with its sequence numbers as if it were the only one.

What the readers by SQL, and the odd lines of the quick reader, have in common. Which rows may be kept
because they depend on no other file is said by each reader; folders and keys are in `parts.py`.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from recsys_assets.sources.fields import literal
from recsys_assets.sources.parts import Part
from recsys_assets.sources.relation import SEQ, SEQ_PER_FILE, FileRead, Workspace

_ROWS: Final = "rows.parquet"


def stage_once(work: Workspace, table: str, number: int, read: Callable[[], FileRead]) -> FileRead:
    """Stage a file that depends on no other: from its part, or by `read`, which is then kept.

    Parameters
    ----------
    table
        Where the rows go; made with the first file's.
    number
        Which file of the manifest.
    read
        Puts the file's rows into `table`.
    """
    started = time.monotonic()
    file = work.manifest.files[number]
    part = work.parts.find(file)
    if part is not None:
        insert_rows(work, table, number, part.folder, first=number == 0)
        return read_before(work, part, started)
    done = read()
    if work.parts.are_made_of(file):
        with work.parts.adding(file, counts_of(done)) as folder:
            write_rows(work, table, number, folder)
    return done


def read_before(work: Workspace, part: Part, started: float) -> FileRead:
    """Count a file as one that did not have to be read; returns what was counted when it was."""
    work.parts.found += 1
    return FileRead(
        rows=part.counts["rows"],
        bytes=part.counts["bytes"],
        seconds=time.monotonic() - started,
    )


def counts_of(read: FileRead) -> dict[str, int]:
    """Return what `read_before` needs; a file that was rejected in part has none."""
    return {"rows": read.rows, "bytes": read.bytes}


def write_rows(work: Workspace, table: str, number: int, folder: Path) -> None:
    """Write the staged rows of file `number`."""
    base = number * SEQ_PER_FILE
    work.connection.execute(f"""
        COPY (SELECT * REPLACE ({SEQ} - {base} AS {SEQ}) FROM {table}
            WHERE {SEQ} BETWEEN {base} AND {base + SEQ_PER_FILE - 1})
        TO {literal(str(folder / _ROWS))} (FORMAT parquet, COMPRESSION lz4_raw)""")


def insert_rows(work: Workspace, table: str, number: int, folder: Path, *, first: bool) -> None:
    """Stage the rows of a part as those of file `number`; makes the table if they are the `first`."""
    verb = f"CREATE TEMP TABLE {table} AS" if first else f"INSERT INTO {table}"
    work.connection.execute(f"""{verb}
        SELECT * REPLACE ({SEQ} + {number * SEQ_PER_FILE} AS {SEQ})
        FROM read_parquet({literal(str(folder / _ROWS))})""")
