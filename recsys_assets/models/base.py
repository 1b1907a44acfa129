"""The recommender interface that every family implements, and what all families share.

Fitting, ranking a block of queries, nearest items, saving and loading. A family's own method belongs
in a module of its own; numba kernels belong in files of their own; measuring belongs
in `evaluation/`. No Dagster, no MLflow, no SQL.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from recsys_assets.errors import DataError, OtherVersionError
from recsys_assets.models.kept import Kept, KeptNothing
from recsys_assets.models.kernels import kernel
from recsys_assets.models.topk import Search, complete_with_popular, readonly, top_k_dense
from recsys_assets.playlists import MISSING, Bool, Catalog, Float32, Int32, Int64, PlaylistSet
from recsys_assets.progress import Progress, silent

FORMAT_VERSION = 1
"""Raised whenever files that an older version saved cannot be loaded any more."""

META_FILE = "model.json"
ARRAYS_FILE = "arrays.npz"

BYTES_PER_PLAY, BYTES_PER_ITEM = 40, 40
"""What counting popularity took while it sorted: measured 0.27 GiB for 9.0 M plays, and int64 counts of
all items. Now a play takes nothing, but the families' own figures were measured beside this."""

TRACK, ARTIST, TITLE, POPULARITY = range(4)
"""What an answer can be made of, best first; the last needs nothing of the query."""


