"""The search: what is tried and kept, what a kill costs, and what is held out of train."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import DataError, GridError, StorageError
from recsys_assets.evaluation.intervals import Interval
from recsys_assets.evaluation.metrics import MRR_20
from recsys_assets.grid import CandidateSpec
from recsys_assets.models.cooccurrence import Cooccurrence, CooccurrenceParameters
from recsys_assets.models.members import Member
from recsys_assets.models.ppmi_svd import PpmiSvdParameters
from recsys_assets.models.two_stage import TwoStageParameters
from recsys_assets.playlists import Catalog, PlaylistSet
from recsys_assets.progress import silent
from recsys_assets.training import train_and_evaluate
from recsys_assets.tuning.holdout import MOST_HELD_OUT, hold_out, renumbered
from recsys_assets.tuning.search import Found, Limits, Search, best_of
from recsys_assets.tuning.space import Choices, Span, Value
from recsys_assets.tuning.study import STUDIES_FILE, Trial, alone
from recsys_assets_tests.models.blocks import block_catalog, block_playlists

SPACE = {
    "window": Span(1, 7, whole=True),
    "distance_exponent": Span(0.0, 1.5, whole=False),
    "recency_exponent": Span(0.001, 2.0, whole=False, log=True),
}
SPEC = CandidateSpec("near", "cooccurrence", CooccurrenceParameters(window=1), SPACE)
UNUSABLE = CandidateSpec(
    "svd",
    "ppmi_svd",
    PpmiSvdParameters(factors=4, min_playlists=1),
    {"min_playlists": Choices((1, 100_000))},
)


class Log:
    """A log in memory, which may raise when a trial of that place begins."""

    def __init__(self, stop_at: int = 0) -> None:
        self.lines: list[tuple[int, dict[str, Value], str]] = []
        self._stop_at = stop_at

    @contextmanager
    def trial(self, place: int, parameters: Mapping[str, Value]) -> Iterator["Log"]:
        self._current = (place, dict(parameters))
        yield self
        if place == self._stop_at:
            raise KeyboardInterrupt

    def measured(self, scores: Mapping[str, Interval], seconds: float) -> None:
        self.lines.append((*self._current, f"{scores[MRR_20].value}"))

    def unusable(self, reason: str, seconds: float) -> None:
        self.lines.append((*self._current, reason))


def search(spec: CandidateSpec = SPEC, *, seed: int = 3) -> Search:
    """Return a search on block playlists, by a metric that tiny data does not drive to 1."""
    return Search(spec, hold_out(block_playlists(), seed=seed), block_catalog(), MRR_20, seed)


def run(folder: Path, trials: int, one: Search | None = None, log: Log | None = None) -> Found:
    """Run a search up to so many trials."""
    return (one or search()).run(folder, Limits(trials), log=log or Log())


def tried(found: Found) -> list[tuple[int, Mapping[str, Value], Interval | None]]:
    """Return what must be the same again: everything but seconds."""
    return [(one.place, one.parameters, one.score) for one in found.trials]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Twelve trials in one go: ten at random, two by the sampler's model."""
    return run(tmp_path_factory.mktemp("undisturbed"), 12)


def test_trials_are_sound(undisturbed: Found) -> None:
    """Prevents settings outside their ranges, a search that starts elsewhere, and a wrong best."""
    assert undisturbed.trials[0].parameters == search().present
    assert undisturbed.present == undisturbed.trials[0]
    for trial in undisturbed.trials:
        assert trial.score is not None
        assert all(value in SPACE[name] for name, value in trial.parameters.items())
        assert all(float(f"{value:.4g}") == value for value in trial.parameters.values())
        assert isinstance(trial.parameters["window"], int)
    scores = [one.score.value for one in undisturbed.trials if one.score]
    assert undisturbed.best.place == 1 + int(np.argmax(scores))
    assert undisturbed.difference is not None
    assert undisturbed.difference.value == pytest.approx(max(scores) - scores[0])
    assert undisturbed.is_better
    assert len({tuple(one.parameters.values()) for one in undisturbed.trials}) == 12


def test_score_is_that_of_a_candidate(undisturbed: Found) -> None:
    """Prevents a trial measured otherwise than candidates are, or fitted on what it is measured on."""
    one, best = search(), undisturbed.best
    spec = replace(SPEC, parameters=SPEC.parameters.model_copy(update=dict(best.parameters)))
    learn, judge = one.holdout.learn, one.holdout.judge
    trained = train_and_evaluate(spec, learn, judge, one.catalog, seed=one.seed, progress=silent)
    expected = next(
        m for m in trained.evaluation.measurements if m.metric == MRR_20 and m.slice == "all"
    )
    assert best.score == Interval(expected.value, expected.low, expected.high)


