"""Assets `candidates/<name>`: one per entry of the grid, made by a factory.

Each is trained on train, measured on validation, stored as model files and logged as an MLflow
child run. A Dagster partition per hyperparameter set would let `best_model` run when only one of three
partitions exists, and could not share a run with unpartitioned assets (both seen on dagster 1.13).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from recsys_assets import columns as c
from recsys_assets.assets.common import (
    CANDIDATES,
    DOMAIN_TAGS,
    OWNERS,
    Stopwatch,
    user_errors,
)
from recsys_assets.evaluation.records import CandidateRecord
from recsys_assets.files import folder_bytes, replaced_folder
from recsys_assets.grid import CandidateSpec
from recsys_assets.memory import memory_budget
from recsys_assets.preparation.catalog import tracks_as_catalog
from recsys_assets.preparation.queries import markdown_table
from recsys_assets.preparation.sequences import track_playlists
from recsys_assets.resources.tracking import Dataset, MlflowTracking
from recsys_assets.settings import Settings
from recsys_assets.training import (
    Trained,
    candidate_fingerprint,
    combine,
    data_version,
    model_code_version,
    train_and_evaluate,
)
from recsys_assets.warm_start import Training, WarmStart

MODEL_FOLDER = "model"
SEQUENCE_COLUMNS = [c.TRACK_SEQUENCE, c.PLAYLIST_NAME]
NAMED_COLUMNS = [*SEQUENCE_COLUMNS, c.PLAYLIST_ID]
CATALOG_COLUMNS = [c.TRACK_ID, c.TRACK_NAME, c.ARTIST_INDEX, c.ALBUM_INDEX]


def candidate_key(name: str) -> dg.AssetKey:
    """Return the asset key of a grid entry."""
    return dg.AssetKey([CANDIDATES, name])


def candidate_folder(settings: Settings, name: str) -> Path:
    """Return where a candidate's model files and record are."""
    return settings.models / CANDIDATES / name


def table_input(columns: list[str]) -> dg.AssetIn:
    """Return an asset input that reads only `columns` of the table."""
    return dg.AssetIn(metadata={"columns": columns})


def candidate_asset(spec: CandidateSpec) -> dg.AssetsDefinition:
    """Return the asset that trains and measures one entry of the grid."""
    parameters = spec.parameters.model_dump(mode="json")

    @dg.asset(
        key=candidate_key(spec.name),
        group_name=CANDIDATES,
        owners=OWNERS,
        tags={**DOMAIN_TAGS, "family": spec.family},
        kinds={"python", "mlflow"},
        ins={
            c.TRAIN_PLAYLISTS: table_input(NAMED_COLUMNS),
            c.VALIDATION_PLAYLISTS: table_input(NAMED_COLUMNS),
            c.TRACK_CATALOG: table_input(CATALOG_COLUMNS),
        },
        metadata={"family": spec.family, "parameters": dg.MetadataValue.json(parameters)},
        description=(
            f"Family **{spec.family}**, trained on train, measured on validation.\n\n"
            + "\n".join(f"- `{name}`: {value}" for name, value in parameters.items())
        ),
        code_version=combine(model_code_version(), spec.family, parameters),
    )
    def candidate(
        context: dg.AssetExecutionContext,
        train_playlists: pa.Table,
        validation_playlists: pa.Table,
        track_catalog: pa.Table,
        settings: dg.ResourceParam[Settings],
        mlflow: MlflowTracking,
    ) -> dg.MaterializeResult[None]:
        watch = Stopwatch()
        train, validation = track_playlists(train_playlists), track_playlists(validation_playlists)
        catalog = tracks_as_catalog(track_catalog)
        version = data_version(train, validation, catalog)
        with (
            user_errors(),
            mlflow.child_run(
                context.run.run_id, spec.name, context.asset_key.to_user_string()
            ) as run,
            replaced_folder(candidate_folder(settings, spec.name)) as folder,
        ):
            warm = None
            if settings.warm_start:
                warm = WarmStart(
                    candidate_folder(settings, spec.name),
                    folder,
                    Training(
                        combine(spec.family, parameters, settings.seed, model_code_version()),
                        version,
                        train,
                        train_playlists[c.PLAYLIST_ID],
                        validation_playlists[c.PLAYLIST_ID],
                        catalog,
                    ),
                )
            trained = train_and_evaluate(
                spec,
                train,
                validation,
                catalog,
                seed=settings.seed,
                progress=context.log.info,
                memory=memory_budget(settings.memory_limit),
                before_fit=None if warm is None else warm.begin,
            )
            trained.model.save(folder / MODEL_FOLDER)
            record = make_record(
                spec,
                trained,
                seed=settings.seed,
                version=version,
                mlflow_run=run,
                model_bytes=folder_bytes(folder / MODEL_FOLDER),
            )
            record.save(folder)
            if warm is not None:
                warm.keep(trained.model.model, folder / MODEL_FOLDER)
            log_candidate(
                mlflow,
                run,
                record,
                datasets=[
                    Dataset(
                        c.TRAIN_PLAYLISTS, train.fingerprint(), str(settings.database), "train"
                    ),
                    Dataset(
                        c.VALIDATION_PLAYLISTS,
                        validation.fingerprint(),
                        str(settings.database),
                        "validation",
                    ),
                ],
                folder=folder / MODEL_FOLDER,
                history=trained.model.history(),
            )
        return dg.MaterializeResult(
            metadata={
                **record_metadata(record),
                "mlflow_run": mlflow.run_link(run),
                "model": dg.MetadataValue.path(str(candidate_folder(settings, spec.name))),
                "seconds": watch.seconds,
            }
        )

    return candidate


