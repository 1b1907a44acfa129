"""Checks of ingestion: nothing is lost, and not too much is rejected.

The counts come from the files on disk, compared with the reader's independent count of what it read.
"""

import dagster as dg

from recsys_assets import columns as c
from recsys_assets.assets.ingestion import cleaned_file, ingestion_report, rejected_file
from recsys_assets.preparation.queries import count_rows
from recsys_assets.settings import Settings
from recsys_assets.sources.limits import check_rejected_share


@dg.asset_check(
    asset=c.CLEANED_PLAYLISTS,
    additional_deps=[c.REJECTED_ROWS],
    name="rows_are_conserved",
    blocking=True,
)
def rows_are_conserved(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """Every row read is either in cleaned_playlists or in rejected_rows."""
    report = ingestion_report(settings)
    cleaned, rejected = count_rows(cleaned_file(settings)), count_rows(rejected_file(settings))
    return dg.AssetCheckResult(
        passed=report.rows_read == cleaned + rejected,
        metadata={"rows_read": report.rows_read, "cleaned": cleaned, "rejected": rejected},
        description=f"{report.rows_read:,} read = {cleaned:,} cleaned + {rejected:,} rejected?",
    )


# On cleaned_playlists and not on rejected_rows: a blocking check holds up what depends on its asset.
@dg.asset_check(
    asset=c.CLEANED_PLAYLISTS,
    additional_deps=[c.REJECTED_ROWS],
    name="rejected_share_is_small",
    blocking=True,
)
def rejected_share_is_small(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """The share of defective rows is within the limit (RECSYS_MAX_REJECTED_SHARE)."""
    report = ingestion_report(settings)
    limit = settings.max_rejected_share
    passed, message = check_rejected_share(report, rejected_file(settings), limit)
    return dg.AssetCheckResult(
        passed=passed,
        metadata={"rejected_share": report.rejected_share, "limit": limit},
        description=message,
    )


CHECKS = [rows_are_conserved, rejected_share_is_small]
