"""Launching a hyperparameter search from the command line: data, trials, the entry written back.

Chooses entries and files, reads the training table, and tells what was found. Nothing here reads
validation or test. How settings are tried belongs in `tuning/`; preparing data in `launch.py`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from recsys_assets import columns as c
from recsys_assets.assets.candidates import CATALOG_COLUMNS, SEQUENCE_COLUMNS
from recsys_assets.automation.launch import prepare
from recsys_assets.definitions import build_tracking
from recsys_assets.errors import ExtraError, GridError, SettingsError
from recsys_assets.grid import CandidateSpec, asked_grid, left_out, load_grid
from recsys_assets.models.registry import FAMILIES
from recsys_assets.playlists import Catalog, PlaylistSet
from recsys_assets.preparation.catalog import tracks_as_catalog
from recsys_assets.preparation.sequences import track_playlists
from recsys_assets.preparation.split import SplitRule
from recsys_assets.progress import Progress
from recsys_assets.resources.database import open_database
from recsys_assets.resources.tracking import Dataset
from recsys_assets.resources.tuning_runs import search_run
from recsys_assets.settings import Settings
from recsys_assets.tuning.holdout import hold_out, renumbered
from recsys_assets.tuning.search import METRICS, Found, Limits, Search, percent
from recsys_assets.tuning.space import SEARCH, Value
from recsys_assets.tuning.study import alone
from recsys_assets.tuning.write_back import packaged_source, write_entry
from recsys_assets.wording import choices

TUNING_FOLDER = "tuning"
OWN_GRID = "candidates.yaml"


def tune(
    settings: Settings,
    family: str,
    *,
    entry: str | None = None,
    metric: str,
    limits: Limits,
    progress: Progress,
) -> None:
    """Search the hyperparameters of a family's entries and write the best back.

    Parameters
    ----------
    family, entry
        Which entries of the grid: those of the family that have a `search`, or just the one named.
    metric
        One of `tuning.search.METRICS`, to be maximised on the inner hold-out.
    limits
        For each entry.

    Raises
    ------
    SettingsError, GridError
        If metric, family, entry or the candidates file cannot be used.
    ExtraError
        If the family needs a library that is not installed.
    RefreshError
        If the data cannot be prepared.
    StorageError
        If another search works in this home folder.
    """
    if metric not in METRICS:
        raise SettingsError(f"metric {metric!r} is not searched for; {choices(metric, METRICS)}")
    specs = chosen_entries(settings, family, entry)
    for line in left_out(specs):
        raise ExtraError(line)
    with alone(settings.home / TUNING_FOLDER):
        prepare(settings, progress=progress)
        train, catalog = training_data(settings)
        holdout = hold_out(train, seed=settings.seed, newest=settings.split == "temporal")
        holdout, catalog = renumbered(holdout, catalog, seed=settings.seed)
        progress(
            f"{len(train):,} training playlists: settings are fitted on {len(holdout.learn):,} and "
            f"measured by {metric} on {len(holdout.judge):,}"
        )
        for spec in specs:
            progress(f"{spec.name}: {', '.join(f'{k} {v}' for k, v in spec.search.items())}")
            search = Search(spec, holdout, catalog, metric, settings.seed)
            found = _searched(settings, search, limits, progress=progress)
            for line in _report(search, found):
                progress(line)
            if found.is_better:
                write_back(settings, spec.name, found.best.parameters, progress=progress)


def chosen_entries(settings: Settings, family: str, entry: str | None) -> tuple[CandidateSpec, ...]:
    """Return the entries of the grid to search, at least one.

    Raises
    ------
    GridError
        If there are none, saying what there is.
    """
    if family not in FAMILIES:
        raise GridError(f"no family {family!r}; {choices(family, FAMILIES)}")
    own = own_grid(settings)
    grid = load_grid(own) if own.exists() else asked_grid(None, settings.grid)
    where = own if own.exists() else f"the {settings.grid} grid"
    specs = [spec for spec in grid if spec.family == family]
    if not specs:
        names = dict.fromkeys(spec.family for spec in grid)
        raise GridError(f"{where}: no entry of family {family}; {choices(family, names)}")
    if entry is not None:
        named = [spec for spec in specs if spec.name == entry]
        if not named:
            names = dict.fromkeys(spec.name for spec in specs)
            raise GridError(
                f"{where}: no entry {entry!r} of family {family}; {choices(entry, names)}"
            )
        specs = named
    found = tuple(spec for spec in specs if spec.search)
    if not found:
        raise GridError(
            f"{where}: {', '.join(spec.name for spec in specs)}: no field '{SEARCH}', so there is "
            f"nothing to search; give it ranges, such as {SEARCH}: {{window: {{low: 5, high: 100}}}}"
        )
    return found


def training_data(settings: Settings) -> tuple[PlaylistSet, Catalog]:
    """Read the training playlists and the catalogue, the only tables that a search sees.

    A temporal split's playlists come in order of time, oldest first.
    """
    rule = SplitRule.of(settings)
    time = f"{rule.order_key}, " if rule.kind == "temporal" else ""
    with open_database(str(settings.database), read_only=True) as connection:
        train, catalog = (
            connection.execute(
                f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}"
            ).to_arrow_table()
            for table, columns, order in (
                (c.TRAIN_PLAYLISTS, SEQUENCE_COLUMNS, f"{time}{c.PLAYLIST_ID}"),
                (c.TRACK_CATALOG, CATALOG_COLUMNS, c.TRACK_INDEX),
            )
        )
    return track_playlists(train), tracks_as_catalog(catalog)


def write_back(
    settings: Settings, name: str, values: Mapping[str, Value], *, progress: Progress
) -> Path:
    """Write an entry's new hyperparameters into the user's candidates file, and return the file.

    Without one, the shipped grid is copied into the home folder first: a package's own files are
    not the user's to edit, and an update would lose the changes.
    """
    own = own_grid(settings)
    source, extra = (own, "") if own.exists() else packaged_source(settings.grid)
    write_entry(source, own, name, values, extra=extra)
    hint = "" if settings.candidates == own else "; set RECSYS_CANDIDATES to it to train it"
    progress(f"{name}: written to {own}{hint}")
    return own


def own_grid(settings: Settings) -> Path:
    """Return the user's candidates file, or where a search writes a copy of the shipped grid."""
    return settings.candidates or settings.home / OWN_GRID


