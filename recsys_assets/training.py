"""Training and measuring one candidate: what `candidates/<name>` and `best_model` have in common.

Fits a model, runs the evaluation protocol and says what decided the result (fingerprints). Storing,
logging and promoting belong to the assets; the protocol itself to `evaluation/`.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from recsys_assets.code_version import code_version, library_versions
from recsys_assets.evaluation.protocol import Evaluation, evaluate
from recsys_assets.evaluation.ranking import evaluate_ranking
from recsys_assets.evaluation.records import FROM_SCRATCH
from recsys_assets.grid import CandidateSpec
from recsys_assets.memory import check_fits
from recsys_assets.models.base import Recommender
from recsys_assets.models.registry import build
from recsys_assets.models.tiers import Tiered
from recsys_assets.playlists import Catalog, Float64, PlaylistSet
from recsys_assets.progress import Progress
from recsys_assets.serving.bundle import Bundle

MODEL_CODE = ("models", "evaluation", "playlists.py", "training.py", "warm_start.py", "serving")


def model_code_version() -> str:
    """Return the hash of all code that decides what a model learns and how it is measured.

    Ours, and by their versions the libraries that fit.
    """
    return combine(code_version(*MODEL_CODE), library_versions())


def combine(*parts: object) -> str:
    """Return sixteen hex digits of a hash of JSON-serialisable parts."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def data_version(train: PlaylistSet, held_out: PlaylistSet, catalog: Catalog) -> str:
    """Return a hash of the content that a candidate was trained and measured on."""
    return combine(train.fingerprint(), held_out.fingerprint(), catalog.fingerprint())


def candidate_fingerprint(
    spec: CandidateSpec, *, version: str, seed: int, begun: str = FROM_SCRATCH
) -> str:
    """Return a hash of everything that decides a candidate's result.

    `begun` is how training began (`Trained.begun`): why it did from scratch makes no difference.
    """
    parameters: Mapping[str, object] = spec.parameters.model_dump(mode="json")
    earlier = [] if begun.startswith(FROM_SCRATCH) else [begun]
    return combine(spec.family, parameters, version, seed, model_code_version(), *earlier)


@dataclass(frozen=True, eq=False)
class Trained:
    """A fitted model with its answer tiers, how it began, and its measurement on held-out playlists."""

    model: Tiered
    evaluation: Evaluation
    fit_seconds: float
    evaluate_seconds: float
    begun: str


def train_and_evaluate(
    spec: CandidateSpec,
    train: PlaylistSet,
    held_out: PlaylistSet,
    catalog: Catalog,
    *,
    seed: int,
    progress: Progress,
    memory: int | None = None,
    before_fit: Callable[[Recommender], str] | None = None,
) -> Trained:
    """Fit one candidate on `train` and measure it on `held_out`.

    `memory` is the budget in bytes, None for no limit: what would need more is refused beforehand.
    `before_fit` gets the model that is about to be fitted, and says how it begins.

    Raises
    ------
    DataError
        If either set is empty, or holds too little for the family, or the budget is too small.
    """
    model = build(spec.family, spec.parameters.model_dump())
    if memory is not None:
        check_fits(spec.name, Tiered.memory_needed(model, train, len(catalog)), memory)
    begun = FROM_SCRATCH if before_fit is None else before_fit(model)
    size = f"{len(train):,} playlists, {len(train.items):,} tracks"
    progress(f"{spec.name}: fitting on {size}, {begun}")
    start = time.perf_counter()
    tiered = Tiered.fit(model, train, catalog, seed=seed, progress=progress)
    fitted = time.perf_counter()
    progress(f"{spec.name}: fitted in {fitted - start:.1f} s; ranking {len(held_out):,} playlists")
    evaluation = evaluate(tiered, held_out, catalog, train, seed=seed, progress=progress)
    finished = time.perf_counter()
    return Trained(tiered, evaluation, fitted - start, finished - fitted, begun)


def hits_of_bundle(
    bundle: Bundle, playlists: PlaylistSet, catalog: Catalog, *, progress: Progress
) -> Float64:
    """Return another model's hits @100 on these playlists, by the same protocol.

    Parameters
    ----------
    bundle
        A model with a catalogue of its own, for example the registered champion.
    playlists
        Held-out playlists with indices of `catalog`; ids that the bundle lacks are unknown to it,
        and a target among them is a miss.

    Returns
    -------
    float64[n] of 0 and 1
    """
    translation = bundle.encode(catalog.ids.to_pylist())
    queries, targets = playlists.leave_last_out()
    translated = PlaylistSet(queries.offsets, translation[queries.items], queries.titles)
    ranked = evaluate_ranking(bundle.model, translated, translation[targets], progress=progress)
    return (ranked.target_ranks > 0).astype(np.float64)
