"""Studies: the trials of a search, kept by Optuna in a SQLite file so that a killed search goes on.

What is stored of a trial, which trials count, and who may work on the file. Choosing and measuring
trials belongs in `tuning/search.py`.
"""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recsys_assets.errors import StorageError
from recsys_assets.evaluation.intervals import Interval
from recsys_assets.files import replaced_file
from recsys_assets.playlists import Int32
from recsys_assets.progress import Progress
from recsys_assets.tuning.space import Choices, Range, Value

if TYPE_CHECKING:
    import optuna

STUDIES_FILE = "studies.db"
_PARAMETERS, _OUTCOME = "parameters", "outcome"
_DIGITS = 4
"""Significant digits of a fraction that a search tries: more would only look exact."""


@dataclass(frozen=True)
class Trial:
    """A setting that was tried.

    Attributes
    ----------
    place
        Number within the search, from 1; trials that were killed have none.
    parameters
        Value of every hyperparameter that is searched.
    score
        The metric on the inner hold-out with its interval; None if the setting cannot be fitted.
    reason
        Why it cannot be fitted.
    seconds
        Time to fit and rank.
    """

    place: int
    parameters: Mapping[str, Value]
    score: Interval | None
    reason: str | None
    seconds: float


class Study:
    """The trials of one search; made by `open_study`.

    Trials of a killed process are marked as failed when the study is opened, and count for nothing:
    the next trial is chosen, with a seed of its own, from the finished ones alone. A search that was
    killed and goes on thus tries what an undisturbed one tries.
    """

    def __init__(self, study: "optuna.Study", space: Mapping[str, Range], folder: Path) -> None:
        from optuna.trial import TrialState  # noqa: PLC0415

        self._study, self._folder = study, folder
        self._distributions = {name: _distribution(one) for name, one in space.items()}
        self._space = space
        for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(left.number, state=TrialState.FAIL)

    def finished(self) -> list[Trial]:
        """Return the trials that count, in order: measured ones and those that cannot be fitted."""
        from optuna.trial import TrialState  # noqa: PLC0415

        done = self._study.get_trials(
            deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)
        )
        return [
            _trial(place, one.user_attrs[_PARAMETERS], one.user_attrs[_OUTCOME])
            for place, one in enumerate(done, 1)
        ]

    def propose(self, parameters: Mapping[str, Value]) -> None:
        """Let the next trial have these parameters, unless they wait already."""
        from optuna.trial import TrialState  # noqa: PLC0415

        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if all(one.user_attrs[_PARAMETERS] != parameters for one in waiting):
            self._study.enqueue_trial(dict(parameters), user_attrs={_PARAMETERS: dict(parameters)})

    def ask(self, *, seed: int) -> tuple["optuna.Trial", dict[str, Value]]:
        """Begin a trial: what was proposed, or what the sampler takes for promising."""
        from optuna.samplers import TPESampler  # noqa: PLC0415

        self._study.sampler = TPESampler(seed=seed)
        trial = self._study.ask(self._distributions)
        if _PARAMETERS not in trial.user_attrs:
            rounded = {
                name: _rounded(value, self._space[name]) for name, value in trial.params.items()
            }
            trial.set_user_attr(_PARAMETERS, rounded)
        return trial, dict(trial.user_attrs[_PARAMETERS])

    def tell(self, trial: "optuna.Trial", outcome: Trial, ranks: Int32 | None) -> None:
        """End a trial with its outcome and the place of every target (None if not measured)."""
        from optuna.trial import TrialState  # noqa: PLC0415

        if ranks is not None:
            with (
                replaced_file(self._ranks_file(outcome.place)) as aside,
                aside.open("wb") as file,
            ):
                np.save(file, ranks, allow_pickle=False)
        trial.set_user_attr(
            _OUTCOME,
            {"score": outcome.score, "reason": outcome.reason, "seconds": outcome.seconds},
        )
        if outcome.score is None:
            # "Pruned" is what the sampler keeps away from; it takes no notice of failed trials.
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, outcome.score.value)

    def abandon(self, trial: "optuna.Trial") -> None:
        """End a trial that was interrupted; it counts for nothing."""
        from optuna.trial import TrialState  # noqa: PLC0415

        self._study.tell(trial, state=TrialState.FAIL)

    def ranks(self, trial: Trial) -> Int32:
        """int32[n]: the place of each playlist's target in a measured trial, 0 for a miss."""
        found: Int32 = np.load(self._ranks_file(trial.place), allow_pickle=False)
        return found

    def _ranks_file(self, place: int) -> Path:
        return self._folder / f"ranks_{place}.npy"


