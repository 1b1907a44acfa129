"""The search for better hyperparameters of one grid entry, on an inner hold-out of train.

Which settings are tried (Tree-structured Parzen Estimator; Bergstra et al., Algorithms for
hyper-parameter optimization, NIPS 2011; by Optuna), how each is measured, and when to stop. Keeping
trials belongs in `tuning/study.py`, logging them in `resources/tuning_runs.py`.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from recsys_assets.errors import DataError, GridError
from recsys_assets.evaluation.intervals import Interval, mean_interval, paired_difference
from recsys_assets.evaluation.metrics import (
    HIT_RATE_1,
    HIT_RATE_10,
    HIT_RATE_20,
    HIT_RATE_100,
    MRR_20,
    NDCG_20,
    of_ranks,
)
from recsys_assets.evaluation.records import FROM_SCRATCH
from recsys_assets.grid import CandidateSpec
from recsys_assets.models.base import Recommender
from recsys_assets.models.kept import Kept
from recsys_assets.playlists import Catalog, Int32
from recsys_assets.progress import Progress, silent
from recsys_assets.training import (
    combine,
    data_version,
    model_code_version,
    train_and_evaluate,
)
from recsys_assets.tuning.holdout import Holdout
from recsys_assets.tuning.space import Value
from recsys_assets.tuning.study import Study, Trial, open_study

METRICS = (HIT_RATE_100, HIT_RATE_20, HIT_RATE_10, HIT_RATE_1, MRR_20, NDCG_20)
"""What a search may maximise: figures of the places of the targets."""
QUIET_SECONDS = 10.0
"""A trial that takes longer tells how far it is."""


class OpenTrial(Protocol):
    """A trial being logged."""

    def measured(self, scores: Mapping[str, Interval], seconds: float) -> None:
        """Log every metric with its interval."""

    def unusable(self, reason: str, seconds: float) -> None:
        """Log that the setting cannot be fitted."""


class TrialLog(Protocol):
    """Where trials are logged; a trial whose block raises is closed as failed."""

    def trial(
        self, place: int, parameters: Mapping[str, Value]
    ) -> AbstractContextManager[OpenTrial]:
        """Open the log of one trial."""


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes
    ----------
    trials
        All that count, in order, those of earlier calls included.
    present
        The entry's own setting.
    best
        The best one; of equal ones the earliest.
    difference
        `best` minus `present`, paired over the held-out playlists; None if `present` cannot be fitted.
        The best of many tries is flattered on the playlists that it was chosen on.
    """

    trials: tuple[Trial, ...]
    present: Trial
    best: Trial
    difference: Interval | None

    @property
    def is_better(self) -> bool:
        """Whether the best setting beats the present one."""
        return self.difference is None or self.difference.value > 0