def make_record(
    spec: CandidateSpec,
    trained: Trained,
    *,
    seed: int,
    version: str,
    mlflow_run: str,
    model_bytes: int,
) -> CandidateRecord:
    """Return what is kept of a training."""
    return CandidateRecord(
        candidate=spec.name,
        family=spec.family,
        parameters=spec.parameters.model_dump(mode="json"),
        seed=seed,
        data_version=version,
        fingerprint=candidate_fingerprint(spec, version=version, seed=seed, begun=trained.begun),
        mlflow_run=mlflow_run,
        fit_seconds=trained.fit_seconds,
        evaluate_seconds=trained.evaluate_seconds,
        model_bytes=model_bytes,
        measurements=trained.evaluation.measurements,
        ranks=trained.evaluation.ranks,
        training=trained.begun,
    )


def log_candidate(
    mlflow: MlflowTracking,
    run: str,
    record: CandidateRecord,
    *,
    datasets: list[Dataset],
    folder: Path | None,
    history: Mapping[str, Sequence[float]],
) -> None:
    """Log a record, what training measured after each epoch, and the model's files to its run."""
    metrics = {
        "fit_seconds": record.fit_seconds,
        "evaluate_seconds": record.evaluate_seconds,
        "model_bytes": float(record.model_bytes),
    }
    for one in record.measurements:
        name = one.metric if one.slice == "all" else f"{one.metric}/{one.slice}"
        metrics[name] = one.value
        if one.low is not None and one.high is not None:
            metrics[f"{name}_low"], metrics[f"{name}_high"] = one.low, one.high
    mlflow.log(
        run,
        params={
            "family": record.family,
            "seed": record.seed,
            "data_version": record.data_version,
            "fingerprint": record.fingerprint,
            "training": record.training,
            **record.parameters,
        },
        metrics={key.replace("+", "_plus"): value for key, value in metrics.items()},
        datasets=datasets,
        folder=folder,
        history=history,
    )


def record_metadata(record: CandidateRecord) -> dict[str, Any]:
    """Return the figures of a record as Dagster metadata: numbers to plot, and a table to read."""
    overall = [one for one in record.measurements if one.slice == "all"]
    table = pa.Table.from_pylist(
        [
            {
                c.METRIC: one.metric,
                c.VALUE: f"{one.value:.4f}",
                "95 % interval": "" if one.low is None else f"{one.low:.4f} to {one.high:.4f}",
            }
            for one in overall
        ]
    )
    return {
        **{one.metric: dg.MetadataValue.float(one.value) for one in overall},
        "metrics": dg.MetadataValue.md(markdown_table(table)),
        "fit_seconds": dg.MetadataValue.float(round(record.fit_seconds, 3)),
        "evaluate_seconds": dg.MetadataValue.float(round(record.evaluate_seconds, 3)),
        "model_bytes": dg.MetadataValue.int(record.model_bytes),
        "training": dg.MetadataValue.text(record.training),
        "data_version_of_inputs": dg.MetadataValue.text(record.data_version),
    }