def test_trials_share_what_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a search of the trees that fits the members in every trial, or scores others' trees."""
    fits: list[str] = []
    fit = Cooccurrence._fit

    def counted(self: Cooccurrence, *arguments: object, **options: object) -> None:
        fits.append(self.family)
        fit(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Cooccurrence, "_fit", counted)
    parameters = TwoStageParameters(
        members=[Member(family="cooccurrence")], per_member=20, folds=2, leaf_rows=5, rounds=5
    )
    spec = CandidateSpec("trees", "two_stage", parameters, {"leaves": Span(2, 40, whole=True)})
    one = search(spec)
    found = run(tmp_path, 3, one)
    assert len(fits) == 3  # two folds and all of it, for three trials
    for trial in found.trials:
        again = replace(spec, parameters=parameters.model_copy(update=dict(trial.parameters)))
        learn, judge = one.holdout.learn, one.holdout.judge
        ranks = train_and_evaluate(
            again, learn, judge, one.catalog, seed=one.seed, progress=silent
        ).evaluation.ranks
        assert trial.score == one._scores(ranks)[MRR_20]


def test_same_seed_same_trials(tmp_path: Path, undisturbed: Found) -> None:
    """Prevents a search that cannot be repeated, and a seed that changes nothing."""
    assert tried(run(tmp_path / "again", 4)) == tried(undisturbed)[:4]
    other = run(tmp_path / "other", 4, search(seed=4))
    assert tried(other)[1:] != tried(undisturbed)[1:4]


def test_a_search_goes_on(tmp_path: Path, undisturbed: Found) -> None:
    """Prevents finished trials from being done again or forgotten, and a changed course."""
    log = Log()
    run(tmp_path, 3, log=log)
    run(tmp_path, 3, log=log)
    found = run(tmp_path, 12, log=log)
    assert [place for place, _, _ in log.lines] == list(range(1, 13))
    assert tried(found) == tried(undisturbed)


def test_interrupted_trial_counts_for_nothing(tmp_path: Path, undisturbed: Found) -> None:
    """Prevents an interrupt from using up a trial, or from changing the ones after it."""
    for place in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, 4, log=Log(stop_at=place))
    assert tried(run(tmp_path, 4)) == tried(undisturbed)[:4]


def test_long_trials_tell_how_far_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents minutes of silence, and the lines of every model where trials take a second."""
    lines: list[str] = []
    search().run(tmp_path, Limits(1), log=Log(), progress=lines.append)
    assert len(lines) == 1
    monkeypatch.setattr("recsys_assets.tuning.search.QUIET_SECONDS", 0.0)
    search().run(tmp_path, Limits(2), log=Log(), progress=lines.append)
    assert any(line.startswith("trial 2: near: fitted in") for line in lines)


KILLED = """
import os, signal, sys
from pathlib import Path
from recsys_assets_tests.tuning.test_search import Log, run
class Killed(Log):
    def measured(self, scores, seconds):
        if self._current[0] == 3:
            os.kill(os.getpid(), signal.SIGKILL)
run(Path(sys.argv[1]), 12, log=Killed())
"""


def test_killed_search_goes_on(tmp_path: Path, undisturbed: Found) -> None:
    """Prevents a kill from costing more than the running trial, or from changing the course."""
    root = Path(__file__).parent.parent.parent
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], cwd=root, env=dict(os.environ), check=False
    )
    assert killed.returncode == -signal.SIGKILL
    log = Log()
    assert tried(run(tmp_path, 12, log=log)) == tried(undisturbed)
    assert [place for place, _, _ in log.lines] == list(range(3, 13))
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path / STUDIES_FILE}")
    states = Counter(one.state.name for one in study.get_trials())
    assert states == {"COMPLETE": 12, "FAIL": 1}


def test_stale_trials_are_not_mixed_in(tmp_path: Path) -> None:
    """Prevents trials of other data, seeds, metrics, ranges or fixed values from being compared."""
    one = search()
    others = [
        Search(SPEC, one.holdout, one.catalog, MRR_20, 4),
        Search(SPEC, hold_out(block_playlists(seed=6), seed=3), one.catalog, MRR_20, 3),
        Search(SPEC, one.holdout, one.catalog, "hit_rate_1", 3),
        search(
            CandidateSpec("near", "cooccurrence", SPEC.parameters, {"window": Span(1, 8, True)})
        ),
        search(
            CandidateSpec(
                "near", "cooccurrence", CooccurrenceParameters(window=1, two_hop=1), SPACE
            )
        ),
    ]
    assert len({one.name, *(other.name for other in others)}) == len(others) + 1
    lines: list[str] = []
    for each in (one, others[0], one):
        each.run(tmp_path, Limits(1), log=Log(), progress=lines.append)
    begins, goes_on = "this one begins anew", "trials of an earlier search that count: 1"
    assert [begins in line for line in lines].index(True) == 1
    assert sum(begins in line for line in lines) == 1
    assert goes_on in lines[-1]
    # What a search wrote back is where it goes on, not another search.
    better = CandidateSpec("near", "cooccurrence", CooccurrenceParameters(window=5), SPACE)
    assert search(better).name == one.name


def test_present_setting_is_measured_whatever_the_limits(tmp_path: Path) -> None:
    """Prevents a best that is compared with a setting which the user has replaced since."""
    run(tmp_path, 3)
    edited = search(CandidateSpec("near", "cooccurrence", CooccurrenceParameters(window=5), SPACE))
    found = edited.run(tmp_path, Limits(3, seconds=0.0), log=Log())
    assert len(found.trials) == 4
    assert found.present.parameters["window"] == 5


def test_time_limit(tmp_path: Path) -> None:
    """Prevents a search that runs on after its minutes."""
    found = search().run(tmp_path, Limits(50, seconds=0.0), log=Log())
    assert [one.parameters for one in found.trials] == [search().present]
    assert not found.is_better


def test_settings_that_cannot_be_fitted(tmp_path: Path) -> None:
    """Prevents a swallowed failure, one that ends the search, and small spaces fitted again."""
    log, lines = Log(), []
    found = search(UNUSABLE).run(tmp_path, Limits(8), log=log, progress=lines.append)
    bad = [one for one in found.trials if one.score is None]
    assert bad
    assert len(bad) < 8
    assert all("min_playlists = 100000" in str(one.reason) for one in bad)
    assert found.best == found.present
    assert sum("cannot be fitted: ppmi_svd: expected tracks" in line for line in lines) == len(bad)
    assert sum("expected tracks" in text for _, _, text in log.lines) == len(bad)
    fitted = [one.parameters["min_playlists"] for one in found.trials if one.seconds > 0]
    assert sorted(map(str, fitted)) == ["1", "100000"]


def test_present_setting_that_cannot_be_fitted(tmp_path: Path) -> None:
    """Prevents a search that has nothing to say where the setting to be replaced does not work."""
    parameters = PpmiSvdParameters(factors=4, min_playlists=100_000)
    spec = CandidateSpec("svd", "ppmi_svd", parameters, UNUSABLE.search)
    with pytest.raises(DataError, match=r"svd: none of 1 settings could be fitted; the last: ppmi"):
        run(tmp_path, 1, search(spec))
    found = run(tmp_path, 8, search(spec))
    assert found.is_better
    assert found.difference is None
    assert found.best.parameters == {"min_playlists": 1}


def test_one_search_at_a_time(tmp_path: Path) -> None:
    """Prevents a second process from taking the first one's running trial for a killed one."""
    with (
        alone(tmp_path),
        pytest.raises(StorageError, match=f"another search works there .process {os.getpid()}"),
        alone(tmp_path),
    ):
        pass


