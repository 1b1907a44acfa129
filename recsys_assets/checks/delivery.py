"""Checks of delivery: the similarity files are what serving stacks expect.

The rules of the format are in `similarity/files.py`; here they are applied to the delivered files.
"""

from collections.abc import Callable
from pathlib import Path

import dagster as dg

from recsys_assets import columns as c
from recsys_assets.assets.delivery import artists_file, tracks_file
from recsys_assets.settings import Settings
from recsys_assets.similarity.files import check_similarity_file


def _format_check(asset: str, file_of: Callable[[Settings], Path]) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset, name="file_format", blocking=True)
    def file_format(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
        """One line per item with exactly N distinct other items, sorted by key, LF-terminated."""
        violations = check_similarity_file(file_of(settings), settings.neighbours)
        return dg.AssetCheckResult(
            passed=not violations,
            metadata={"violations": len(violations), "first": violations[:5]},
            description="; ".join(violations[:3]) or None,
        )

    return file_format


CHECKS = [
    _format_check(c.TRACK_SIMILARITY, tracks_file),
    _format_check(c.ARTIST_SIMILARITY, artists_file),
]
