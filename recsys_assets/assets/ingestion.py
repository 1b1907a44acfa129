"""Assets of the group ingestion: the files found, the rows taken, the rows not taken.

Reading and cleaning belong in `sources/`; this module hands over settings, stores the manifest and
reports counts. The parquet files are written by the reader itself, aside and moved into place.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from recsys_assets import columns as c
from recsys_assets.assets.common import (
    DOMAIN_TAGS,
    DUCKDB_WRITER,
    INGESTION,
    OWNERS,
    Stopwatch,
    file_metadata,
    user_errors,
)
from recsys_assets.assets.tables import TABLES
from recsys_assets.code_version import code_version
from recsys_assets.errors import StorageError
from recsys_assets.files import replaced_file
from recsys_assets.preparation.queries import markdown_table, read_head
from recsys_assets.resources.database import DuckDBReader
from recsys_assets.settings import Settings, duckdb_memory_limit
from recsys_assets.sources.demo import write_demo
from recsys_assets.sources.ingest import ingest
from recsys_assets.sources.known_files import scan_known
from recsys_assets.sources.manifest import RawManifest, scan_raw
from recsys_assets.sources.options import IngestOptions
from recsys_assets.sources.report import IngestReport

REPORT_FILE = "ingestion.json"


def cleaned_file(settings: Settings) -> Path:
    """Return where the cleaned playlists are."""
    return settings.cleaned / f"{c.CLEANED_PLAYLISTS}.parquet"


def rejected_file(settings: Settings) -> Path:
    """Return where the rejected rows are."""
    return settings.cleaned / f"{c.REJECTED_ROWS}.parquet"


def report_file(settings: Settings) -> Path:
    """Return where the ingestion's own counts are."""
    return settings.cleaned / REPORT_FILE


def ingestion_report(settings: Settings) -> IngestReport:
    """Return what the last ingestion counted.

    Raises
    ------
    StorageError
        If there is none.
    """
    path = report_file(settings)
    if not path.exists():
        raise StorageError(f"{path}: not there; materialise {c.CLEANED_PLAYLISTS} first")
    return IngestReport.from_json(path.read_text())


def ingest_options(settings: Settings) -> IngestOptions:
    """Return what of the settings concerns reading and cleaning."""
    return IngestOptions(
        session_gap_minutes=settings.session_gap_minutes,
        truncated_json=settings.truncated_json,
        max_rejected_share=settings.max_rejected_share,
        min_playlist_tracks=settings.min_playlist_tracks,
        top_artists=settings.top_artists,
        min_artist_mentions=settings.min_artist_mentions,
    )


@dg.asset(
    name=c.RAW_PLAYLISTS,
    group_name=INGESTION,
    owners=OWNERS,
    tags=DOMAIN_TAGS,
    kinds={"file", "duckdb"},
    metadata=TABLES[c.RAW_PLAYLISTS].metadata(),
    code_version=code_version("sources"),
    pool=DUCKDB_WRITER,
)
def raw_playlists(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]
) -> dg.Output[pa.Table]:
    """The manifest of raw files: each one's recognised format, size and content hash.

    Formats are recognised by content: #nowplaying CSV, Million Playlist Dataset JSON, listening
    events CSV, or interactions (parquet or CSV); as files, folders, `.zip` or `.gz`. The data
    version changes only when the files' content does. Without a raw path the embedded demo data is
    written and used.
    """
    with user_errors():
        if settings.raw is None:
            write_demo(settings.raw_or_demo, seed=settings.seed)
        manifest = scan_known(
            settings.raw_or_demo,
            settings.known_files,
            trust=settings.incremental,
            progress=context.log.info,
        )
    table = manifest.to_arrow()
    return dg.Output(
        table,
        data_version=dg.DataVersion(manifest.data_version),
        metadata={
            "raw": dg.MetadataValue.path(str(settings.raw_or_demo)),
            "format": manifest.format,
            "files": len(manifest.files),
            "bytes": sum(file.bytes for file in manifest.files),
            "ignored": dg.MetadataValue.json({f.name: f.ignored for f in manifest.ignored}),
        },
    )


@dg.multi_asset(
    name="ingest_playlists",
    group_name=INGESTION,
    specs=[
        dg.AssetSpec(
            c.CLEANED_PLAYLISTS,
            deps=[c.RAW_PLAYLISTS],
            description=(
                "One row per playlist and position: the common relation of every source format.\n\n"
                "A missing artist stays missing: such a track is known by its title within its "
                "playlist only, so that unrelated songs of one title never merge. In the "
                "#nowplaying format two playlists of the same name by one user merge, since "
                "nothing tells them apart."
            ),
            owners=OWNERS,
            tags=DOMAIN_TAGS,
            kinds={"duckdb", "parquet"},
            metadata=TABLES[c.CLEANED_PLAYLISTS].metadata(),
            code_version=code_version("sources", "columns.py"),
        ),
        dg.AssetSpec(
            c.REJECTED_ROWS,
            deps=[c.RAW_PLAYLISTS],
            description=(
                "Every row or file that was not taken, with its place, the reason and its raw "
                "text. Rows of kind 'defect' count towards the limit on rejected rows; rows of "
                "kind 'filter' were left out by a setting."
            ),
            owners=OWNERS,
            tags=DOMAIN_TAGS,
            kinds={"duckdb", "parquet"},
            metadata=TABLES[c.REJECTED_ROWS].metadata(),
            code_version=code_version("sources", "columns.py"),
        ),
    ],
)
def ingested_playlists(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    database: DuckDBReader,
) -> Iterator[dg.MaterializeResult[None]]:
    """Read the raw files once and write what was taken and what was not."""
    watch = Stopwatch()
    with user_errors():
        # What raw_playlists hashed a moment ago is not read for its hash again.
        scanned = RawManifest.from_arrow(database.query(f"FROM {c.RAW_PLAYLISTS}"))
        manifest = scan_raw(settings.raw_or_demo, previous=scanned, progress=context.log.info)
        # Killed before the new one is written, no report is better than that of other files.
        report_file(settings).unlink(missing_ok=True)
        report = ingest(
            manifest,
            options=ingest_options(settings),
            cleaned_path=cleaned_file(settings),
            rejected_path=rejected_file(settings),
            scratch=settings.scratch,
            parts=settings.parts,
            memory_limit=duckdb_memory_limit(settings),
            threads=settings.threads,
            progress=context.log.info,
        )
    with replaced_file(report_file(settings)) as aside:
        aside.write_text(report.to_json())
    reasons = {f"{one.kind}: {one.reason}": one.rows for one in report.rejected}
    common: dict[str, Any] = {
        "seconds": watch.seconds,
        "rows_read": report.rows_read,
        "rejected_share": report.rejected_share,
        "rejected_by_reason": dg.MetadataValue.json(reasons),
    }
    for asset, path, rows in (
        (c.CLEANED_PLAYLISTS, cleaned_file(settings), report.cleaned_written),
        (c.REJECTED_ROWS, rejected_file(settings), report.rejected_written),
    ):
        yield dg.MaterializeResult(
            asset_key=asset,
            metadata={
                **common,
                **file_metadata(path),
                "dagster/row_count": rows,
                "preview": dg.MetadataValue.md(markdown_table(read_head(path))),
            },
        )


ASSETS = [raw_playlists, ingested_playlists]
