"""Judging an ingestion: whether too much of the input was rejected, said with reasons and rows.

The only judge of the share of rejected rows; it changes nothing.
"""

from pathlib import Path

import duckdb

from recsys_assets import columns as c
from recsys_assets.sources.report import IngestReport

_REASONS = 5
_ROWS = 3
_TEXT = 200


def check_rejected_share(
    report: IngestReport, rejected_path: Path, limit: float
) -> tuple[bool, str]:
    """Judge the share of the input that was rejected as defective.

    Rows that a filter left out never count; a file rejected whole counts by its share of bytes.

    Parameters
    ----------
    report, rejected_path
        What `ingest` returned and wrote.
    limit
        Largest share allowed, 0 to 1.

    Returns
    -------
    ok : bool
    message : str
        The share; when it is too large also the commonest reasons and three of the rows, one of
        each reason first.
    """
    share = report.rejected_share
    ok = share <= limit
    verdict = (
        f"{share:.2%} of the input was rejected as defective ({report.defect_rows:,} of "
        f"{report.rows_read:,} rows), {'within' if ok else 'above'} the limit of {limit:.2%}"
    )
    if ok:
        return True, verdict
    defects = [one for one in report.rejected if one.kind == c.KIND_DEFECT]
    reasons = [f"  {one.rows:,} x {one.reason}" for one in defects[:_REASONS]]
    if len(defects) > _REASONS:
        reasons.append(f"  and {len(defects) - _REASONS:,} more reasons")
    return False, "\n".join(
        [
            f"{verdict}.",
            "commonest reasons:",
            *reasons,
            f"{_ROWS} of the rows:",
            *_examples(rejected_path),
            f"all of them are in {rejected_path}; mend the files, or raise RECSYS_MAX_REJECTED_SHARE",
        ]
    )


def _examples(rejected_path: Path) -> list[str]:
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"""
            SELECT {c.SOURCE_FILE}, {c.LINE}, {c.JSON_PATH}, {c.REASON}, {c.RAW_TEXT}
            FROM (SELECT *, row_number() OVER () AS place,
                row_number() OVER (PARTITION BY {c.REASON}) AS turn,
                count(*) OVER (PARTITION BY {c.REASON}) AS frequency
                FROM read_parquet($path) WHERE {c.KIND} = $kind)
            ORDER BY turn, frequency DESC, place LIMIT {_ROWS}""",
            {"path": str(rejected_path), "kind": c.KIND_DEFECT},
        ).fetchall()
    return [
        f"  {file}{f', line {line}' if line is not None else ''}"
        f"{f', {path}' if path is not None else ''}: {reason}: {(text or '')[:_TEXT]!r}"
        for file, line, path, reason, text in rows
    ]
