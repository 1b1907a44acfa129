"""Asset checks, one module per lineage group; each judges numbers that stand in its metadata."""

from collections.abc import Sequence

import dagster as dg

from recsys_assets.checks import delivery, ingestion, preparation, selection
from recsys_assets.grid import CandidateSpec


def build_checks(grid: Sequence[CandidateSpec]) -> list[dg.AssetChecksDefinition]:
    """Return all checks of the code location."""
    return [
        *ingestion.CHECKS,
        *preparation.CHECKS,
        *selection.build_checks(grid),
        *delivery.CHECKS,
    ]
