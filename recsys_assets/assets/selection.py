"""Assets of the group selection: the leaderboard, and the best model in the registry.

Choosing is in `evaluation/leaderboard.py`, comparing with the champion in
`evaluation/promotion.py`, talking to MLflow in `resources/tracking.py`. Here they are put in order
so that a kill at any moment leaves either the old state or the new one.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa

from recsys_assets import columns as c
from recsys_assets.assets.candidates import (
    CATALOG_COLUMNS,
    SEQUENCE_COLUMNS,
    candidate_folder,
    candidate_key,
    log_candidate,
    make_record,
    table_input,
)
from recsys_assets.assets.common import (
    DOMAIN_TAGS,
    DUCKDB_WRITER,
    FRESHNESS,
    OWNERS,
    SELECTION,
    Stopwatch,
    user_errors,
)
from recsys_assets.assets.tables import TABLES
from recsys_assets.code_version import code_version
from recsys_assets.errors import OtherVersionError, StorageError
from recsys_assets.evaluation.comparable import TrainedOn, comparable
from recsys_assets.evaluation.leaderboard import build_leaderboard, hits, order_candidates
from recsys_assets.evaluation.metrics import HIT_RATE_100
from recsys_assets.evaluation.promotion import Decision, decide, decide_uncompared
from recsys_assets.evaluation.records import CandidateRecord
from recsys_assets.files import folder_bytes, replaced_folder, write_json
from recsys_assets.grid import CandidateSpec
from recsys_assets.memory import memory_budget
from recsys_assets.playlists import Catalog, Float64, Int64, PlaylistSet
from recsys_assets.preparation.catalog import tracks_as_catalog
from recsys_assets.preparation.sequences import track_playlists
from recsys_assets.preparation.split import SplitRule
from recsys_assets.preparation.temporal import playlist_times
from recsys_assets.progress import Progress
from recsys_assets.reports.tables import candidates_markdown
from recsys_assets.resources.tracking import CHAMPION, Dataset, MlflowTracking, Outcome
from recsys_assets.serving.bundle import Bundle
from recsys_assets.settings import Settings
from recsys_assets.training import (
    candidate_fingerprint,
    combine,
    data_version,
    hits_of_bundle,
    model_code_version,
    train_and_evaluate,
)

MARKER_FILE = "registered.json"
REGISTRATION_FILE = "registration.json"
TIMED_COLUMNS = [*SEQUENCE_COLUMNS, c.PLAYLIST_ID, c.STARTED_AT]


def champion_folder(settings: Settings) -> Path:
    """Return where the registered champion's files are kept for delivery and later comparison."""
    return settings.models / CHAMPION


def registration_file(settings: Settings) -> Path:
    """Return the file that says what the last `best_model` registered."""
    return settings.models / REGISTRATION_FILE


def leaderboard_asset(grid: Sequence[CandidateSpec]) -> dg.AssetsDefinition:
    """Return the asset that compares all candidates of the grid."""

    @dg.asset(
        name=c.LEADERBOARD,
        group_name=SELECTION,
        owners=OWNERS,
        tags=DOMAIN_TAGS,
        kinds={"duckdb", "table"},
        deps=[candidate_key(spec.name) for spec in grid],
        metadata=TABLES[c.LEADERBOARD].metadata(),
        code_version=code_version("evaluation"),
        pool=DUCKDB_WRITER,
    )
    def leaderboard(settings: dg.ResourceParam[Settings]) -> dg.Output[pa.Table]:
        """Every candidate and metric on validation, best first, with 95 % bootstrap intervals.

        Selection is by hit rate @100. `hit_rate_100_minus_best` is the paired difference to the
        best candidate; two candidates differ only if its interval excludes 0.
        """
        with user_errors():
            records = [CandidateRecord.load(candidate_folder(settings, spec.name)) for spec in grid]
            table = build_leaderboard(records, seed=settings.seed)
        ordered = order_candidates(records)
        return dg.Output(
            table,
            metadata={
                "best": ordered[0].candidate,
                "candidates": len(records),
                "hit_rate_100": ordered[0].value(HIT_RATE_100).value,
                "table": dg.MetadataValue.md(candidates_markdown(ordered)),
            },
        )

    return leaderboard


