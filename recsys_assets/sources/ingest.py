"""From raw files to cleaned and rejected rows in parquet, with a report of both.

Orchestrates: a reader stages its rows in a scratch DuckDB, filters mark what to leave out,
positions are numbered, both files are written aside and moved into place. No rule of one format.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final

import duckdb
import pyarrow.parquet as pq

from recsys_assets import columns as c
from recsys_assets.errors import DataError, SourceError
from recsys_assets.files import folder_bytes, replaced_folder
from recsys_assets.heap import give_back_freed
from recsys_assets.progress import Progress, silent
from recsys_assets.sources import interactions, listening, mpd, nowplaying
from recsys_assets.sources.coded import CodedFiles, code_cleaned
from recsys_assets.sources.fields import literal
from recsys_assets.sources.filters import FILTERED, apply_filters
from recsys_assets.sources.formats import (
    INTERACTIONS,
    LISTENING_CSV,
    MPD_JSON,
    NOWPLAYING_CSV,
)
from recsys_assets.sources.manifest import RawManifest, is_as_scanned
from recsys_assets.sources.options import IngestOptions
from recsys_assets.sources.parts import Parts
from recsys_assets.sources.quick_write import NumberedRows
from recsys_assets.sources.relation import SEQ, SEQ_PER_FILE, Staged, Workspace
from recsys_assets.sources.report import FileReport, IngestReport, RejectedCount

_READERS: Final[dict[str, Callable[[Workspace], Staged]]] = {
    NOWPLAYING_CSV: nowplaying.stage,
    MPD_JSON: mpd.stage,
    LISTENING_CSV: listening.stage,
    INTERACTIONS: interactions.stage,
}

_COPY: Final = "(FORMAT parquet, COMPRESSION zstd)"


def ingest(
    manifest: RawManifest,
    *,
    options: IngestOptions,
    cleaned_path: Path,
    rejected_path: Path,
    scratch: Path,
    parts: Path | None = None,
    memory_limit: str | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> IngestReport:
    """Read raw files into cleaned and rejected rows.

    Every row read is in one of the two files. Both are in the order of the files by name, and of
    the rows within each, and have the same bytes whatever the number of threads.

    Parameters
    ----------
    manifest
        From `scan_raw`.
    options
        Filters and choices.
    cleaned_path, rejected_path
        Parquet files (zstd) to write, with `CLEANED_COLUMNS` and `REJECTED_COLUMNS`; replaced when
        both are complete. The cleaned rows as integers go beside them (`CodedFiles.beside`).
    scratch
        Folder for temporary files, made if needed; what is put there is removed again.
    parts
        Folder in which is kept what was made of each file, so that the next ingestion reads only
        files whose content is new; the result is the same with it and without.
    memory_limit, threads
        For DuckDB, for example ``"2GB"``; beyond the limit it spills into `scratch`. What is done
        without it takes two threads, or three, whatever `threads` is.
    progress
        Told of every file read.

    Raises
    ------
    SourceError
        If a file cannot be read, or there is no row at all.
    DataError
        If the filters leave no row.
    """
    started = time.monotonic()
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="ingest-", dir=scratch))
    asides = []
    for path in (cleaned_path, rejected_path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # A fixed name: what a killed ingestion left behind, the next one overwrites.
        asides.append(path.with_name(f".{path.name}.aside"))
    quick = manifest.format == NOWPLAYING_CSV and not options.filters
    # Staged rows cost more to keep than integers do; with one file there is nothing to save.
    keeps = quick or len(manifest.files) > 1
    known = Parts.of(parts, manifest.format, options, keeps=keeps)
    try:
        # First of all: ingestions that fail, for want of space too, must not pile parts up.
        known.prune(manifest.files)
        with closing(_connect(folder, memory_limit, threads)) as connection:
            work = Workspace(connection, manifest, options, folder, progress, known)
            with replaced_folder(CodedFiles.beside(cleaned_path).folder) as coded:
                write = _clean_quickly if quick else _clean_by_sql
                staged, taken = write(work, asides[0], CodedFiles(coded))
                connection.execute(
                    f"COPY ({_rejected(work, staged)}) TO {literal(str(asides[1]))} {_COPY}"
                )
                files = _file_reports(work, staged, taken, asides[1])
                written = [int(pq.read_metadata(aside).num_rows) for aside in asides]
                # The coded folder goes first and comes last: where there is one, it is of the files
                # beside it, whenever an ingestion is killed.
                before = CodedFiles.beside(cleaned_path).folder
                if before.exists():
                    before.rename(folder / "coded-before")
                asides[0].replace(cleaned_path)
                asides[1].replace(rejected_path)
    finally:
        for aside in asides:
            aside.unlink(missing_ok=True)
        shutil.rmtree(folder)
    report = IngestReport(
        format=manifest.format,
        data_version=manifest.data_version,
        files=files,
        cleaned_written=written[0],
        rejected_written=written[1],
        seconds=time.monotonic() - started,
    )
    for file in manifest.files:
        if not is_as_scanned(file):
            progress(
                f"{file.name} changed while it was read, perhaps in part; once nothing writes to it, "
                "run again by force (--force)"
            )
    if parts is not None:
        progress(
            f"{known.found:,} of {len(files):,} file(s) unchanged and not read again "
            f"({folder_bytes(parts) / 1e6:,.1f} MB of parts)"
        )
    progress(
        f"{report.rows_read:,} rows read, {report.cleaned_written:,} cleaned, "
        f"{report.rejected_written:,} rejected in {report.seconds:.1f} s"
    )
    return report


def _clean_by_sql(
    work: Workspace, cleaned: Path, coded: CodedFiles
) -> tuple[Staged, Mapping[int, int]]:
    """Write the cleaned and the coded rows of any format; returns the rows taken of each file."""
    staged = _READERS[work.manifest.format](work)
    apply_filters(work, staged)
    _require_rows(work, staged)
    work.progress("writing the cleaned rows")
    work.connection.execute(f"COPY ({_cleaned(work, staged)}) TO {literal(str(cleaned))} {_COPY}")
    code_cleaned(work.connection, cleaned, coded)
    taken = work.connection.execute(
        f"SELECT {SEQ} // {SEQ_PER_FILE}, count(*) FROM {_sound(work, staged)} GROUP BY ALL"
    ).fetchall()
    return staged, dict(taken)


def _clean_quickly(
    work: Workspace, cleaned: Path, coded: CodedFiles
) -> tuple[Staged, Mapping[int, int]]:
    """Do the same for #nowplaying files without filters, faster and in less memory."""
    staged, numbered, taken = nowplaying.read(work)
    apply_filters(work, staged)
    _require_rows(work, staged)
    work.progress("writing the cleaned rows")
    rows = NumberedRows(numbered)
    give_back_freed()  # what reading took
    with (
        ThreadPoolExecutor(2, thread_name_prefix="encode") as encoders,
        ThreadPoolExecutor(1, thread_name_prefix="recsys") as pool,
    ):
        writing = pool.submit(rows.write_cleaned, cleaned, encoders)
        rows.write_coded(coded)
        writing.result()
    return staged, dict(enumerate(taken))


