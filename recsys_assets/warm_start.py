"""Warm start: from which earlier model a candidate may go on, and what is kept for the next.

A refresh with a little more data need not train from nothing where the family can go on from its own
vectors (`Word2Vec.start_from`). Here: is the earlier model of the same setting, has it seen nothing
that is now held out, is the data nearly the same. Training is in `training.py`, files of models in
`models/`. The registered model is never warm: `best_model` always fits from scratch.
"""

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys_assets.evaluation.records import FROM_SCRATCH
from recsys_assets.files import write_json
from recsys_assets.models.base import ARRAYS_FILE, META_FILE, Recommender
from recsys_assets.models.registry import load_recommender
from recsys_assets.models.word2vec import Word2Vec
from recsys_assets.playlists import MISSING, Catalog, Int32, PlaylistSet

FOLDER = "warm_start"
"""In a candidate's folder: what the next training may go on from (`NEXT`), and what this one did."""
NEXT, BEFORE = "next", "before"
ORIGIN_FILE, TRACKS_FILE, PLAYLISTS_FILE = "origin.json", "tracks.parquet", "playlists.parquet"
MODEL_FILES = (META_FILE, ARRAYS_FILE)
KEPT_FILES = (*MODEL_FILES, ORIGIN_FILE, TRACKS_FILE, PLAYLISTS_FILE)

MOST_GROWTH = 1.1
"""With more plays than so many times the earlier ones, training starts from scratch."""
LEAST_KEPT = 0.98
"""The share of all playlists that the earlier model has seen that has to be there still."""
MOST_GENERATIONS = 10
"""Then one training from scratch, lest small losses add up."""
EPOCHS_SHARE = 1 / 6
"""Of the hyperparameter's epochs, rounded up.

Word2vec (CBOW) on 4,938 playlists, 690 of train held out, the earlier model without 1 % of the rest:
with 5 of 30 epochs a hit rate @100 of 6.7, 7.0 and 7.1 % (three seeds), from scratch 6.8, 7.1 and
6.8 %, with 3 epochs 6.4, 6.8 and 7.0 %.
"""


@dataclass(frozen=True)
class Origin:
    """How a model came about.

    Attributes
    ----------
    setting
        Hash of family, hyperparameters, seed and code.
    data
        Hash of what it was trained and measured on.
    plays
        Number of training plays.
    generation
        Warm starts since the last training from scratch.
    """

    setting: str
    data: str
    plays: int
    generation: int


@dataclass(frozen=True, eq=False)
class Training:
    """What a candidate is about to be trained on."""

    setting: str
    data: str
    train: PlaylistSet
    train_ids: pa.ChunkedArray
    held_out_ids: pa.ChunkedArray
    catalog: Catalog