@dataclass(frozen=True)
class _Inputs:
    """What `best_model` reads."""

    train: PlaylistSet
    validation: PlaylistSet
    test: PlaylistSet
    catalog: Catalog
    trained_on: TrainedOn
    test_times: Int64 | None

    @property
    def refit(self) -> PlaylistSet:
        return self.train.concat(self.validation)


def best_model_asset(grid: Sequence[CandidateSpec]) -> dg.AssetsDefinition:
    """Return the asset that refits, tests and registers the best candidate of the grid."""
    specs = {spec.name: spec for spec in grid}

    @dg.asset(
        name=c.BEST_MODEL,
        group_name=SELECTION,
        owners=OWNERS,
        tags=DOMAIN_TAGS,
        kinds={"python", "mlflow"},
        ins={
            c.LEADERBOARD: table_input([c.PLACE, c.CANDIDATE]),
            c.TRAIN_PLAYLISTS: table_input(TIMED_COLUMNS),
            c.VALIDATION_PLAYLISTS: table_input(TIMED_COLUMNS),
            c.TEST_PLAYLISTS: table_input(TIMED_COLUMNS),
            c.TRACK_CATALOG: table_input(CATALOG_COLUMNS),
        },
        code_version=combine(model_code_version(), code_version("assets/selection.py")),
        freshness_policy=FRESHNESS,
    )
    def best_model(
        context: dg.AssetExecutionContext,
        leaderboard: pa.Table,
        train_playlists: pa.Table,
        validation_playlists: pa.Table,
        test_playlists: pa.Table,
        track_catalog: pa.Table,
        settings: dg.ResourceParam[Settings],
        mlflow: MlflowTracking,
    ) -> dg.MaterializeResult[None]:
        """The best candidate, refitted on train + validation, measured once on test, registered.

        It is compared with the current champion on the same test playlists, those that neither has
        trained on. The alias `champion`
        moves to the new version unless it is significantly worse (policy `strict`: only if
        significantly better); otherwise the new version gets `challenger`. Unchanged data, code and
        grid register nothing twice. `models/champion` holds the champion's files for delivery.
        """
        watch = Stopwatch()
        rule = SplitRule.of(settings)
        times = test_times = None
        if rule.kind == "temporal":
            times = np.concatenate(
                [playlist_times(table, rule) for table in (train_playlists, validation_playlists)]
            )
            test_times = playlist_times(test_playlists, rule)
        inputs = _Inputs(
            track_playlists(train_playlists),
            track_playlists(validation_playlists),
            track_playlists(test_playlists),
            tracks_as_catalog(track_catalog),
            TrainedOn.by(rule, times),
            test_times,
        )
        first = min(leaderboard.to_pylist(), key=lambda row: row[c.PLACE])
        with user_errors():
            outcome = _register_best(context, specs[first[c.CANDIDATE]], inputs, settings, mlflow)
            mlflow.finish(context.run.run_id)
        write_json(registration_file(settings), asdict(outcome))
        return dg.MaterializeResult(
            metadata={
                "registered_model": settings.registered_model,
                "version": outcome.version,
                "aliases": ", ".join(outcome.aliases) or "none",
                "candidate": outcome.candidate,
                "decision": outcome.reason,
                "mlflow_run": mlflow.run_link(outcome.run_id),
                "test_metrics": dg.MetadataValue.json(dict(outcome.metrics)),
                "hit_rate_100_on_test": outcome.metrics[HIT_RATE_100],
                "seconds": watch.seconds,
            }
        )

    return best_model


def _register_best(
    context: dg.AssetExecutionContext,
    spec: CandidateSpec,
    inputs: _Inputs,
    settings: Settings,
    mlflow: MlflowTracking,
) -> Outcome:
    """Bring registry, alias and `models/champion` to the state that these inputs decide."""
    version = data_version(inputs.refit, inputs.test, inputs.catalog)
    fingerprint = candidate_fingerprint(spec, version=version, seed=settings.seed)
    mlflow.prepare()
    registered = mlflow.version_with_fingerprint(fingerprint)
    if registered is None:
        registered = _train_and_register(context, spec, inputs, settings, mlflow, version=version)
    else:
        context.log.info(
            f"version {registered} has this data, code and grid entry; nothing is registered"
        )
    # On every path, so that a kill between registering and moving the alias is mended here.
    mlflow.apply_decision(registered)
    keep_champion(settings, mlflow)
    return mlflow.outcome(registered)