def _connect(
    folder: Path, memory_limit: str | None, threads: int | None
) -> duckdb.DuckDBPyConnection:
    # In memory with spilling: staging 4.2 M rows into a database file took 3.7 s instead of 2.2 s.
    settings: dict[str, str | bool | int | float | list[str]] = {
        "temp_directory": str(folder / "spill")
    }
    if memory_limit is not None:
        settings["memory_limit"] = memory_limit
    if threads is not None:
        settings["threads"] = threads
    connection = duckdb.connect(config=settings)
    connection.execute("SET preserve_insertion_order = true")
    return connection


def _sound(work: Workspace, staged: Staged) -> str:
    sound = f"{staged.table} WHERE {staged.defect} IS NULL"
    if not work.options.filters:
        return sound
    kept = f"NOT EXISTS (FROM {FILTERED} WHERE {FILTERED}.{SEQ} = {staged.table}.{SEQ})"
    return f"{sound} AND {kept}"


def _cleaned(work: Workspace, staged: Staged) -> str:
    """Return the query for the cleaned rows, in the order they were read."""
    playlist = ", ".join(staged.playlist)
    # Reading, numbering, writing 4.2 M rows: 6.0 s with this sort by one integer, 7.1 s sorted by
    # playlist and position; 4.8 s unsorted, but then the bytes differ with the number of threads.
    values = ", ".join(
        f"{staged.columns.get(name, 'NULL') if name != c.POSITION else c.POSITION}"
        f'::{kind} AS "{name}"'
        for name, kind in c.CLEANED_COLUMNS.items()
    )
    return f"""
        SELECT {values} FROM (
            SELECT *, row_number() OVER (PARTITION BY {playlist} ORDER BY {staged.order}) - 1
                AS "{c.POSITION}"
            FROM {_sound(work, staged)} ORDER BY {SEQ})"""