def _searched(settings: Settings, search: Search, limits: Limits, *, progress: Progress) -> Found:
    """Run a search, logged to MLflow."""
    parts = {"learned from": search.holdout.learn, "measured on": search.holdout.judge}
    with search_run(
        build_tracking(settings),
        search.name,
        search.spec,
        parameters={"metric": search.metric, "seed": search.seed},
        datasets=tuple(
            Dataset(c.TRAIN_PLAYLISTS, part.fingerprint(), str(settings.database), context)
            for context, part in parts.items()
        ),
    ) as runs:
        found = search.run(settings.home / TUNING_FOLDER, limits, log=runs, progress=progress)
        scores = {"best": found.best.score, "present": found.present.score}
        runs.log(
            {f"{name}_{search.metric}": score.value for name, score in scores.items() if score}
        )
    return found


def _report(search: Search, found: Found) -> Iterator[str]:
    """Return what a search found, for people."""
    name, best, present = search.spec.name, found.best, found.present
    yield f"{name}: present setting {percent(present.score)}, {search.metric} on the inner hold-out"
    if not found.is_better:
        yield f"{name}: none of {len(found.trials)} trials is better; nothing is written"
        return
    yield f"{name}: best of {len(found.trials)} trials {percent(best.score)}, trial {best.place}"
    if found.difference is not None:
        gain, low, high = (100 * part for part in found.difference)
        sure = "" if low > 0 else "; not significant"
        yield f"{name}: {gain:+.1f} points ({low:+.1f} to {high:+.1f}, paired{sure})"
    for field, value in best.parameters.items():
        if value != present.parameters[field]:
            yield f"{name}: {field} {present.parameters[field]} -> {value}"
    yield (
        f"{name}: the best of many is flattered where it was chosen; validation tells "
        "(`make run`, `make leaderboard`)"
    )
