"""Answer tiers: no query is left without an answer, and it is told what the answer is made of.

A model answers where it has something to say; elsewhere popular tracks of the query's artists, then
tracks of playlists with similar titles, then popular tracks do. Evaluation, serving and the registry
use models in this wrapper; what the tiers themselves do is in `artist_tracks.py` and `title.py`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recsys_assets.models.artist_tracks import ArtistTracks
from recsys_assets.models.base import (
    ARTIST,
    POPULARITY,
    TITLE,
    TRACK,
    Hyperparameters,
    Recommender,
)
from recsys_assets.models.members import Ensemble
from recsys_assets.models.registry import load_recommender
from recsys_assets.models.title import Title
from recsys_assets.models.topk import Search, complete_with_popular, top_k_dense
from recsys_assets.playlists import MISSING, Bool, Catalog, Float32, Int8, Int32, PlaylistSet
from recsys_assets.progress import Progress, silent

TIERS = ("track", "artist", "title", "popularity")
"""Names of the tiers; an `Answer` holds indices of this tuple."""


class Answer(NamedTuple):
    """What a block of n queries is answered.

    Attributes
    ----------
    items, scores
        int32[n, k] and float32[n, k], as of `Recommender.recommend`.
    tiers
        int8[n]: index into `TIERS` of what the answer is made of. A row that its tier cannot fill is
        completed with popular items and stays that tier's.
    """

    items: Int32
    scores: Float32
    tiers: Int8


class Tiered:
    """A fitted model, and who answers where it has nothing to say.

    It offers what evaluation, serving and similarity use of a `Recommender`.

    The tiers start at the best that the model itself answers from and only go down: popularity
    stays popularity, and a family of titles does not turn to artists, so that the leaderboard
    compares what it names. What a model ranks for a query of which it knows no track is no answer
    from tracks, so those who stand in go first.

    Parameters
    ----------
    model
        Fitted.
    stand_ins
        Fitted recommenders by the tier they answer for, `ARTIST` or `TITLE`.
    """

    def __init__(self, model: Recommender, stand_ins: Mapping[int, Recommender]) -> None:
        self.model = model
        self.stand_ins = dict(sorted(stand_ins.items()))
        self.popular = model.popular

    @classmethod
    def fit(
        cls,
        model: Recommender,
        train: PlaylistSet,
        catalog: Catalog,
        *,
        seed: int,
        progress: Progress = silent,
    ) -> "Tiered":
        """Fit `model` and those that stand in for it; parameters and errors as of its own `fit`."""
        model.fit(train, catalog, seed=seed, progress=progress)
        own = _signals(model)
        stand_ins: dict[int, Recommender] = {}
        if (catalog.artist_index != MISSING).any():
            stand_ins[ARTIST] = ArtistTracks()
        if train.titles is not None and train.titles.null_count < len(train):
            stand_ins[TITLE] = Title()
        needed = {
            tier: one for tier, one in stand_ins.items() if tier not in own and tier > min(own)
        }
        fitted = _fitted.of(train, catalog, seed)
        for tier, one in needed.items():
            if tier not in fitted:
                fitted[tier] = one.fit(train, catalog, seed=seed, progress=progress)
        return cls(model, {tier: fitted[tier] for tier in needed})

    @staticmethod
    def memory_needed(model: Recommender, train: PlaylistSet, items: int) -> int:
        """Estimate the bytes of `fit`: the model's, and those of what stands in for it."""
        return model.memory_needed(train, items) + Title()._own_bytes(train, items)

    def recommend(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        """Continue a block of playlists, as `Recommender.recommend` does, by tiers."""
        items, scores, _ = self.answer(queries, k)
        return items, scores

    def answer(self, queries: PlaylistSet, k: int) -> Answer:
        """Continue a block of playlists, and tell of each what its answer is made of.

        Parameters
        ----------
        queries
            Playlists whose items are indices or `MISSING`.
        k
            Number of items wanted, at least 1.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        items, scores = self.model._rank(queries, k)
        tiers = _tiers(self.model, queries, items[:, 0] != MISSING)
        for tier, stand_in in self.stand_ins.items():
            rows = np.flatnonzero(tiers == POPULARITY)
            if len(rows) == 0:
                break
            found, values = stand_in._rank(queries.take(rows), k)
            said = found[:, 0] != MISSING
            items[rows[said]], scores[rows[said]] = found[said], values[said]
            tiers[rows[said]] = tier
        complete_with_popular(items, scores, queries.offsets, queries.items, self.popular)
        return Answer(items, scores, tiers)

    def history(self) -> Mapping[str, Sequence[float]]:
        """Return what the model itself measured after each epoch (`Recommender.history`)."""
        return self.model.history()

    def known_items(self) -> Bool:
        """bool[size]: the items that the model itself learned something of."""
        return self.model.known_items()

    def similar(self, items: Int32, k: int, search: Search = top_k_dense) -> tuple[Int32, Float32]:
        """Nearest items of each of `items`, by the model alone (`Recommender.similar`)."""
        return self.model.similar(items, k, search)

    def neighbour_model(self) -> tuple[str, Hyperparameters]:
        """Return family and hyperparameters of what answers `similar`."""
        return self.model.neighbour_model()

    def save(self, folder: Path) -> None:
        """Write the model into `folder`, and those that stand in for it into folders below."""
        self.model.save(folder)
        for tier, stand_in in self.stand_ins.items():
            stand_in.save(folder / TIERS[tier])

    @classmethod
    def load(cls, folder: Path) -> "Tiered":
        """Read what `save` wrote, or a model alone, whose only other tier is popularity.

        Raises
        ------
        StorageError
            If the folder holds no model, or one of a format that this version cannot read.
        """
        stand_ins = {
            tier: load_recommender(folder / TIERS[tier])
            for tier in (ARTIST, TITLE)
            if (folder / TIERS[tier]).is_dir()
        }
        return cls(load_recommender(folder), stand_ins)


class _Fitted:
    """The stand-ins fitted last: all candidates of a run need the same, of the same playlists.

    At 12.9 million rows they are 40 MB, and fitting them took 6 s for each of 17 candidates. They
    are told apart by content, so a remembered one is the one that fitting again would give.
    """

    def __init__(self) -> None:
        self._key = ""
        self._stand_ins: dict[int, Recommender] = {}

    def of(self, train: PlaylistSet, catalog: Catalog, seed: int) -> dict[int, Recommender]:
        """Return those of this data, by tier; to be filled by whoever fits another."""
        key = f"{train.fingerprint()} {catalog.fingerprint()} {seed}"
        if key != self._key:
            self._key, self._stand_ins = key, {}
        return self._stand_ins


_fitted = _Fitted()


def _parts(model: Recommender) -> list[Recommender]:
    """Return the recommenders that a model's answers come from: itself, or its members'."""
    if isinstance(model, Ensemble):
        return [part for member in model._members for part in _parts(member)]
    return [model]


def _signals(model: Recommender) -> set[int]:
    """Return the tiers that the model answers from by itself."""
    return {part.signal for part in _parts(model)}


def _tiers(model: Recommender, queries: PlaylistSet, said: Bool) -> Int8:
    """Return the tier of the model's own answers, int8[n]; popularity where it has none.

    Parameters
    ----------
    said
        bool[n]: where the model ranked anything.
    """
    tiers = np.full(len(queries), POPULARITY, np.int8)
    parts = _parts(model)
    of_tracks = [part.known_items() for part in parts if part.signal == TRACK]
    if of_tracks:
        known = np.append(np.logical_or.reduce(of_tracks), False)[queries.items]  # [MISSING]: False
        counted = np.concatenate([[0], np.cumsum(known)])
        tiers[said & (np.diff(counted[queries.offsets]) > 0)] = TRACK
    for signal in (ARTIST, TITLE):
        rows = np.flatnonzero(said & (tiers == POPULARITY))
        asked = [part for part in parts if part.signal == signal]
        if len(rows) and len(parts) == len(asked):
            tiers[rows] = signal
        elif len(rows) and asked:
            cold = queries.take(rows)
            spoke = np.any([part._rank(cold, 1)[0][:, 0] != MISSING for part in asked], axis=0)
            tiers[rows[spoke]] = signal
    return tiers