def _rejected(work: Workspace, staged: Staged) -> str:
    """Return the query for the rejected rows, in the order they were read."""
    names = ", ".join(literal(file.name) for file in work.manifest.files)
    line = "NULL" if staged.json_path != "NULL" else f"{SEQ} % {SEQ_PER_FILE}"
    shape = ", ".join(f'{name}::{kind} AS "{name}"' for name, kind in c.REJECTED_COLUMNS.items())
    what = f"""{SEQ}, [{names}][{SEQ} // {SEQ_PER_FILE} + 1] AS {c.SOURCE_FILE},
        {line} AS {c.LINE}, {staged.json_path} AS {c.JSON_PATH},
        {staged.raw_text} AS {c.RAW_TEXT}"""
    return f"""
        SELECT {shape} FROM (
            SELECT {what}, {literal(c.KIND_DEFECT)} AS {c.KIND}, {staged.defect} AS {c.REASON}
            FROM {staged.table} WHERE {staged.defect} IS NOT NULL
            UNION ALL
            SELECT {what}, {literal(c.KIND_FILTER)} AS {c.KIND}, {FILTERED}.reason AS {c.REASON}
            FROM {staged.table} JOIN {FILTERED} USING ({SEQ})
            ORDER BY {SEQ})"""


def _require_rows(work: Workspace, staged: Staged) -> None:
    manifest = work.manifest
    read = sum(file.rows for file in staged.files)
    if read == 0:
        names = ", ".join(file.name for file in manifest.files[:5])
        raise SourceError(
            f"expected rows in the {len(manifest.files)} {manifest.format} file(s), found none "
            f"below the header or in the playlists ({names}); check that the export is complete"
        )
    left_out, reason = work.connection.execute(
        f"SELECT count(*), mode(reason) FROM {FILTERED}"
    ).fetchall()[0]
    if left_out and not work.connection.execute(f"FROM {_sound(work, staged)} LIMIT 1").fetchall():
        raise DataError(
            f"expected rows to be left after the filters, found none of {read:,} rows read "
            f"({left_out:,} filtered, most often: {reason}); relax min_playlist_tracks, "
            "top_artists or min_artist_mentions"
        )


def _file_reports(
    work: Workspace, staged: Staged, taken: Mapping[int, int], rejected_path: Path
) -> tuple[FileReport, ...]:
    rejected: dict[str, list[RejectedCount]] = {}
    for name, *count in work.connection.execute(
        f"""SELECT {c.SOURCE_FILE}, {c.KIND}, {c.REASON}, count(*) AS rows
        FROM read_parquet($path) GROUP BY ALL ORDER BY rows DESC, {c.KIND}, {c.REASON}""",
        {"path": str(rejected_path)},
    ).fetchall():
        rejected.setdefault(name, []).append(RejectedCount(*count))
    return tuple(
        FileReport(
            name=file.name,
            rows_read=read.rows,
            cleaned=taken.get(number, 0),
            rejected=tuple(rejected.get(file.name, ())),
            bytes=read.bytes,
            rejected_bytes=read.rejected_bytes,
            seconds=read.seconds,
        )
        for number, (file, read) in enumerate(zip(work.manifest.files, staged.files, strict=True))
    )
