"""Checks of preparation: keys, sequence lengths, and the split.

Each asks the stored tables; the numbers that it judges are its metadata.
"""

from typing import Any

import dagster as dg
import numpy as np
import numpy.typing as npt

from recsys_assets import columns as c
from recsys_assets.assets.tables import TABLES
from recsys_assets.preparation.split import MIN_TRACKS, SplitRule
from recsys_assets.resources.database import DuckDBReader
from recsys_assets.settings import Settings

KEYS = {
    c.ARTIST_CATALOG: (c.ARTIST_INDEX, c.ARTIST_ID),
    c.TRACK_CATALOG: (c.TRACK_INDEX, c.TRACK_ID),
    c.PLAYLIST_SEQUENCES: (c.PLAYLIST_ID,),
}
STANDARD_DEVIATIONS = 5.0
"""How far the share of a side may be from its aim: further happens once in a million splits."""


def _nulls_and_duplicates(
    database: DuckDBReader, table: str, keys: tuple[str, ...]
) -> dict[str, int]:
    """Return of each column how many nulls it has, and values that are there already.

    Where all hashes differ all texts do, and sorting 2.8 million of them takes a third of what it
    takes to put as many strings into a hash table. Equal hashes prove nothing: then it is counted.
    """
    values = ", ".join(
        key
        if TABLES[table].columns[key] == "INTEGER"
        else f"CASE WHEN {key} IS NOT NULL THEN hash({key}) END AS {key}"
        for key in keys
    )
    rows = database.query(f"SELECT {values} FROM {table}")
    found = {}
    for key, column in zip(keys, rows.columns, strict=True):
        found[f"{key}_nulls"] = column.null_count
        found[f"{key}_duplicates"] = 0
        if not _all_differ(column.drop_null().to_numpy()):
            found[f"{key}_duplicates"] = int(
                database.scalar(f"SELECT count({key}) - count(DISTINCT {key}) FROM {table}")
            )
    return found


def _all_differ(values: npt.NDArray[Any]) -> bool:
    if (values[1:] > values[:-1]).all():  # as indices are, in their table's order
        return True
    ordered = np.sort(values)
    return not (ordered[1:] == ordered[:-1]).any()


def _keys_check(table: str, keys: tuple[str, ...]) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=table,
        name="keys_are_unique_and_not_null",
        blocking=True,
        description=f"{' and '.join(keys)}: no nulls and no duplicates.",
    )
    def keys_are_unique_and_not_null(database: DuckDBReader) -> dg.AssetCheckResult:
        found = _nulls_and_duplicates(database, table, keys)
        return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)

    return keys_are_unique_and_not_null


@dg.asset_check(asset=c.PLAYLIST_SEQUENCES, name="sequence_lengths", blocking=True)
def sequence_lengths(database: DuckDBReader) -> dg.AssetCheckResult:
    """Every playlist has three or more tracks, as many artists, and says so in track_count."""
    found = database.query(
        f"""
        SELECT count(*) AS playlists, coalesce(min(len({c.TRACK_SEQUENCE})), 0) AS shortest,
            coalesce(max(len({c.TRACK_SEQUENCE})), 0) AS longest,
            count(*) FILTER (len({c.TRACK_SEQUENCE}) <> len({c.ARTIST_SEQUENCE})
                OR len({c.TRACK_SEQUENCE}) <> {c.TRACK_COUNT}) AS inconsistent
        FROM {c.PLAYLIST_SEQUENCES}
        """
    ).to_pylist()[0]
    return dg.AssetCheckResult(
        passed=found["playlists"] > 0
        and found["shortest"] >= MIN_TRACKS
        and found["inconsistent"] == 0,
        metadata=found,
        description=(
            f"No playlist has {MIN_TRACKS} or more tracks: nothing can be learned from this input."
            if found["playlists"] == 0
            else None
        ),
    )


