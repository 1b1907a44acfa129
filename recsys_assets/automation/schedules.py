"""Schedules: refreshes by the clock.

The cron is a setting (RECSYS_REFRESH_CRON). Refreshes by content belong in `automation/sensors.py`.
"""

import dagster as dg

from recsys_assets.automation.jobs import REFRESH
from recsys_assets.errors import SettingsError
from recsys_assets.settings import Settings

DAILY_REFRESH = "daily_refresh"


def build_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Return the schedules of the code location; they start switched off, as Dagster's do."""
    try:
        daily = dg.ScheduleDefinition(
            name=DAILY_REFRESH,
            job_name=REFRESH,
            cron_schedule=settings.refresh_cron,
            execution_timezone="UTC",
            description="Refresh everything by the clock, for data that grows in place.",
        )
    except dg.DagsterInvalidDefinitionError as error:
        raise SettingsError(
            f"RECSYS_REFRESH_CRON={settings.refresh_cron!r} is not a cron expression that Dagster "
            f"knows, such as '0 4 * * *': {error}"
        ) from error
    return [daily]
