"""What the tests of the sources share: writing raw files, ingesting them, reading what came out."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from recsys_assets.sources.ingest import ingest
from recsys_assets.sources.manifest import scan_raw
from recsys_assets.sources.options import IngestOptions
from recsys_assets.sources.report import IngestReport

NOWPLAYING_HEADER = '"user_id", "artistname", "trackname", "playlistname"\n'


@dataclass
class Ingested:
    """The report and both tables as lists of dicts."""

    report: IngestReport
    cleaned: list[dict[str, Any]]
    rejected: list[dict[str, Any]]
    rejected_path: Path

    def column(self, name: str) -> list[Any]:
        """One column of the cleaned rows."""
        return [row[name] for row in self.cleaned]

    def reasons(self) -> list[tuple[int | str | None, str]]:
        """Line (or JSON path) and reason of every rejected row."""
        return [
            (row["line"] if row["json_path"] is None else row["json_path"], row["reason"])
            for row in self.rejected
        ]


def run(raw: Path, work: Path, *, threads: int | None = 2, **options: Any) -> Ingested:
    """Scan and ingest `raw`, with outputs below `work`; asserts that no row is lost."""
    cleaned, rejected = work / "cleaned.parquet", work / "rejected.parquet"
    report = ingest(
        scan_raw(raw),
        options=IngestOptions(**options),
        cleaned_path=cleaned,
        rejected_path=rejected,
        scratch=work / "scratch",
        threads=threads,
    )
    assert report.conserved, report
    assert list((work / "scratch").iterdir()) == []
    return Ingested(
        report, pq.read_table(cleaned).to_pylist(), pq.read_table(rejected).to_pylist(), rejected
    )


def write(path: Path, content: str | bytes) -> Path:
    """Write a raw file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def slice_json(*playlists: dict[str, Any]) -> str:
    """Return a Million Playlist Dataset slice."""
    return json.dumps({"info": {"version": "v1"}, "playlists": list(playlists)})