@dataclass(frozen=True)
class Limits:
    """When to stop: after so many trials in all, or seconds of this call."""

    trials: int
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class Search:
    """A search of one entry's hyperparameters.

    Attributes
    ----------
    spec
        The entry; its `search` says what is tried.
    holdout
        The two parts of train.
    catalog
        What is known of every item.
    metric
        One of `METRICS`.
    seed
        Decides the models and the settings tried: the same seed tries the same settings.
    """

    spec: CandidateSpec
    holdout: Holdout
    catalog: Catalog
    metric: str
    seed: int

    def __post_init__(self) -> None:
        if not self.spec.search:
            raise GridError(
                f"entry {self.spec.name} has no 'search' in the candidates file: nothing to search"
            )
        if self.metric not in METRICS:
            raise ValueError(f"metric {self.metric!r} is none of {', '.join(METRICS)}")

    @property
    def name(self) -> str:
        """The study's name: equal only for trials that can be compared."""
        fixed = {
            name: value
            for name, value in self.spec.parameters.model_dump(mode="json").items()
            if name not in self.spec.search
        }
        version = combine(
            data_version(self.holdout.learn, self.holdout.judge, self.catalog),
            model_code_version(),
            {name: repr(one) for name, one in self.spec.search.items()},
            fixed,
            self.metric,
            self.seed,
        )
        return f"{self.spec.family}/{self.spec.name}/{version}"

    @property
    def present(self) -> dict[str, Value]:
        """The entry's own value of every hyperparameter that is searched."""
        return {name: getattr(self.spec.parameters, name) for name in self.spec.search}

    def run(
        self, folder: Path, limits: Limits, *, log: TrialLog, progress: Progress = silent
    ) -> Found:
        """Try settings until a limit is reached, the entry's own first, and return the best.

        Trials of an earlier call that still compare (`name`) count; the present setting is
        measured whatever the limits, since without it nothing can be said of the best.

        Parameters
        ----------
        folder
            Where studies are kept; held by the caller (`study.alone`).

        Raises
        ------
        DataError
            If none of the settings can be fitted.
        """
        kept = Kept()
        with open_study(folder, self.name, self.spec.search, progress=progress) as study:
            start = time.monotonic()
            trials = study.finished()
            before = len(trials)
            if before:
                rest = (
                    "going on from there" if before < limits.trials else "more trials would go on"
                )
                progress(f"trials of an earlier search that count: {before}; {rest}")
            while not self._is_over(trials, limits, time.monotonic() - start):
                self._next(study, trials, kept, log, progress)
                trials = study.finished()
                progress(_line(trials, limits, before, time.monotonic() - start))
            return self._found(study, trials)

    def _is_over(self, trials: list[Trial], limits: Limits, elapsed: float) -> bool:
        if all(one.parameters != self.present for one in trials):
            return False
        late = limits.seconds is not None and elapsed >= limits.seconds
        return late or len(trials) >= limits.trials

    def _next(
        self, study: Study, trials: list[Trial], kept: Kept, log: TrialLog, progress: Progress
    ) -> None:
        """Choose one setting, measure it and keep what came out."""
        if all(one.parameters != self.present for one in trials):
            study.propose(self.present)
        # A seed for each trial: a search that goes on after a kill draws as if there had been none.
        asked, parameters = study.ask(seed=self.seed + len(trials))
        place, finished = len(trials) + 1, False
        try:
            with log.trial(place, parameters) as entry:
                earlier = [one for one in trials if one.parameters == parameters]
                if earlier:  # small spaces are tried out before the trials are used up
                    outcome = replace(earlier[0], place=place, seconds=0.0)
                    ranks = study.ranks(earlier[0]) if outcome.score is not None else None
                else:
                    outcome, ranks = self._measure(place, parameters, kept, progress)
                if ranks is None:
                    entry.unusable(str(outcome.reason), outcome.seconds)
                else:
                    entry.measured(self._scores(ranks), outcome.seconds)
            study.tell(asked, outcome, ranks)
            finished = True
        finally:
            if not finished:
                study.abandon(asked)

    def _measure(
        self, place: int, parameters: Mapping[str, Value], kept: Kept, progress: Progress
    ) -> tuple[Trial, Int32 | None]:
        """Fit one setting on the one part of train and measure it on the other."""
        start = time.perf_counter()

        def take_over(model: Recommender) -> str:
            model.kept = kept
            return FROM_SCRATCH  # what is taken over is what would be made

        def late(line: str) -> None:
            if time.perf_counter() - start >= QUIET_SECONDS:
                progress(f"trial {place}: {line}")

        try:
            setting = {**self.spec.parameters.model_dump(), **parameters}
            spec = replace(self.spec, parameters=type(self.spec.parameters).model_validate(setting))
            learn, judge = self.holdout.learn, self.holdout.judge
            # As every candidate is trained and measured, so that the figures mean the same.
            ranks = train_and_evaluate(
                spec,
                learn,
                judge,
                self.catalog,
                seed=self.seed,
                progress=late,
                before_fit=take_over,
            ).evaluation.ranks
        except DataError as error:
            reason = str(error)
        except ValidationError as error:  # values that are sound alone, not together
            reason = "; ".join(str(problem["msg"]) for problem in error.errors())
        else:
            score = self._scores(ranks)[self.metric]
            return Trial(place, parameters, score, None, time.perf_counter() - start), ranks
        return Trial(place, parameters, None, reason, time.perf_counter() - start), None

    def _scores(self, ranks: Int32) -> dict[str, Interval]:
        values = of_ranks(ranks)
        return {metric: mean_interval(values[metric], seed=self.seed) for metric in METRICS}

    def _found(self, study: Study, trials: list[Trial]) -> Found:
        best = best_of(trials)
        if best is None:
            raise DataError(
                f"{self.spec.name}: none of {len(trials)} settings could be fitted; the last: "
                f"{trials[-1].reason}"
            )
        present = next(one for one in trials if one.parameters == self.present)
        difference = None
        if present.score is not None:
            ours, theirs = (of_ranks(study.ranks(one))[self.metric] for one in (best, present))
            difference = paired_difference(ours, theirs, seed=self.seed)
        return Found(tuple(trials), present, best, difference)


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """Return the trial with the highest score, of equal ones the earliest; None without any."""
    measured = [one for one in trials if one.score is not None]
    return max(measured, key=lambda one: one.score.value if one.score else 0.0, default=None)


def _line(trials: Sequence[Trial], limits: Limits, before: int, elapsed: float) -> str:
    """Return the progress after the last of `trials`."""
    last, best = trials[-1], best_of(trials)
    left = elapsed / (len(trials) - before) * max(limits.trials - len(trials), 0)
    if limits.seconds is not None:
        left = min(left, max(limits.seconds - elapsed, 0.0))
    said = f"cannot be fitted: {last.reason}" if last.score is None else percent(last.score)
    good = "" if best is None else f"; best {percent(best.score, False)} (trial {best.place})"
    return (
        f"trial {last.place} of {limits.trials}: {said}, {last.seconds:.1f} s{good}; "
        f"{left:.0f} s left"
    )


def percent(score: Interval | None, bounds: bool = True) -> str:
    """Return a score in percent, with its interval if wanted, for people."""
    if score is None:
        return "cannot be fitted"
    value, low, high = (100 * part for part in score)
    return f"{value:.1f} % ({low:.1f} to {high:.1f})" if bounds else f"{value:.1f} %"
