"""What an ingestion did: rows read, taken and rejected, per file and in all.

A value that is stored as JSON beside the tables. Judging it is the business of `limits.py`.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from recsys_assets.columns import KIND_DEFECT


@dataclass(frozen=True)
class RejectedCount:
    """How many rows of a file were rejected for one reason; `kind` as in `columns.py`."""

    kind: str
    reason: str
    rows: int


@dataclass(frozen=True)
class FileReport:
    """What became of one file.

    Attributes
    ----------
    name
        As in the manifest.
    rows_read
        Counted while reading, apart from the rows written.
    cleaned
        Rows in the cleaned table.
    rejected
        Rows in the rejected table, by kind and reason, commonest first.
    bytes, rejected_bytes
        Unpacked size, and how much of it was rejected as a whole.
    seconds
        Time for reading and staging.
    """

    name: str
    rows_read: int
    cleaned: int
    rejected: tuple[RejectedCount, ...]
    bytes: int
    rejected_bytes: int
    seconds: float

    @property
    def rejected_rows(self) -> int:
        """Rows rejected for any reason."""
        return sum(one.rows for one in self.rejected)


@dataclass(frozen=True)
class IngestReport:
    """What an ingestion did.

    Attributes
    ----------
    format, data_version
        From the manifest.
    files
        One report per file, by name.
    cleaned_written, rejected_written
        Rows of the two parquet files, from their own metadata.
    seconds
        For the whole ingestion.
    """

    format: str
    data_version: str
    files: tuple[FileReport, ...]
    cleaned_written: int
    rejected_written: int
    seconds: float

    @property
    def rows_read(self) -> int:
        """Rows read in all files."""
        return sum(file.rows_read for file in self.files)

    @property
    def conserved(self) -> bool:
        """Whether every row read was written, to either file, and none twice."""
        return self.rows_read == self.cleaned_written + self.rejected_written and all(
            file.rows_read == file.cleaned + file.rejected_rows for file in self.files
        )

    @property
    def rejected(self) -> tuple[RejectedCount, ...]:
        """Rejected rows of all files by kind and reason, commonest first."""
        counts: Counter[tuple[str, str]] = Counter()
        for file in self.files:
            for one in file.rejected:
                counts[one.kind, one.reason] += one.rows
        return tuple(
            RejectedCount(kind, reason, rows)
            for (kind, reason), rows in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        )

    @property
    def damaged_files(self) -> tuple[FileReport, ...]:
        """Files of which some part, or all, was rejected as a whole."""
        return tuple(file for file in self.files if file.rejected_bytes)

    @property
    def defect_rows(self) -> int:
        """Rows rejected as defects, not by a filter."""
        return sum(one.rows for one in self.rejected if one.kind == KIND_DEFECT)

    @property
    def rejected_share(self) -> float:
        """Share of the input that was rejected as defective, 0 to 1.

        What was rejected as a whole counts by its share of the bytes; among the rest, rows count.
        """
        total = sum(file.bytes for file in self.files)
        lost = sum(file.rejected_bytes for file in self.files) / max(total, 1)
        remainders = len(self.damaged_files)
        rows, defects = self.rows_read - remainders, self.defect_rows - remainders
        return lost + (1 - lost) * (defects / rows if rows else 0.0)

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "IngestReport":
        """Take back what `to_json` returned."""
        stored: dict[str, Any] = json.loads(text)
        files = tuple(
            FileReport(**{**one, "rejected": tuple(RejectedCount(**r) for r in one["rejected"])})
            for one in stored["files"]
        )
        return cls(**{**stored, "files": files})
