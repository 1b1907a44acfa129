"""Checks of delivery: the similarity files are what serving stacks expect.

The rules of the format are in `similarity/files.py`; here they are applied to the delivered files.
"""

from collections.abc import Callable
from pathlib import Path

import dagster as dg

from recsys_assets import columns as c
from recsys_assets.assets.delivery import artists_file, tracks_file
from recsys_assets.resources.database import DuckDBReader
from recsys_assets.settings import Settings
from recsys_assets.similarity.files import check_similarity_file


def _format_check(
    asset: str, file_of: Callable[[Settings], Path], catalog: str
) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset, name="file_format", blocking=True)
    def file_format(
        settings: dg.ResourceParam[Settings], database: DuckDBReader
    ) -> dg.AssetCheckResult:
        """One line per item with exactly N distinct other items, sorted by key, LF-terminated.

        Empty only where the source has no such items (no artists).
        """
        path = file_of(settings)
        if path.stat().st_size == 0 and database.scalar(f"SELECT count(*) FROM {catalog}") == 0:
            return dg.AssetCheckResult(passed=True, description=f"{catalog} is empty")
        violations = check_similarity_file(path, settings.neighbours)
        return dg.AssetCheckResult(
            passed=not violations,
            metadata={"violations": len(violations), "first": violations[:5]},
            description="; ".join(violations[:3]) or None,
        )

    return file_format


CHECKS = [
    _format_check(c.TRACK_SIMILARITY, tracks_file, c.TRACK_CATALOG),
    _format_check(c.ARTIST_SIMILARITY, artists_file, c.ARTIST_CATALOG),
]
