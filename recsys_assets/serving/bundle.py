"""A model together with the ids that its integers stand for: what is saved, registered and served.

Holds the folder format and the translation between track ids and indices at the edge. Registering
belongs in `resources/tracking.py`, MLflow's wrapper in `serving/pyfunc_model.py`. Imports only what
the registered model's own requirements list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys_assets.errors import DataError, StorageError
from recsys_assets.models.tiers import TIERS, Tiered
from recsys_assets.playlists import MISSING, Catalog, Float32, Int32, PlaylistSet

CATALOG_FILE = "catalog.parquet"
MODEL_FOLDER = "model"


@dataclass(frozen=True, eq=False)
class Bundle:
    """A fitted recommender with its answer tiers, and the catalogue that it was fitted on."""

    model: Tiered
    catalog: Catalog

    @cached_property
    def _index_of_id(self) -> dict[str, int]:
        return {id_: index for index, id_ in enumerate(self.catalog.ids.to_pylist())}

    def save(self, folder: Path) -> None:
        """Write model and catalogue into `folder` (made if needed); no pickle."""
        self.model.save(folder / MODEL_FOLDER)
        pq.write_table(
            pa.table(
                {
                    "id": self.catalog.ids,
                    "name": self.catalog.names,
                    "artist_index": self.catalog.artist_index,
                    "album_index": self.catalog.album_index,
                }
            ),
            folder / CATALOG_FILE,
            compression="zstd",
        )

    @classmethod
    def load(cls, folder: Path) -> "Bundle":
        """Read what `save` wrote.

        Raises
        ------
        StorageError
            If the folder holds no model, or one of a format that this version cannot read.
        """
        if not (folder / CATALOG_FILE).exists():
            raise StorageError(f"{folder}: no model there; materialise the asset that trains it")
        table = pq.read_table(folder / CATALOG_FILE)
        catalog = Catalog(
            ids=_column(table, "id"),
            names=_column(table, "name"),
            artist_index=table["artist_index"].to_numpy().astype(np.int32),
            album_index=table["album_index"].to_numpy().astype(np.int32),
        )
        return cls(Tiered.load(folder / MODEL_FOLDER), catalog)

    def encode(self, ids: Sequence[str]) -> Int32:
        """Translate ids into indices; `MISSING` for an id that the catalogue lacks."""
        index_of_id = self._index_of_id
        return np.array([index_of_id.get(id_, MISSING) for id_ in ids], np.int32)

    def encode_playlists(
        self, playlists: Sequence[Sequence[str]], titles: Sequence[str | None] | None = None
    ) -> PlaylistSet:
        """Translate lists of ids, and the playlists' titles, into queries for the model."""
        offsets = np.zeros(len(playlists) + 1, np.int64)
        np.cumsum([len(playlist) for playlist in playlists], out=offsets[1:])
        return PlaylistSet(
            offsets,
            self.encode([id_ for one in playlists for id_ in one]),
            None if titles is None else pa.array(titles, pa.string()),
        )

    def recommend_ids(
        self,
        playlists: Sequence[Sequence[str]],
        k: int,
        titles: Sequence[str | None] | None = None,
    ) -> tuple[list[list[str]], Float32, list[str]]:
        """Continue playlists given as lists of track ids and, where known, by title.

        Returns
        -------
        ids
            For every playlist exactly `k` distinct track ids that are not in it, best first.
        scores : float32[n, k]
        tiers
            What each answer is made of: track, artist, title or popularity.

        Raises
        ------
        DataError
            If the model's catalogue cannot give `k` tracks beyond a playlist's own.
        """
        items, scores, tiers = self.model.answer(self.encode_playlists(playlists, titles), k)
        short = (items == MISSING).any(axis=1)
        if short.any():
            row = int(np.flatnonzero(short)[0])
            most = int((items[row] != MISSING).sum())
            raise DataError(
                f"playlist {row}: {k} recommendations asked for, but the model knows only {most} "
                f"tracks that are not in the playlist; ask for k <= {most}"
            )
        names = self.catalog.ids.take(pa.array(items.ravel())).to_pylist()
        ids_of = [names[row * k : (row + 1) * k] for row in range(len(playlists))]
        return ids_of, scores, [TIERS[tier] for tier in tiers]


def _column(table: pa.Table, name: str) -> pa.StringArray:
    column = table[name]
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())