@dg.asset_check(
    asset=c.VALIDATION_PLAYLISTS,  # a blocking check holds up what depends on its asset
    additional_deps=[c.TRAIN_PLAYLISTS, c.TEST_PLAYLISTS, c.PLAYLIST_SEQUENCES],
    name="splits_are_disjoint_and_complete",
    blocking=True,
)
def splits_are_disjoint_and_complete(database: DuckDBReader) -> dg.AssetCheckResult:
    """Every playlist is in exactly one of train, validation and test."""
    found = database.query(
        f"""
        WITH sides AS (
            SELECT {c.PLAYLIST_ID} FROM {c.TRAIN_PLAYLISTS}
            UNION ALL SELECT {c.PLAYLIST_ID} FROM {c.VALIDATION_PLAYLISTS}
            UNION ALL SELECT {c.PLAYLIST_ID} FROM {c.TEST_PLAYLISTS}
        )
        SELECT
            (SELECT count(*) - count(DISTINCT {c.PLAYLIST_ID}) FROM sides) AS in_two_sides,
            (SELECT count(*) FROM {c.PLAYLIST_SEQUENCES} ANTI JOIN sides
                USING ({c.PLAYLIST_ID})) AS in_no_side,
            (SELECT count(*) FROM sides ANTI JOIN {c.PLAYLIST_SEQUENCES}
                USING ({c.PLAYLIST_ID})) AS unknown
        """
    ).to_pylist()[0]
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


@dg.asset_check(
    asset=c.VALIDATION_PLAYLISTS,
    additional_deps=[c.TRAIN_PLAYLISTS, c.TEST_PLAYLISTS],
    name="splits_are_in_time_order",
    blocking=True,
)
def splits_are_in_time_order(
    database: DuckDBReader, settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """With a temporal split no playlist is older than one of the side before; else nothing to check."""
    rule = SplitRule.of(settings)
    if rule.kind == "hash":
        return dg.AssetCheckResult(passed=True, description="The split is by hash.")
    (first, last), (first_held_out, last_held_out), (first_test, _) = (
        database.query(
            f"SELECT min({rule.order_key}) AS low, max({rule.order_key}) AS high FROM {table}"
        )
        .to_pylist()[0]
        .values()
        for table in (c.TRAIN_PLAYLISTS, c.VALIDATION_PLAYLISTS, c.TEST_PLAYLISTS)
    )
    bounds = {
        "train_first": first,
        "train_last": last,
        "validation_first": first_held_out,
        "validation_last": last_held_out,
        "test_first": first_test,
    }
    known = [bound for bound in bounds.values() if bound is not None]
    return dg.AssetCheckResult(
        passed=len(known) == len(bounds) and known == sorted(known),
        metadata={name: str(bound) for name, bound in bounds.items()},
    )


@dg.asset_check(
    asset=c.VALIDATION_PLAYLISTS,
    additional_deps=[c.TRAIN_PLAYLISTS, c.TEST_PLAYLISTS],
    name="split_shares",
)
def split_shares(
    database: DuckDBReader, settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """The sides have the sizes that are set (70 / 20 / 10 % by default).

    A hash split: within five standard deviations of a fair draw. A temporal split: to one playlist.
    """
    sizes = {
        c.VALIDATION_PLAYLISTS: settings.validation_size,
        c.TEST_PLAYLISTS: settings.test_size,
    }
    tables = (c.TRAIN_PLAYLISTS, *sizes)
    each = ", ".join(f"(SELECT count(*) FROM {table}) AS {table}" for table in tables)
    counts: dict[str, int] = database.query(f"SELECT {each}").to_pylist()[0]
    total = sum(counts.values())
    aims = {name: size if size >= 1 else size * total for name, size in sizes.items()}
    aims[c.TRAIN_PLAYLISTS] = total - sum(aims.values())

    def allowed(aim: float) -> float:
        drawn = STANDARD_DEVIATIONS * (aim * (1 - aim / total)) ** 0.5
        return drawn if settings.split == "hash" else 1.0

    passed = total > 0 and all(
        abs(counts[table] - aim) <= allowed(aim) for table, aim in aims.items()
    )
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={**counts, **{f"{t}_share": n / max(total, 1) for t, n in counts.items()}},
    )


CHECKS = [
    *(_keys_check(table, keys) for table, keys in KEYS.items()),
    sequence_lengths,
    splits_are_disjoint_and_complete,
    splits_are_in_time_order,
    split_shares,
]
