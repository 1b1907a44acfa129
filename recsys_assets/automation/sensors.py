"""Sensors: refreshes when the raw files' content has changed.

Looking at files belongs in `sources/manifest.py`; here its answer is compared with what was last
materialised and last asked for.
"""

import json
from collections.abc import Sequence

import dagster as dg
import pyarrow as pa

from recsys_assets import columns as c
from recsys_assets.automation.jobs import REFRESH
from recsys_assets.errors import SourceError
from recsys_assets.settings import Settings
from recsys_assets.sources.known_files import recognition_version
from recsys_assets.sources.manifest import RawManifest, scan_raw

RAW_FILES_CHANGED = "raw_files_changed"
MINIMUM_INTERVAL_SECONDS = 60


def build_sensors(settings: Settings) -> Sequence[dg.SensorDefinition]:
    """Return the sensors of the code location; they start switched off, as Dagster's do."""

    @dg.sensor(
        name=RAW_FILES_CHANGED,
        job_name=REFRESH,
        minimum_interval_seconds=MINIMUM_INTERVAL_SECONDS,
        description=(
            "Ask for a refresh when the raw files' content differs from what was last "
            "materialised, and never twice for the same content. Touched or renamed files are "
            "not a change."
        ),
    )
    def raw_files_changed(
        context: dg.SensorEvaluationContext,
    ) -> dg.SensorResult | dg.SkipReason:
        if settings.raw is None:
            return dg.SkipReason(
                "the embedded demo data never changes; set RECSYS_RAW to watch files"
            )
        previous = _from_cursor(context.cursor or "{}")
        try:
            manifest = scan_raw(settings.raw, previous=previous)
        except SourceError as error:
            return dg.SkipReason(f"the raw files cannot be used now: {error}")
        found = {"code": recognition_version(), "files": manifest.to_arrow().to_pylist()}
        cursor = json.dumps(found)
        materialised = last_materialised_version(context.instance)
        if manifest.data_version == materialised:
            return dg.SensorResult(
                skip_reason="the content is what was last materialised", cursor=cursor
            )
        # The run key makes Dagster drop a second request for the same change, also when the run
        # failed. It names what was there before too: content that comes back is a change again.
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=f"{manifest.data_version} after {materialised}",
                    tags={"recsys_assets/raw_data_version": manifest.data_version},
                )
            ],
            cursor=cursor,
        )

    return [raw_files_changed]


def _from_cursor(cursor: str) -> RawManifest | None:
    """Return the manifest of the last look, so that unchanged files are not hashed again.

    None if other code took it: its hashes may be others, and would never be those of a run.
    """
    found = json.loads(cursor)
    if not isinstance(found, dict) or found.get("code") != recognition_version():
        return None
    return RawManifest.from_arrow(pa.Table.from_pylist(found["files"]))


def last_materialised_version(instance: dg.DagsterInstance) -> str | None:
    """Return the data version of `raw_playlists` as last materialised, or None."""
    event = instance.get_latest_materialization_event(dg.AssetKey(c.RAW_PLAYLISTS))
    if event is None or event.asset_materialization is None:
        return None
    return (event.asset_materialization.tags or {}).get("dagster/data_version")