class Hyperparameters(BaseModel):
    """Base of every family's hyperparameters: frozen, unknown fields refused.

    Every field carries a description and its allowed range; both appear in the error message of a
    candidates file that breaks them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


class Recommender(ABC):
    """A model that continues playlists.

    Subclasses implement `_fit`, `_rank`, `_arrays` and `_restore`; the public methods here give every
    family the same guarantees.
    """

    family: ClassVar[str]
    """Name of the family in `candidates.yaml`."""
    parameters_type: ClassVar[type[Hyperparameters]] = Hyperparameters
    signal: ClassVar[int] = TRACK
    """What of a query the family makes its answers of."""
    extra: ClassVar[str | None] = None
    """The package's extra, and the library of the same name, that fitting needs; None for none."""

    def __init__(self, parameters: Hyperparameters | None = None) -> None:
        self.parameters = self.parameters_type() if parameters is None else parameters
        self.size = 0
        self.popular: Int32 = np.empty(0, np.int32)
        self.kept: Kept = KeptNothing()
        """Where a fit takes what earlier ones on the same data have made already."""

    # --- what a family implements --------------------------------------------------------------
    @abstractmethod
    def _fit(self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress) -> None:
        """Learn from `train`; `self.size` and `self.popular` are set already."""

    @abstractmethod
    def _rank(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        """Rank a block of queries.

        Returns items int32[n, k] and scores float32[n, k], best first, ties by the smaller index,
        without the query's own items; rows that the model cannot fill end in `MISSING`.
        """

    def _rank_by(self, search: Search, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        """`_rank`, where families that rank by vectors find the nearest by `search`."""
        del search
        return self._rank(queries, k)

    @abstractmethod
    def _arrays(self) -> dict[str, np.ndarray]:
        """Return everything that was learned, as named arrays."""

    @abstractmethod
    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take back what `_arrays` returned."""

    def known_items(self) -> Bool:
        """bool[size]: the items that the model learned something of (by default: seen in training)."""
        known = np.zeros(self.size, bool)
        known[self.popular] = True
        return known

    def history(self) -> Mapping[str, Sequence[float]]:
        """Return what the last `fit` measured after each epoch, by metric; not kept in files."""
        return {}

    def _own_bytes(self, train: PlaylistSet, items: int) -> int:
        """Return what fitting takes beyond what every family takes; see `memory_needed`."""
        del train, items
        return 0

    # --- what every family gets ----------------------------------------------------------------
    def fit(
        self, train: PlaylistSet, catalog: Catalog, *, seed: int, progress: Progress = silent
    ) -> Self:
        """Learn from training playlists.

        Parameters
        ----------
        train
            Training playlists, at least one, with items in ``[0, len(catalog))``.
        catalog
            What is known of every item.
        seed
            The same seed and input give the same bits, whatever the number of threads, unless the
            family's docstring says otherwise.

        Raises
        ------
        DataError
            If there is nothing to learn from.
        """
        if len(train.items) == 0:
            raise DataError(
                f"{self.family}: expected at least one training playlist with tracks, found "
                f"{len(train)} playlists with none; check the splits and sample_percent"
            )
        self.size = len(catalog)
        self.popular = items_by_popularity(train, self.size)
        self._fit(train, catalog, seed=seed, progress=progress)
        return self

    def memory_needed(self, train: PlaylistSet, items: int) -> int:
        """Estimate the bytes that fitting on `train` takes beside it and a catalogue of `items`."""
        common = BYTES_PER_PLAY * len(train.items) + BYTES_PER_ITEM * items
        return common + self._own_bytes(train, items)

    def recommend(self, queries: PlaylistSet, k: int) -> tuple[Int32, Float32]:
        """Continue a block of playlists.

        Every query, cold or empty ones included, gets `k` distinct items that are not in it. Where
        the family has no opinion, popular items follow, with scores below every score of its own.

        Parameters
        ----------
        queries
            Playlists whose items are indices or `MISSING` (an item that the catalogue lacks).
        k
            Number of items wanted, at least 1.

        Returns
        -------
        items : int32[n, k]
            `MISSING` only where the training catalogue has fewer than `k` items beyond the query.
        scores : float32[n, k]
            Falling within each row; ``-inf`` beside `MISSING`. Comparable within a row only.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        return self._complete(queries, *self._rank(queries, k))

    def _complete(
        self, queries: PlaylistSet, items: Int32, scores: Float32
    ) -> tuple[Int32, Float32]:
        complete_with_popular(items, scores, queries.offsets, queries.items, self.popular)
        return items, scores

    def similar(self, items: Int32, k: int, search: Search = top_k_dense) -> tuple[Int32, Float32]:
        """Nearest items of each of `items`: what the model would play after that item alone.

        Parameters
        ----------
        items
            int32[n].
        k
            Number of items wanted for each, at least 1.
        search
            How families that rank by vectors find the nearest; others take no notice of it.

        Returns
        -------
        neighbours : int32[len(items), k]
        scores : float32[len(items), k]
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        singles = PlaylistSet(np.arange(len(items) + 1, dtype=np.int64), items.astype(np.int32))
        return self._complete(singles, *self._rank_by(search, singles, k))

    def neighbour_model(self) -> tuple[str, Hyperparameters]:
        """Return family and hyperparameters of what answers `similar`, to fit it on other items."""
        return self.family, self.parameters

    # --- files ---------------------------------------------------------------------------------
    def save(self, folder: Path) -> None:
        """Write the model into `folder` (made if needed) as JSON and plain arrays; no pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {"popular": self.popular, **self._arrays()}
        np.savez(folder / ARRAYS_FILE, allow_pickle=False, **arrays)
        meta = {
            "format_version": FORMAT_VERSION,
            "family": self.family,
            "parameters": self.parameters.model_dump(mode="json"),
            "size": self.size,
        }
        (folder / META_FILE).write_text(json.dumps(meta, indent=2, sort_keys=True) + "\n")

    @classmethod
    def load(cls, folder: Path, meta: dict[str, Any]) -> Self:
        """Read a model of this family from `folder`; use `models.registry.load_recommender`."""
        if meta["format_version"] != FORMAT_VERSION:
            raise OtherVersionError(
                f"{folder / META_FILE}: model format {meta['format_version']}, expected "
                f"{FORMAT_VERSION}; train the model again with this version of recsys_assets"
            )
        model = cls(cls.parameters_type.model_validate(meta["parameters"]))
        model.size = int(meta["size"])
        with np.load(folder / ARRAYS_FILE, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        model.popular = arrays.pop("popular")
        model._restore(arrays)
        return model


def items_by_popularity(playlists: PlaylistSet, size: int) -> Int32:
    """Return the items that occur in `playlists`, most frequent first, ties by index.

    Frequency is the number of playlists that hold the item, so that one playlist repeating a track
    does not make it popular.

    Returns
    -------
    int32[m], m <= size
    """
    counts = np.zeros(size, np.int64)
    _count_playlists(
        readonly(playlists.offsets),
        readonly(playlists.items),
        np.full(size, MISSING, np.int32),
        counts,
    )
    order = np.argsort(-counts, kind="stable").astype(np.int32)
    return order[: int(np.count_nonzero(counts))]


@kernel
def _count_playlists(offsets: Int64, items: Int32, latest: Int32, counts: Int64) -> None:
    """Count in `counts` the playlists that hold each item; `latest` is scratch of MISSING.

    Sorting the pairs of playlist and item instead takes ten times as long.
    """
    for owner in range(len(offsets) - 1):
        for at in range(offsets[owner], offsets[owner + 1]):
            if latest[items[at]] != owner:
                latest[items[at]] = owner
                counts[items[at]] += 1
