"""MLflow: a parent run per refresh, a child per candidate, and the registry.

A small resource over `MlflowClient`. dagster-mlflow's is old-style, ends the run early and forces an
old pandas. What is worth logging is decided in `assets/`; what counts as better in
`evaluation/promotion.py`. Aliases, never stages (stages are gone in MLflow 3).
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow.parquet as pq
from pydantic import Field, PrivateAttr

from recsys_assets.errors import StorageError
from recsys_assets.evaluation.comparable import TrainedOn
from recsys_assets.evaluation.promotion import Decision
from recsys_assets.resources.server import require_server
from recsys_assets.serving.bundle import CATALOG_FILE
from recsys_assets.settings import quiet_mlflow

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature

CHAMPION, CHALLENGER = "champion", "challenger"
TAG_DAGSTER_RUN, TAG_PARENT, TAG_NAME = "dagster.run_id", "mlflow.parentRunId", "mlflow.runName"
TAG_ASSET, TAG_HOME, TAG_FINGERPRINT = "dagster.asset_key", "recsys.home", "recsys.fingerprint"
TAG_DECISION, TAG_REASON = "recsys.decision", "recsys.reason"
TAG_CANDIDATE, TAG_APPLIED = "recsys.candidate", "recsys.alias_applied"
TAG_TRAINED_ON = "recsys.trained_on"

SERVED_PARTS = ("__init__.py", "errors.py", "playlists.py", "progress.py", "models", "serving")
"""What of the package the registered model needs."""
SERVED_REQUIREMENTS = (
    "mlflow", "numba", "numpy", "pandas", "pyarrow", "pydantic", "threadpoolctl",
)  # fmt: skip


@dataclass(frozen=True)
class Dataset:
    """Data that a run used, as MLflow logs it: a name, a content hash and where it lies."""

    name: str
    digest: str
    source: str
    context: str


@dataclass(frozen=True)
class Outcome:
    """A registered version: where it stands and how it did on test."""

    version: str
    aliases: tuple[str, ...]
    candidate: str
    reason: str
    fingerprint: str
    run_id: str
    metrics: Mapping[str, float]


class MlflowTracking(dg.ConfigurableResource[Any]):
    """MLflow tracking and registry."""

    tracking_uri: str = Field(description="Address of the tracking server, or sqlite:///….")
    artifact_root: str = Field(
        description="Folder of artifacts; used only when the experiment is made on the SQLite store."
    )
    experiment: str = Field(description="Name of the experiment.")
    registered_model: str = Field(description="Name of the registered model.")
    home: str = Field(description="The home folder; tags the runs of this installation.")

    _parents: dict[str, str] = PrivateAttr(default_factory=dict)
    _failed: set[str] = PrivateAttr(default_factory=set)

    # --- runs ----------------------------------------------------------------------------------
    @property
    def client(self) -> "MlflowClient":
        """A client of the tracking store and the registry."""
        quiet_mlflow()
        import mlflow  # noqa: PLC0415  (3 s)

        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_registry_uri(self.tracking_uri)
        return mlflow.MlflowClient(self.tracking_uri, self.tracking_uri)

    def prepare(self) -> str:
        """Make the store and the experiment if they are not there; return the experiment's id."""
        if self.tracking_uri.startswith("sqlite:///"):
            Path(self.tracking_uri.removeprefix("sqlite:///")).parent.mkdir(
                parents=True, exist_ok=True
            )
        else:
            require_server(self.tracking_uri)
        client = self.client
        found = client.get_experiment_by_name(self.experiment)
        if found is not None:
            if found.lifecycle_stage == "deleted":
                raise StorageError(
                    f"MLflow experiment {self.experiment!r} was deleted; restore it, or set "
                    "RECSYS_EXPERIMENT to another name"
                )
            return str(found.experiment_id)
        root = Path(self.artifact_root).as_uri() if self.tracking_uri.startswith("sqlite") else None
        return str(client.create_experiment(self.experiment, artifact_location=root))

    def parent_run(self, dagster_run_id: str) -> str:
        """Return the MLflow run of this refresh, made at the first call.

        Runs of this home folder that a killed refresh left open are closed as KILLED.
        """
        if dagster_run_id in self._parents:
            return self._parents[dagster_run_id]
        client, experiment = self.client, self.prepare()
        for run in client.search_runs(
            [experiment],
            f"tags.`{TAG_HOME}` = '{self.home}' and attributes.status = 'RUNNING'",
        ):
            if run.data.tags.get(TAG_DAGSTER_RUN) != dagster_run_id:
                client.set_terminated(run.info.run_id, "KILLED")
        mine = client.search_runs(
            [experiment],
            f"tags.`{TAG_DAGSTER_RUN}` = '{dagster_run_id}' and tags.`recsys.role` = 'refresh'",
        )
        if mine:
            run_id = str(mine[0].info.run_id)
        else:
            run_id = client.create_run(
                experiment,
                run_name=f"refresh {time.strftime('%Y-%m-%d %H:%M')} {dagster_run_id[:8]}",
                tags={
                    TAG_DAGSTER_RUN: dagster_run_id,
                    TAG_HOME: self.home,
                    "recsys.role": "refresh",
                },
            ).info.run_id
        self._parents[dagster_run_id] = run_id
        return run_id

    @contextmanager
    def child_run(self, dagster_run_id: str, name: str, asset_key: str) -> Iterator[str]:
        """Open a run below the refresh's; it ends as FINISHED, or FAILED when the block raises."""
        parent = self.parent_run(dagster_run_id)
        client = self.client
        run_id = client.create_run(
            self.prepare(),
            run_name=name,
            tags={
                TAG_PARENT: parent,
                TAG_DAGSTER_RUN: dagster_run_id,
                TAG_ASSET: asset_key,
                TAG_HOME: self.home,
                "recsys.role": "candidate",
            },
        ).info.run_id
        try:
            yield run_id
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            self._failed.add(dagster_run_id)
            raise
        client.set_terminated(run_id, "FINISHED")

    def finish(self, dagster_run_id: str) -> None:
        """Close the refresh's parent run."""
        if dagster_run_id in self._parents:
            self.client.set_terminated(self._parents.pop(dagster_run_id), "FINISHED")

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the parent run where `best_model` did not (not selected, or not reached)."""
        del context
        for run_id in list(self._parents):
            status = "FAILED" if run_id in self._failed else "FINISHED"
            self.client.set_terminated(self._parents.pop(run_id), status)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, object],
        metrics: Mapping[str, float],
        datasets: Sequence[Dataset] = (),
        folder: Path | None = None,
        history: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        """Log parameters, metrics, datasets and a folder of files in few requests.

        `history` holds metrics with one value per epoch; its steps count from 1.
        """
        from mlflow.entities import Dataset as MlflowDataset  # noqa: PLC0415
        from mlflow.entities import DatasetInput, InputTag, Metric, Param  # noqa: PLC0415

        client, now = self.client, int(time.time() * 1000)
        logged = [Metric(key, value, now, 0) for key, value in metrics.items()]
        for key, values in (history or {}).items():
            logged += [Metric(key, value, now, step) for step, value in enumerate(values, 1)]
        client.log_batch(
            run_id,
            metrics=logged,
            params=[Param(key, str(value)) for key, value in params.items()],
        )
        if datasets:
            client.log_inputs(
                run_id,
                datasets=[
                    DatasetInput(
                        MlflowDataset(one.name, one.digest, "local", f'{{"uri": "{one.source}"}}'),
                        [InputTag("mlflow.data.context", one.context)],
                    )
                    for one in datasets
                ],
            )
        if folder is not None:
            client.log_artifacts(run_id, str(folder), folder.name)

    def run_link(self, run_id: str) -> str:
        """Return where a person finds the run: a page of the server, or the store and the id."""
        if self.tracking_uri.startswith("http"):
            return f"{self.tracking_uri.rstrip('/')}/#/experiments/{self.prepare()}/runs/{run_id}"
        return f"{self.tracking_uri} run {run_id}"

    # --- registry ------------------------------------------------------------------------------
    def _versions(self, tag: str, value: str) -> list["ModelVersion"]:
        return list(
            self.client.search_model_versions(
                f"name = '{self.registered_model}' and tags.`{tag}` = '{value}'"
            )
        )

    def version_with_fingerprint(self, fingerprint: str) -> str | None:
        """Return the newest registered version of exactly this data, code and candidate."""
        versions = [int(one.version) for one in self._versions(TAG_FINGERPRINT, fingerprint)]
        return str(max(versions)) if versions else None

    def champion(self) -> str | None:
        """Return the version that holds the alias `champion`, or None."""
        named = self.client.search_registered_models(f"name = '{self.registered_model}'")
        if not named or CHAMPION not in named[0].aliases:
            return None
        return str(named[0].aliases[CHAMPION])

    def trained_on(self, model_version: str) -> TrainedOn | None:
        """Return what a version was trained on, or None if it does not say."""
        tags = self.client.get_model_version(self.registered_model, model_version).tags
        return TrainedOn.from_json(tags[TAG_TRAINED_ON]) if TAG_TRAINED_ON in tags else None

    def register(
        self,
        run_id: str,
        bundle: Path,
        *,
        fingerprint: str,
        candidate: str,
        decision: Decision,
        trained_on: TrainedOn,
    ) -> str:
        """Log the bundle as a pyfunc model of `run_id` and register it; return the version.

        The fingerprint and the decision are tags given at creation, so that a kill just after it
        can neither register the same model twice nor lose the decision.
        """
        import mlflow  # noqa: PLC0415

        client = self.client
        package = Path(__file__).parent.parent
        with tempfile.TemporaryDirectory() as scratch:
            code = Path(scratch) / package.name
            copy_served_code(package, code)
            with mlflow.start_run(run_id=run_id):
                logged = mlflow.pyfunc.log_model(
                    name="model",
                    python_model=str(package / "serving" / "pyfunc_model.py"),
                    code_paths=[str(code)],
                    artifacts={"bundle": str(bundle)},
                    signature=served_signature(),
                    input_example=(example_input(bundle), {"k": 5}),
                    pip_requirements=[f"{name}=={version(name)}" for name in SERVED_REQUIREMENTS],
                )
        if not client.search_registered_models(f"name = '{self.registered_model}'"):
            client.create_registered_model(self.registered_model)
        created = client.create_model_version(
            self.registered_model,
            source=logged.model_uri,
            run_id=run_id,
            model_id=logged.model_id,
            tags={
                TAG_FINGERPRINT: fingerprint,
                TAG_CANDIDATE: candidate,
                TAG_DECISION: CHAMPION if decision.promote else CHALLENGER,
                TAG_REASON: decision.reason,
                TAG_TRAINED_ON: trained_on.to_json(),
            },
        )
        return str(created.version)

    def apply_decision(self, model_version: str) -> None:
        """Move the alias that was decided for a version, once.

        A later refresh of the same data must not undo an alias that a person has moved since.
        """
        client = self.client
        tags = client.get_model_version(self.registered_model, model_version).tags
        if TAG_APPLIED not in tags:
            client.set_registered_model_alias(
                self.registered_model, tags[TAG_DECISION], model_version
            )
            client.set_model_version_tag(self.registered_model, model_version, TAG_APPLIED, "yes")

    def outcome(self, model_version: str) -> Outcome:
        """Return what the registry and its run say of a version."""
        client = self.client
        found = client.get_model_version(self.registered_model, model_version)
        metrics = client.get_run(str(found.run_id)).data.metrics
        return Outcome(
            version=str(found.version),
            aliases=tuple(sorted(found.aliases)),
            candidate=found.tags[TAG_CANDIDATE],
            reason=found.tags[TAG_REASON],
            fingerprint=found.tags[TAG_FINGERPRINT],
            run_id=str(found.run_id),
            metrics=dict(sorted(metrics.items())),
        )

    def download_bundle(self, model_version: str, destination: Path) -> None:
        """Copy a registered version's bundle into the folder `destination`."""
        import mlflow  # noqa: PLC0415

        address = self.client.get_model_version_download_uri(self.registered_model, model_version)
        destination.mkdir(exist_ok=True)
        # Inside the destination, so that what was downloaded is moved, not copied again.
        with tempfile.TemporaryDirectory(dir=destination) as scratch:
            copied = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{address}/artifacts/bundle",
                dst_path=scratch,
                tracking_uri=self.tracking_uri,
            )
            for part in Path(copied).iterdir():
                shutil.move(part, destination / part.name)


