"""Staging of CSV files: records split into fields inside DuckDB, one INSERT per file.

What the three CSV formats have in common. Which fields are needed and what they mean is said by
each format's own module.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from recsys_assets.errors import SourceError
from recsys_assets.sources.containers import open_bytes
from recsys_assets.sources.fields import field_defect, split_record, trimmed
from recsys_assets.sources.formats import BOM, parse_header
from recsys_assets.sources.lines import MAX_LINE_BYTES, RecordReader
from recsys_assets.sources.manifest import RawFile
from recsys_assets.sources.relation import SEQ_PER_FILE, FileRead, Workspace
from recsys_assets.sources.staged_parts import stage_once

RAW_TEXT: Final = "rtrim(text, chr(10) || chr(13))"
"""The record as read. Cutting off every record's line end would cost a third of the splitting."""

Columns = Callable[[Mapping[str, str]], Mapping[str, str]]


def stage_csv(
    work: Workspace, table: str, number: int, columns: Columns, *, multiline: bool
) -> FileRead:
    """Insert a CSV file's records into `table`, read or as they were read before.

    Parameters
    ----------
    work
        Connection, manifest and options.
    table
        Made if needed: ``seq``, ``raw_text``, and what `columns` names.
    number
        Which file of the manifest.
    columns
        Given an expression for each header name (trimmed, NULL where empty), returns one
        for each column. ``defect`` is NULL for a usable row and is asked only of rows whose number
        of fields is right; ``raw_text`` is kept for usable rows too.
    multiline
        Whether quoted fields may hold line ends.

    Raises
    ------
    SourceError
        If the file cannot be read to its end.
    """

    def read() -> FileRead:
        return _read_csv(work, table, number, columns, multiline=multiline)

    return stage_once(work, table, number, read)


def _read_csv(
    work: Workspace, table: str, number: int, columns: Columns, *, multiline: bool
) -> FileRead:
    started = time.monotonic()
    file = work.manifest.files[number]
    header = read_header(file)
    with open_bytes(Path(file.path), file.container, file.member, file.name) as stream:
        base = number * SEQ_PER_FILE
        reader = RecordReader(stream, file.name, base, len(header), multiline=multiline)
        try:
            stage_records(work, table, header, columns, reader.arrow(), first=number == 0)
        except duckdb.Error:
            if reader.failure is not None:
                raise reader.failure from None
            raise
    return FileRead(reader.records, reader.size, time.monotonic() - started)


def stage_records(
    work: Workspace,
    table: str,
    header: Sequence[str],
    columns: Columns,
    records: pa.RecordBatchReader,
    *,
    first: bool,
) -> None:
    """Insert records into `table`, which is made if they are the `first`.

    Parameters
    ----------
    header
        Names of the fields.
    records
        Of the schema `RECORD_SCHEMA`.
    """
    width = len(header)
    asked = dict(columns({name: f"field_{at}" for at, name in enumerate(header)}))
    defect = asked.pop("defect")
    raw_text = asked.pop("raw_text", "NULL")
    if work.options.filters:
        raw_text = RAW_TEXT
    kept = ", ".join(
        f"CASE WHEN defect IS NULL THEN {one} END AS {name}" for name, one in asked.items()
    )
    used = [
        at for at in range(width) if any(f"field_{at}" in one for one in (defect, *asked.values()))
    ]
    select = f"""
        WITH records AS (
            SELECT seq, text, defect, string_split(text, '"') AS parts FROM csv_records
        ), listed AS (
            SELECT seq, text, defect, {split_record(RAW_TEXT, "parts", width)} AS fields
            FROM records
        ), named AS (
            SELECT seq, text, coalesce(defect, {field_defect("fields", width)}) AS broken,
                {", ".join(f"{trimmed(f'fields[{at + 1}]')} AS field_{at}" for at in used)}
            FROM listed
        ), judged AS (
            SELECT *, CASE WHEN broken IS NULL THEN {defect} ELSE broken END AS defect FROM named
        )
        SELECT seq, defect,
            CASE WHEN defect IS NULL THEN {raw_text} ELSE {RAW_TEXT} END AS raw_text, {kept}
        FROM judged"""
    work.connection.register("csv_records", records)
    try:
        verb = f"CREATE TEMP TABLE {table} AS" if first else f"INSERT INTO {table}"
        work.connection.execute(f"{verb} {select}")
    finally:
        work.connection.unregister("csv_records")


def read_header(file: RawFile) -> list[str]:
    """Return the names in a CSV file's header, in lower case."""
    with open_bytes(Path(file.path), file.container, file.member, file.name) as stream:
        while line := stream.readline(MAX_LINE_BYTES).removeprefix(BOM):
            if b"\r" in line.strip():
                raise SourceError(
                    f"{file.name}: expected lines that end in LF or CR LF, found a header that ends "
                    "in CR alone; save the file with LF line ends"
                )
            if line.strip():
                return parse_header(line)
    raise SourceError(f"{file.name}: expected a CSV header, found none; scan the raw files again")
