"""The families by name, and the two ways to get a recommender: built anew, or loaded from files.

A new family is a module with a `Recommender` and one line here; grid, assets, tests and serving
find it through `FAMILIES`. Nothing else belongs here. Heavy imports stay in the families' `_fit`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys_assets.errors import StorageError
from recsys_assets.models.als import Als
from recsys_assets.models.artist_knn import ArtistKnn
from recsys_assets.models.artist_tracks import ArtistTracks
from recsys_assets.models.base import ARRAYS_FILE, META_FILE, Recommender
from recsys_assets.models.blend import Blend
from recsys_assets.models.cooccurrence import Cooccurrence
from recsys_assets.models.ease import Ease
from recsys_assets.models.matrix_factorisation import MatrixFactorisation
from recsys_assets.models.mlp import Mlp
from recsys_assets.models.pair_counts import PairCounts
from recsys_assets.models.popularity import Popularity
from recsys_assets.models.ppmi_svd import PpmiSvd
from recsys_assets.models.session_knn import SessionKnn
from recsys_assets.models.title import Title
from recsys_assets.models.two_stage import TwoStage
from recsys_assets.models.word2vec import Word2Vec

FAMILIES: Mapping[str, type[Recommender]] = {
    family.family: family
    for family in (
        Popularity,
        Word2Vec,
        Cooccurrence,
        Blend,
        TwoStage,
        ArtistKnn,
        ArtistTracks,
        PairCounts,
        SessionKnn,
        Title,
        PpmiSvd,
        Als,
        Ease,
        MatrixFactorisation,
        Mlp,
    )
}


def build(family: str, parameters: Mapping[str, Any]) -> Recommender:
    """Return an unfitted recommender.

    Parameters
    ----------
    family
        A key of `FAMILIES`.
    parameters
        Hyperparameters by name; those left out take the family's defaults.

    Raises
    ------
    KeyError
        If there is no such family.
    pydantic.ValidationError
        If a parameter is unknown or out of range. `grid.load_grid` turns both into a `GridError`.
    """
    chosen = FAMILIES[family]
    return chosen(chosen.parameters_type.model_validate(dict(parameters)))


def load_recommender(folder: Path) -> Recommender:
    """Read a model that `Recommender.save` wrote.

    Raises
    ------
    StorageError
        If the folder holds no model, or one of a family or format that this version does not know.
    """
    meta_file = folder / META_FILE
    for file in (meta_file, folder / ARRAYS_FILE):
        if not file.is_file():
            raise StorageError(
                f"{folder}: expected a model ({META_FILE} and {ARRAYS_FILE}), found no "
                f"{file.name}; materialise the asset that trains it"
            )
    meta = json.loads(meta_file.read_text())
    if meta["family"] not in FAMILIES:
        raise StorageError(
            f"{meta_file}: model of family {meta['family']!r}; this version of recsys_assets knows "
            f"{', '.join(FAMILIES)}: load it with the version that trained it"
        )
    return FAMILIES[meta["family"]].load(folder, meta)