def copy_served_code(package: Path, destination: Path) -> None:
    """Copy the parts of the package that the registered model runs."""
    destination.mkdir()
    for part in SERVED_PARTS:
        source = package / part
        if source.is_dir():
            shutil.copytree(
                source, destination / part, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy2(source, destination / part)


def example_input(bundle: Path) -> "pd.DataFrame":
    """Return an input that a reader of the registry can try: one playlist of two known tracks."""
    import pandas as pd  # noqa: PLC0415

    # Not the whole bundle: a large one takes seconds to load.
    first = next(pq.ParquetFile(bundle / CATALOG_FILE).iter_batches(2, columns=["id"]))
    return pd.DataFrame({"playlist": [first["id"].to_pylist()]})


def served_signature() -> "ModelSignature":
    """Return the registered model's input, output and parameters."""
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types.schema import (  # noqa: PLC0415
        Array,
        ColSpec,
        DataType,
        ParamSchema,
        ParamSpec,
        Schema,
    )

    return ModelSignature(
        inputs=Schema(
            [
                ColSpec(Array(DataType.string), "playlist"),
                ColSpec(DataType.string, "title", required=False),
            ]
        ),
        outputs=Schema(
            [
                ColSpec(Array(DataType.string), "track_ids"),
                ColSpec(Array(DataType.double), "scores"),
                ColSpec(DataType.string, "tier"),
            ]
        ),
        params=ParamSchema([ParamSpec("k", DataType.long, 20)]),
    )
