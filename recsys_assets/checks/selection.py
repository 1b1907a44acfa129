"""Checks of candidates, leaderboard and best model: finite, complete, and better than popularity.

One finite-vectors check per candidate; the leaderboard is compared with the grid and with the data
version of the splits as they are now.
"""

from collections.abc import Sequence

import dagster as dg
import numpy as np
import pyarrow as pa

from recsys_assets import columns as c
from recsys_assets.assets.candidates import (
    CATALOG_COLUMNS,
    MODEL_FOLDER,
    SEQUENCE_COLUMNS,
    candidate_folder,
    candidate_key,
    table_input,
)
from recsys_assets.evaluation.metrics import HIT_RATE_100
from recsys_assets.grid import CandidateSpec
from recsys_assets.models.base import ARRAYS_FILE
from recsys_assets.models.popularity import Popularity
from recsys_assets.preparation.catalog import tracks_as_catalog
from recsys_assets.preparation.sequences import track_playlists
from recsys_assets.resources.database import DuckDBReader
from recsys_assets.settings import Settings
from recsys_assets.training import data_version


def build_checks(grid: Sequence[CandidateSpec]) -> list[dg.AssetChecksDefinition]:
    """Return the checks for the candidates of a grid."""
    return [
        *(_finite_check(spec.name) for spec in grid),
        _complete_check(grid),
        _beats_popularity_check(grid),
    ]


def _finite_check(name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=candidate_key(name), name="vectors_are_finite", blocking=True)
    def vectors_are_finite(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
        """No stored array of the model holds NaN or an infinity."""
        broken: dict[str, int] = {}
        with np.load(
            candidate_folder(settings, name) / MODEL_FOLDER / ARRAYS_FILE, allow_pickle=False
        ) as arrays:
            for array in arrays.files:
                values = arrays[array]
                if np.issubdtype(values.dtype, np.floating):
                    broken[array] = int(values.size - np.isfinite(values).sum())
        return dg.AssetCheckResult(
            passed=not any(broken.values()),
            metadata={f"not_finite_in_{array}": count for array, count in broken.items()},
        )

    return vectors_are_finite


def _complete_check(grid: Sequence[CandidateSpec]) -> dg.AssetChecksDefinition:
    names = {spec.name for spec in grid}

    @dg.asset_check(
        asset=c.LEADERBOARD,
        name="complete_for_this_data_version",
        blocking=True,
        additional_ins={
            c.TRAIN_PLAYLISTS: table_input(SEQUENCE_COLUMNS),
            c.VALIDATION_PLAYLISTS: table_input(SEQUENCE_COLUMNS),
            c.TRACK_CATALOG: table_input(CATALOG_COLUMNS),
        },
    )
    def complete_for_this_data_version(
        leaderboard: pa.Table,
        train_playlists: pa.Table,
        validation_playlists: pa.Table,
        track_catalog: pa.Table,
    ) -> dg.AssetCheckResult:
        """Every candidate of the grid is there, measured on the splits as they are now."""
        current = data_version(
            track_playlists(train_playlists),
            track_playlists(validation_playlists),
            tracks_as_catalog(track_catalog),
        )
        rows = leaderboard.select([c.CANDIDATE, c.DATA_VERSION]).to_pylist()
        fresh = {row[c.CANDIDATE] for row in rows if row[c.DATA_VERSION] == current}
        stale = {row[c.CANDIDATE] for row in rows} - fresh
        missing = sorted(names - fresh - stale)
        return dg.AssetCheckResult(
            passed=fresh == names and not stale,
            metadata={
                "data_version": current,
                "candidates": len(fresh),
                "missing": missing,
                "of_other_data": sorted(stale),
            },
            description=(
                None
                if fresh == names and not stale
                else f"Materialise again: missing {missing}, measured on other data {sorted(stale)}."
            ),
        )

    return complete_for_this_data_version


def _beats_popularity_check(grid: Sequence[CandidateSpec]) -> dg.AssetChecksDefinition:
    baselines = [spec.name for spec in grid if spec.family == Popularity.family]

    @dg.asset_check(asset=c.LEADERBOARD, name="best_beats_popularity", blocking=True)
    def best_beats_popularity(database: DuckDBReader) -> dg.AssetCheckResult:
        """The best candidate's hit rate @100 on validation is above every popularity entry's."""
        rows = database.query(
            f"SELECT {c.CANDIDATE}, {c.VALUE} FROM {c.LEADERBOARD} "
            f"WHERE {c.METRIC} = '{HIT_RATE_100}' AND {c.SLICE} = 'all' ORDER BY {c.PLACE}"
        ).to_pylist()
        values = {row[c.CANDIDATE]: row[c.VALUE] for row in rows}
        best = rows[0][c.CANDIDATE]
        baseline = max((values[name] for name in baselines if name in values), default=None)
        return dg.AssetCheckResult(
            passed=baseline is not None and values[best] > baseline,
            metadata={
                "best": best,
                "hit_rate_100": values[best],
                "popularity_hit_rate_100": float("nan") if baseline is None else baseline,
            },
            description=(
                "The grid has no entry of family popularity to compare with; add one."
                if baseline is None
                else None
            ),
        )

    return best_beats_popularity