def _train_and_register(
    context: dg.AssetExecutionContext,
    spec: CandidateSpec,
    inputs: _Inputs,
    settings: Settings,
    mlflow: MlflowTracking,
    *,
    version: str,
) -> str:
    """Refit, measure on test beside the champion, register; return the version."""
    log = context.log.info
    with mlflow.child_run(context.run.run_id, f"{c.BEST_MODEL} {spec.name}", c.BEST_MODEL) as run:
        trained = train_and_evaluate(
            spec,
            inputs.refit,
            inputs.test,
            inputs.catalog,
            seed=settings.seed,
            progress=log,
            memory=memory_budget(settings.memory_limit),
        )
        with tempfile.TemporaryDirectory(dir=_made(settings.scratch)) as scratch:
            folder = Path(scratch) / "bundle"
            Bundle(trained.model, inputs.catalog).save(folder)
            record = make_record(
                spec,
                trained,
                seed=settings.seed,
                version=version,
                mlflow_run=run,
                model_bytes=folder_bytes(folder),
            )
            decision = _decide(hits(record), settings, mlflow, inputs, log)
            log(decision.reason)
            log_candidate(
                mlflow,
                run,
                record,
                datasets=[
                    Dataset(
                        c.TRAIN_PLAYLISTS,
                        inputs.refit.fingerprint(),
                        str(settings.database),
                        "train",
                    ),
                    Dataset(
                        c.TEST_PLAYLISTS, inputs.test.fingerprint(), str(settings.database), "test"
                    ),
                ],
                folder=None,
                history=trained.model.history(),
            )
            return mlflow.register(
                run,
                folder,
                fingerprint=record.fingerprint,
                candidate=spec.name,
                decision=decision,
                trained_on=inputs.trained_on,
            )


def _decide(
    new_hits: Float64, settings: Settings, mlflow: MlflowTracking, inputs: _Inputs, log: Progress
) -> Decision:
    """Compare with the champion on the test playlists that neither has trained on."""
    policy = settings.promotion_policy
    if mlflow.champion() is None:
        return decide(new_hits, None, policy=policy, seed=settings.seed)
    champion = keep_champion(settings, mlflow)
    count = len(inputs.test)
    fair = comparable(inputs.trained_on, mlflow.trained_on(champion), count, inputs.test_times)
    if fair.why_not is not None:
        return decide_uncompared(fair.why_not, policy=policy)
    try:
        bundle = Bundle.load(champion_folder(settings))
    except OtherVersionError as error:
        return decide_uncompared(f"the champion, version {champion}: {error}", policy=policy)
    log(f"measuring the champion, version {champion}, on {len(fair.rows):,} of {count:,} playlists")
    champion_hits = hits_of_bundle(
        bundle,
        inputs.test.take(fair.rows),
        inputs.catalog,
        progress=log,
    )
    decision = decide(new_hits[fair.rows], champion_hits, policy=policy, seed=settings.seed)
    if len(fair.rows) == count:
        return decision
    of_these = f"on the {len(fair.rows):,} of {count:,} test playlists later than its training"
    return replace(decision, reason=f"{decision.reason} ({of_these})")


def keep_champion(settings: Settings, mlflow: MlflowTracking) -> str:
    """Make `models/champion` hold the registered champion's files; return its version."""
    champion = mlflow.champion()
    if champion is None:
        raise StorageError(
            f"{settings.mlflow_uri}: no version of {settings.registered_model!r} has the alias "
            f"{CHAMPION!r}; set it on one in the MLflow UI"
        )
    folder = champion_folder(settings)
    marker = {"model": settings.registered_model, "uri": settings.mlflow_uri, "version": champion}
    if (
        not (folder / MARKER_FILE).exists()
        or json.loads((folder / MARKER_FILE).read_text()) != marker
    ):
        with replaced_folder(folder) as aside:
            mlflow.download_bundle(champion, aside)
            write_json(aside / MARKER_FILE, marker)
    return champion


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