class WarmStart:
    """The warm start of one training: before fitting `begin`, after it `keep`.

    Parameters
    ----------
    candidate
        The candidate's folder as the last training left it; may be missing.
    aside
        The folder that will replace it. It gets what training goes on from as well: when the same
        data is trained again, after a kill or by hand, it begins at the same place and ends in the
        same bits.
    """

    def __init__(self, candidate: Path, aside: Path, training: Training) -> None:
        self._kept, self._aside, self._training = candidate / FOLDER, aside / FOLDER, training
        self._generation = 0

    def begin(self, model: Recommender) -> str:
        """Let the next `fit` go on from the earlier model where that is sound; return what is done."""
        if not _can_go_on(model):
            return FROM_SCRATCH
        assert isinstance(model, Word2Vec)
        training, earlier = self._training, self._kept / NEXT
        if earlier.is_dir() and _origin(earlier).data == training.data:
            earlier = self._kept / BEFORE
        if not earlier.is_dir():
            return f"{FROM_SCRATCH}: no earlier model is kept"
        origin = _origin(earlier)
        refused = _why_not(origin, earlier, training)
        if refused is not None:
            return f"{FROM_SCRATCH}: {refused}"
        _link(earlier, self._aside / BEFORE, KEPT_FILES)
        previous = load_recommender(earlier)
        assert isinstance(previous, Word2Vec)
        all_epochs = model.parameters.epochs
        epochs = math.ceil(all_epochs * EPOCHS_SHARE)
        model.start_from(previous, _translation(earlier, previous, training.catalog), epochs=epochs)
        self._generation = origin.generation + 1
        return f"going on from a model of {origin.plays:,} plays, {epochs} of {all_epochs} epochs"

    def keep(self, model: Recommender, files: Path) -> None:
        """Store what the next training may go on from.

        Parameters
        ----------
        model
            Fitted.
        files
            Where its own files are, in the folder `aside`.
        """
        if not _can_go_on(model):
            return
        training, folder = self._training, self._aside / NEXT
        _link(files, folder, MODEL_FILES)
        known = np.flatnonzero(model.known_items())
        tracks = training.catalog.ids.take(pa.array(known))
        pq.write_table(pa.table({"index": known, "track": tracks}), folder / TRACKS_FILE)
        playlists = pc.cast(training.train_ids, pa.string())
        if self._generation:  # it knows what the earlier model has seen, also what is gone since
            seen = pq.read_table(self._aside / BEFORE / PLAYLISTS_FILE)["playlist"]
            playlists = pc.unique(pa.chunked_array([*seen.chunks, *playlists.chunks]))
        pq.write_table(pa.table({"playlist": playlists}), folder / PLAYLISTS_FILE)
        plays = len(training.train.items)
        origin = Origin(training.setting, training.data, plays, self._generation)
        write_json(folder / ORIGIN_FILE, asdict(origin))


def _can_go_on(model: Recommender) -> bool:
    return isinstance(model, Word2Vec) and model.parameters.engine == "compiled"


def _why_not(origin: Origin, earlier: Path, training: Training) -> str | None:
    """Return why training cannot go on from an earlier model, or None."""
    if origin.setting != training.setting:
        return "the hyperparameters, the seed or the code are others"
    if origin.generation >= MOST_GENERATIONS:
        return f"{origin.generation} trainings went on from one another"
    plays = len(training.train.items)
    if not origin.plays <= plays <= MOST_GROWTH * origin.plays:
        return f"{plays:,} plays against {origin.plays:,} before"
    seen = pq.read_table(earlier / PLAYLISTS_FILE)["playlist"]
    leaked = _common(seen, training.held_out_ids)
    if leaked:
        return f"the earlier model was trained on {leaked:,} playlists that are held out now"
    kept = _common(seen, training.train_ids)
    if kept < LEAST_KEPT * len(seen):
        return f"of {len(seen):,} playlists before, {kept:,} are left"
    return None


def _common(seen: pa.ChunkedArray, ids: pa.ChunkedArray) -> int:
    found: int = pc.sum(pc.is_in(pc.cast(ids, pa.string()), value_set=seen)).as_py() or 0
    return found


def _translation(earlier: Path, previous: Word2Vec, catalog: Catalog) -> Int32:
    """Return int32[previous.size]: each item's index in `catalog`, MISSING where it has none."""
    stored = pq.read_table(earlier / TRACKS_FILE)
    now = pc.index_in(stored["track"], value_set=catalog.ids)
    translation = np.full(previous.size, MISSING, np.int32)
    translation[stored["index"].to_numpy()] = pc.fill_null(now, MISSING).to_numpy()
    return translation


def _origin(folder: Path) -> Origin:
    return Origin(**json.loads((folder / ORIGIN_FILE).read_text()))


def _link(source: Path, target: Path, names: Sequence[str]) -> None:
    """Make `target` a folder of the same files: files of models are replaced, never changed."""
    target.mkdir(parents=True)
    for name in names:
        try:
            (target / name).hardlink_to(source / name)
        except OSError:  # not every file system has hard links (SMB, object stores as folders)
            shutil.copyfile(source / name, target / name)
