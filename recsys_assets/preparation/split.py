"""Which playlists are used, and which side of the train / validation / test split each is on.

A `SplitRule` gives SQL expressions. By hash: the side is a salted hash of the playlist id, so an old
playlist never changes side when new data arrives; the development sample is a hash too (with another
salt, so that a sample keeps the split's proportions). MD5 is used because DuckDB's own hash() may
change between versions. By time: the oldest playlists train, the newest test. What a temporal split
needs of the data is checked in `temporal.py`.
"""

from dataclasses import dataclass
from typing import Literal

from recsys_assets import columns as c
from recsys_assets.preparation.queries import TableQuery
from recsys_assets.settings import Settings

SplitKind = Literal["hash", "temporal"]
SplitTime = Literal["started_at", "playlist_id"]

MIN_TRACKS = 3
"""A shorter playlist cannot give a query of two tracks and a target."""
BUCKETS = 10_000

SPLIT_OF_TABLE = {
    c.TRAIN_PLAYLISTS: c.TRAIN,
    c.VALIDATION_PLAYLISTS: c.VALIDATION,
    c.TEST_PLAYLISTS: c.TEST,
}


@dataclass(frozen=True)
class SplitRule:
    """How playlists are divided.

    Attributes
    ----------
    salt
        Of the hash; in a temporal split it orders playlists of one and the same time.
    sample_percent
        Share of playlists that are used at all.
    kind
        ``hash`` or ``temporal``.
    time
        What orders playlists in a temporal split: the column `started_at`, or `playlist_id` where ids
        are whole numbers in time order.
    validation_size, test_size
        Below 1 a share of the playlists; from 1 a number of playlists (temporal only).
    """

    salt: str
    sample_percent: float = 100.0
    kind: SplitKind = "hash"
    time: SplitTime = "started_at"
    validation_size: float = 0.2
    test_size: float = 0.1

    @classmethod
    def of(cls, settings: Settings) -> "SplitRule":
        """Return what of the settings concerns the choice and division of playlists."""
        return cls(
            salt=settings.split_salt,
            sample_percent=settings.sample_percent,
            kind=settings.split,
            time=settings.split_time,
            validation_size=settings.validation_size,
            test_size=settings.test_size,
        )

    @property
    def order_key(self) -> str:
        """An SQL expression for what orders playlists in time, NULL where one has none."""
        return c.STARTED_AT if self.time == "started_at" else f"TRY_CAST({c.PLAYLIST_ID} AS BIGINT)"

    def side(self) -> str:
        """Return an SQL expression that gives 'train', 'validation' or 'test'.

        It belongs in the SELECT list over a relation of all used playlists, one row each, with
        playlist_id and (temporal) started_at.
        """
        if self.kind == "hash":
            place, total = hash_bucket(c.PLAYLIST_ID, self.salt), str(BUCKETS)
        else:
            ties = f"md5_number_lower({sql_text(self.salt)} || '|' || {c.PLAYLIST_ID})"
            order = f"ORDER BY {self.order_key}, {ties}, {c.PLAYLIST_ID}"
            place, total = f"(row_number() OVER ({order}) - 1)", "count(*) OVER ()"
        test = _number_of(self.test_size, total)
        held_out = f"{_number_of(self.validation_size, total)} + {test}"
        return (
            f"CASE WHEN {place} < {total} - ({held_out}) THEN '{c.TRAIN}' "
            f"WHEN {place} < {total} - {test} THEN '{c.VALIDATION}' ELSE '{c.TEST}' END"
        )

    def used_playlists(self) -> str:
        """Return a SELECT over `coded_playlists` of those that are long enough and in the sample.

        Columns: playlist_number, playlist_id, started_at.
        """
        return (
            f"SELECT {c.PLAYLIST_NUMBER}, {c.PLAYLIST_ID}, {c.STARTED_AT} FROM coded_playlists "
            f"WHERE {in_sample(c.PLAYLIST_ID, self.sample_percent)} "
            f"AND {c.TRACK_COUNT} >= {MIN_TRACKS}"
        )

    def training_numbers(self) -> str:
        """Return a SELECT over `coded_playlists` of the numbers of all training playlists."""
        return (
            f"SELECT {c.PLAYLIST_NUMBER} FROM (SELECT {c.PLAYLIST_NUMBER}, "
            f"{self.side()} AS {c.SPLIT} FROM ({self.used_playlists()})) "
            f"WHERE {c.SPLIT} = '{c.TRAIN}'"
        )


def _number_of(size: float, total: str) -> str:
    """Return an SQL expression for a size as a number of `total`."""
    return f"round({size!r} * {total})" if size < 1 else str(round(size))


def sql_text(value: str) -> str:
    """Return `value` as an SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def hash_bucket(column: str, salt: str) -> str:
    """Return an SQL expression: a whole number in [0, 10000) from a salted hash of `column`."""
    return f"(md5_number_lower({sql_text(salt)} || '|' || {column}) % {BUCKETS})"


def in_sample(column: str, sample_percent: float) -> str:
    """Return an SQL condition: is the playlist in the development sample?"""
    if sample_percent >= 100:
        return "true"
    return f"{hash_bucket(column, 'sample')} < {round(sample_percent * 100)}"


def split_query(table: str) -> TableQuery:
    """Return one side of the split; reads the table playlist_sequences.

    Parameters
    ----------
    table
        One of the keys of `SPLIT_OF_TABLE`.
    """
    return TableQuery(
        # In the order of playlist_sequences, which is by id: to sort it again would move all lists.
        f"SELECT * EXCLUDE ({c.SPLIT}) FROM {c.PLAYLIST_SEQUENCES} "
        f"WHERE {c.SPLIT} = '{SPLIT_OF_TABLE[table]}'",
        made_from=[c.PLAYLIST_SEQUENCES],
    )
