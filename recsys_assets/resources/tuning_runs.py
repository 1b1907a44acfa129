"""MLflow runs of a hyperparameter search: a parent for the search, a child for every trial.

A search that goes on after a kill goes on below the same parent. The home folder is tagged by another
name than in `tracking.py`, since a refresh closes what it finds open under that one, and may run beside
a search. What a trial is belongs in `tuning/`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from recsys_assets.evaluation.intervals import Interval
from recsys_assets.grid import CandidateSpec
from recsys_assets.resources.tracking import TAG_CANDIDATE, TAG_PARENT, Dataset, MlflowTracking
from recsys_assets.tuning.space import Value

TAG_STUDY, TAG_ROLE, TAG_REASON = "recsys.study", "recsys.role", "recsys.reason"
TAG_SEARCH_HOME = "recsys.search_home"
SEARCH, TRIAL = "search", "trial"


class TuningRuns:
    """The parent run of one search; made by `search_run`."""

    def __init__(
        self, tracking: MlflowTracking, parent: str, study: str, spec: CandidateSpec
    ) -> None:
        self._tracking, self._parent, self._study, self._spec = tracking, parent, study, spec

    def log(self, metrics: Mapping[str, float]) -> None:
        """Log what the search found to the parent run."""
        self._tracking.log(self._parent, params={}, metrics=metrics)

    @contextmanager
    def trial(self, place: int, parameters: Mapping[str, Value]) -> Iterator["TrialRun"]:
        """Open the child run of a trial; FAILED when the block raises or the setting is unusable."""
        client = self._tracking.client
        run = client.create_run(
            self._tracking.prepare(),
            run_name=f"{self._spec.name} trial {place}",
            tags={
                TAG_PARENT: self._parent,
                TAG_STUDY: self._study,
                TAG_ROLE: TRIAL,
                TAG_CANDIDATE: self._spec.name,
            },
        ).info.run_id
        values = {**self._spec.parameters.model_dump(mode="json"), **parameters}
        entry = TrialRun(self._tracking, run, {"family": self._spec.family, **values})
        try:
            yield entry
        except BaseException:
            client.set_terminated(run, "FAILED")
            raise
        client.set_terminated(run, entry.status)


class TrialRun:
    """A trial's run while it is open."""

    def __init__(
        self, tracking: MlflowTracking, run: str, parameters: Mapping[str, object]
    ) -> None:
        self._tracking, self._run, self._parameters = tracking, run, parameters
        self.status = "FINISHED"

    def measured(self, scores: Mapping[str, Interval], seconds: float) -> None:
        """Log every metric with its interval."""
        metrics = {"seconds": seconds}
        for metric, score in scores.items():
            metrics[metric] = score.value
            metrics[f"{metric}_low"], metrics[f"{metric}_high"] = score.low, score.high
        self._tracking.log(self._run, params=self._parameters, metrics=metrics)

    def unusable(self, reason: str, seconds: float) -> None:
        """Log that the setting cannot be fitted, and why."""
        self._tracking.log(self._run, params=self._parameters, metrics={"seconds": seconds})
        self._tracking.client.set_tag(self._run, TAG_REASON, reason)
        self.status = "FAILED"


@contextmanager
def search_run(
    tracking: MlflowTracking,
    study: str,
    spec: CandidateSpec,
    *,
    parameters: Mapping[str, object],
    datasets: tuple[Dataset, ...],
) -> Iterator[TuningRuns]:
    """Open the parent run of a search: the one of an earlier call, or a new one.

    Children that a killed process left open are closed as KILLED. The parent ends as FINISHED, or
    FAILED when the block raises.

    Parameters
    ----------
    study
        Name of the study; searches of one name share a parent.
    spec
        The entry of the grid that is searched.
    parameters
        Logged on the parent beside the ranges: metric, seed.
    datasets
        What is learned from and measured on.
    """
    client, experiment = tracking.client, tracking.prepare()
    found = client.search_runs(
        [experiment],
        f"tags.`{TAG_STUDY}` = '{study}' and tags.`{TAG_ROLE}` = '{SEARCH}' "
        f"and tags.`{TAG_SEARCH_HOME}` = '{tracking.home}'",
    )
    if found:
        parent = str(found[0].info.run_id)
        for run in client.search_runs(
            [experiment], f"tags.`{TAG_PARENT}` = '{parent}' and attributes.status = 'RUNNING'"
        ):
            client.set_terminated(run.info.run_id, "KILLED")
        client.update_run(parent, status="RUNNING")
    else:
        parent = client.create_run(
            experiment,
            run_name=f"tune {spec.name}",
            tags={
                TAG_STUDY: study,
                TAG_ROLE: SEARCH,
                TAG_CANDIDATE: spec.name,
                TAG_SEARCH_HOME: tracking.home,
            },
        ).info.run_id
        ranges = {f"search.{name}": str(one) for name, one in spec.search.items()}
        tracking.log(
            parent,
            params={"family": spec.family, **parameters, **ranges},
            metrics={},
            datasets=datasets,
        )
    try:
        yield TuningRuns(tracking, parent, study, spec)
    except BaseException:
        client.set_terminated(parent, "FAILED")
        raise
    client.set_terminated(parent, "FINISHED")