def test_nothing_to_search() -> None:
    """Prevents a search without ranges from pretending to have looked."""
    with pytest.raises(GridError, match="entry near has no 'search'"):
        search(CandidateSpec("near", "cooccurrence", CooccurrenceParameters()))


def test_best_of_equal_trials_is_the_first() -> None:
    """Prevents a present setting from being replaced by one that is not better."""
    score = Interval(0.5, 0.4, 0.6)
    trials = [Trial(place, {}, score, None, 0.0) for place in (1, 2)]
    assert best_of(trials) == trials[0]
    assert best_of([]) is None


# --- the inner hold-out ---------------------------------------------------------------------------
@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(0, 5), st.booleans())
def test_parts_of_train(lengths: list[int], seed: int, newest: bool) -> None:
    """Prevents a playlist in both parts or in none, and queries without a track."""
    train = PlaylistSet.from_lists([[row] * length for row, length in enumerate(lengths)])
    usable = sum(length >= 2 for length in lengths)
    if usable < 5:
        with pytest.raises(DataError, match=f"at least 5 training playlists.*found {usable};"):
            hold_out(train, seed=seed, newest=newest)
        return
    parts = hold_out(train, seed=seed, newest=newest)
    again = hold_out(train, seed=seed, newest=newest)
    assert parts.judge.fingerprint() == again.judge.fingerprint()
    assert len(parts.judge) == usable // 5
    assert parts.judge.lengths.min() >= 2
    assert len(parts.learn) + len(parts.judge) == len(train)
    learned, judged = set(parts.learn.items.tolist()), set(parts.judge.items.tolist())
    assert not learned & judged
    assert learned | judged == {row for row, length in enumerate(lengths) if length}
    if newest:
        longer = [row for row, length in enumerate(lengths) if length >= 2]
        assert judged == set(longer[-(usable // 5) :])


def test_hold_out_is_bounded() -> None:
    """Prevents trials of the full-size data from spending their time on a needless precision."""
    train = PlaylistSet.from_lists([[1, 2]] * (MOST_HELD_OUT * 6))
    assert len(hold_out(train, seed=1).judge) == MOST_HELD_OUT


def test_items_are_numbered_without_the_judged() -> None:
    """Prevents ties from falling by what the judged playlists hold."""
    train = PlaylistSet.from_lists([[3, 0], [3, 1], [3, 2], [3, 1], [3, 2], [4, 5]] * 5)
    holdout = hold_out(train, seed=2)
    parts, catalog = renumbered(holdout, Catalog.anonymous(6), seed=2)
    held = np.bincount(parts.learn.items, minlength=6)
    assert (np.diff(held) <= 0).all()
    for before, after in ((holdout.learn, parts.learn), (holdout.judge, parts.judge)):
        assert catalog.ids.take(pa.array(after.items)).to_pylist() == [
            str(item) for item in before.items
        ]
