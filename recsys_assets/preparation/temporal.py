"""What a temporal split needs of the data: a time for every playlist, and enough of them.

Checks the cleaned playlists before they are divided, and gives the playlists' times as numbers for
the comparison of models that were trained up to different times. The division itself is SQL in
`split.py`.
"""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys_assets import columns as c
from recsys_assets.errors import DataError
from recsys_assets.playlists import Int64
from recsys_assets.preparation.split import SplitRule
from recsys_assets.sources.coded import CodedFiles


def require_order(cleaned: Path, rule: SplitRule, *, source: str) -> None:
    """Check that a temporal split of the cleaned playlists can be made; a hash split always can.

    Parameters
    ----------
    cleaned
        The parquet file of cleaned playlists, with the coded rows beside it.
    source
        What the playlists came from, for the message.

    Raises
    ------
    DataError
        If a playlist has no time, or nothing would be left to train on.
    """
    if rule.kind == "hash":
        return
    with duckdb.connect() as connection:
        used, missing, example = connection.execute(
            f"""
            WITH {CodedFiles.beside(cleaned).relations()}
            SELECT count(*), count(*) FILTER ({rule.order_key} IS NULL),
                min({c.PLAYLIST_ID}) FILTER ({rule.order_key} IS NULL)
            FROM ({rule.used_playlists()})
            """
        ).fetchall()[0]
    if missing and rule.time == "started_at":
        raise DataError(
            f"{source}: RECSYS_SPLIT=temporal needs a time for every playlist, but {missing:,} of "
            f"{used:,} have none, for example {example!r}. Times are read from the dates of "
            "listening events, from modified_at in Million Playlist slices and from a column "
            "started_at in interactions. If all ids are whole numbers in time order, set "
            "RECSYS_SPLIT_TIME=playlist_id; otherwise RECSYS_SPLIT=hash"
        )
    if missing:
        raise DataError(
            f"{source}: RECSYS_SPLIT_TIME=playlist_id needs ids that are whole numbers in time order, "
            f"but {missing:,} of {used:,} are not, for example {example!r}; set it to started_at, or "
            "RECSYS_SPLIT=hash"
        )
    held_out = sum(
        size if size >= 1 else size * used for size in (rule.validation_size, rule.test_size)
    )
    if held_out >= used:
        raise DataError(
            f"{source}: {used:,} playlists leave none to train on beside {rule.validation_size:g} for "
            f"validation and {rule.test_size:g} for test; lower RECSYS_VALIDATION_SIZE or "
            "RECSYS_TEST_SIZE"
        )


def playlist_times(sequences: pa.Table, rule: SplitRule) -> Int64:
    """Return what orders the playlists of a table in time: microseconds since 1970, or their ids.

    Parameters
    ----------
    sequences
        Columns playlist_id and started_at, all times known (`require_order`).

    Returns
    -------
    int64[n]
    """
    if rule.time == "started_at":
        column = pc.cast(pc.cast(sequences[c.STARTED_AT], pa.timestamp("us")), pa.int64())
    else:
        column = pc.cast(sequences[c.PLAYLIST_ID], pa.int64())
    return np.asarray(column.to_numpy(), np.int64)
