"""Asset `challenge_metrics`: every candidate by the Million Playlist challenge's rules, on validation.

The rules are in `evaluation/challenge.py`. The models are those that the candidates saved; nothing is
trained. It is not part of the job `refresh`, since it asks for 500 recommendations five times over:
`make leaderboard` and the job `challenge` make it.
"""

from collections.abc import Sequence

import dagster as dg
import numpy as np
import pyarrow as pa

from recsys_assets import columns as c
from recsys_assets.assets.candidates import (
    CATALOG_COLUMNS,
    MODEL_FOLDER,
    SEQUENCE_COLUMNS,
    candidate_folder,
    table_input,
)
from recsys_assets.assets.common import (
    DOMAIN_TAGS,
    DUCKDB_WRITER,
    OWNERS,
    REPORTS,
    Stopwatch,
    user_errors,
)
from recsys_assets.assets.tables import TABLES
from recsys_assets.code_version import code_version
from recsys_assets.errors import DataError
from recsys_assets.evaluation.challenge import ChallengeResult, evaluate_challenge
from recsys_assets.evaluation.leaderboard import order_candidates
from recsys_assets.evaluation.records import CandidateRecord
from recsys_assets.grid import CandidateSpec
from recsys_assets.models.tiers import Tiered
from recsys_assets.preparation.catalog import tracks_as_catalog
from recsys_assets.preparation.sequences import track_playlists
from recsys_assets.reports.challenge import challenge_markdown
from recsys_assets.settings import Settings
from recsys_assets.training import data_version

CHALLENGE_SCHEMA = pa.schema(
    [
        (c.PLACE, pa.int32()),
        (c.CANDIDATE, pa.string()),
        (c.FAMILY, pa.string()),
        (c.SEEDS, pa.int32()),
        (c.METRIC, pa.string()),
        (c.VALUE, pa.float64()),
        (c.LOW, pa.float64()),
        (c.HIGH, pa.float64()),
        (c.PLAYLISTS, pa.int32()),
        (c.DATA_VERSION, pa.string()),
        (c.FINGERPRINT, pa.string()),
    ]
)


def challenge_asset(grid: Sequence[CandidateSpec]) -> dg.AssetsDefinition:
    """Return the asset that measures all candidates of the grid by the challenge's rules."""

    @dg.asset(
        name=c.CHALLENGE_METRICS,
        group_name=REPORTS,
        owners=OWNERS,
        tags=DOMAIN_TAGS,
        kinds={"duckdb", "table"},
        deps=[c.LEADERBOARD],
        ins={
            c.TRAIN_PLAYLISTS: table_input(SEQUENCE_COLUMNS),
            c.VALIDATION_PLAYLISTS: table_input(SEQUENCE_COLUMNS),
            c.TRACK_CATALOG: table_input(CATALOG_COLUMNS),
        },
        metadata=TABLES[c.CHALLENGE_METRICS].metadata(),
        code_version=code_version("evaluation", "models", "playlists.py", "assets/challenge.py"),
        pool=DUCKDB_WRITER,
    )
    def challenge_metrics(
        context: dg.AssetExecutionContext,
        train_playlists: pa.Table,
        validation_playlists: pa.Table,
        track_catalog: pa.Table,
        settings: dg.ResourceParam[Settings],
    ) -> dg.Output[pa.Table]:
        """R-precision, NDCG and clicks with 1, 5, 10, 25 and 100 seed tracks, on validation.

        As the Million Playlist challenge (RecSys 2018) defines them, for 500 recommendations, with
        95 % bootstrap intervals. Playlists with fewer than five tracks behind the seeds are left out,
        and at most 1,000 are used for one number of seeds.
        """
        watch = Stopwatch()
        train, validation = track_playlists(train_playlists), track_playlists(validation_playlists)
        catalog = tracks_as_catalog(track_catalog)
        version = data_version(train, validation, catalog)
        plays = np.bincount(train.items, minlength=len(catalog)).astype(np.int64)
        rows: list[dict[str, object]] = []
        seconds: dict[str, float] = {}
        with user_errors():
            records = [CandidateRecord.load(candidate_folder(settings, spec.name)) for spec in grid]
            for place, record in enumerate(order_candidates(records), start=1):
                _require_current(record, version)
                context.log.info(
                    f"{record.candidate}: 500 recommendations by the challenge's rules"
                )
                folder = candidate_folder(settings, record.candidate) / MODEL_FOLDER
                result = evaluate_challenge(
                    Tiered.load(folder),
                    validation,
                    catalog,
                    plays,
                    seed=settings.seed,
                    progress=context.log.info,
                )
                rows += _rows(place, record, result)
                seconds[record.candidate] = round(result.seconds, 3)
        table = pa.Table.from_pylist(rows, CHALLENGE_SCHEMA)
        return dg.Output(
            table,
            metadata={
                "table": dg.MetadataValue.md(challenge_markdown(table)),
                "model_seconds": dg.MetadataValue.json(seconds),
                "seconds": watch.seconds,
            },
        )

    return challenge_metrics


def _require_current(record: CandidateRecord, version: str) -> None:
    if record.data_version != version:
        raise DataError(
            f"candidate {record.candidate} was trained on data {record.data_version}, the splits are "
            f"now {version}: it may have seen these validation playlists; materialise it again"
        )


def _rows(place: int, record: CandidateRecord, result: ChallengeResult) -> list[dict[str, object]]:
    return [
        {
            c.PLACE: place,
            c.CANDIDATE: record.candidate,
            c.FAMILY: record.family,
            c.SEEDS: one.seeds,
            c.METRIC: one.metric,
            c.VALUE: one.interval.value,
            c.LOW: one.interval.low,
            c.HIGH: one.interval.high,
            c.PLAYLISTS: one.playlists,
            c.DATA_VERSION: record.data_version,
            c.FINGERPRINT: record.fingerprint,
        }
        for one in result.measurements
    ]