@contextmanager
def open_study(
    folder: Path, name: str, space: Mapping[str, Range], *, progress: Progress
) -> Iterator[Study]:
    """Open the study `name` in `folder`, made if it is not there.

    Parameters
    ----------
    folder
        Holds the studies' file, and a folder of its own for each study.
    name
        What is searched, a slash, and a hash of everything that makes trials comparable: equal
        names share trials.
    space
        The range of every hyperparameter that is searched.
    progress
        Told of Optuna's own warnings, and of earlier trials that do not count.

    Returns
    -------
    Study
        To be used by one process at a time: see `alone`.
    """
    import optuna  # noqa: PLC0415  (0.2 s, and it takes SQLAlchemy along)

    folder.mkdir(parents=True, exist_ok=True)
    with _warnings_to(progress):
        storage = optuna.storages.RDBStorage(f"sqlite:///{folder / STUDIES_FILE}")
        try:
            others = optuna.get_all_study_names(storage)
            subject, _, _ = name.rpartition("/")
            if name not in others and any(one.rpartition("/")[0] == subject for one in others):
                progress(
                    f"{subject}: data, code, ranges, metric or seed are not those of an earlier "
                    "search; its trials do not compare, so this one begins anew"
                )
            study = optuna.create_study(
                storage=storage, study_name=name, direction="maximize", load_if_exists=True
            )
            yield Study(study, space, folder / name.replace("/", "_"))
        finally:
            storage.remove_session()
            storage.engine.dispose()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder of studies while searching: what another process runs would look killed.

    Raises
    ------
    StorageError
        If another process searches there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "search.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise StorageError(
                f"{folder}: another search works there ({lock.read().strip()}); wait until it has "
                "ended, or give this one a RECSYS_HOME of its own"
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(f"process {os.getpid()}")
        lock.flush()
        yield


@contextmanager
def _warnings_to(progress: Progress) -> Iterator[None]:
    """Send Optuna's warnings to `progress`; its line for every trial is dropped, ours says more."""
    import optuna  # noqa: PLC0415

    class _Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            progress(f"optuna: {record.getMessage()}")

    handler = _Lines(logging.WARNING)
    logger = logging.getLogger("optuna")
    optuna.logging.disable_default_handler()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _distribution(one: Range) -> "optuna.distributions.BaseDistribution":
    from optuna.distributions import (  # noqa: PLC0415
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(one, Choices):
        return CategoricalDistribution(one.values)
    if one.whole:
        return IntDistribution(int(one.low), int(one.high), log=one.log)
    return FloatDistribution(one.low, one.high, log=one.log)


def _rounded(value: Value, one: Range) -> Value:
    if isinstance(one, Choices) or one.whole:
        return value
    return min(max(float(f"{value:.{_DIGITS}g}"), one.low), one.high)


def _trial(place: int, parameters: Mapping[str, Value], outcome: Mapping[str, object]) -> Trial:
    score = outcome["score"]
    return Trial(
        place,
        parameters,
        Interval(*score) if isinstance(score, list) else None,
        None if outcome["reason"] is None else str(outcome["reason"]),
        float(str(outcome["seconds"])),
    )
