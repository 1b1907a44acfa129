"""Jobs: what a person or a schedule asks for by name.

Which assets each job materialises, and with which executor. When they run belongs in
`automation/schedules.py` and `automation/sensors.py`.
"""

from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,
)

from recsys_assets import columns as c
from recsys_assets.assets.common import CANDIDATES, INGESTION, PREPARATION, SELECTION

REFRESH, PREPARE, TRAIN_AND_SELECT = "refresh", "prepare", "train_and_select"
CHALLENGE = "challenge"

# One process by default; the launchpad may choose `multiprocess` instead.
_EXECUTION: dict[str, Any] = {"execution": {"config": {"in_process": {}}}}


def build_jobs() -> list[UnresolvedAssetJobDefinition]:
    """Return the jobs of the code location."""
    return [
        _job(
            REFRESH,
            dg.AssetSelection.all() - dg.AssetSelection.assets(c.CHALLENGE_METRICS),
            "Everything: raw files to similarity files.",
        ),
        _job(
            CHALLENGE,
            dg.AssetSelection.assets(c.CHALLENGE_METRICS),
            "All candidates of the last refresh by the Million Playlist challenge's rules.",
        ),
        _job(
            PREPARE,
            dg.AssetSelection.groups(INGESTION, PREPARATION),
            "Raw files to train, validation and test.",
        ),
        _job(
            TRAIN_AND_SELECT,
            dg.AssetSelection.groups(CANDIDATES, SELECTION),
            "All candidates on the splits that are there, the leaderboard and the best model.",
        ),
    ]


def _job(name: str, selection: dg.AssetSelection, description: str) -> UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        name,
        selection=selection,
        description=description,
        executor_def=dg.multi_or_in_process_executor,
        config=_EXECUTION,
    )
