"""Which playlists are used, and which side of the 70 / 20 / 10 split each is on.

SQL expressions only. The side is a salted hash of the playlist id, so an old playlist never changes
side when new data arrives; the development sample is a hash too (with another salt, so that a sample
keeps the split's proportions). MD5 is used because DuckDB's own hash() may change between versions.
"""

from recsys_assets import columns as c
from recsys_assets.preparation.queries import TableQuery

MIN_TRACKS = 3
"""A shorter playlist cannot give a query of two tracks and a target."""
TRAIN_PERCENT = 70
VALIDATION_PERCENT = 20
TEST_PERCENT = 10

SPLIT_OF_TABLE = {
    c.TRAIN_PLAYLISTS: c.TRAIN,
    c.VALIDATION_PLAYLISTS: c.VALIDATION,
    c.TEST_PLAYLISTS: c.TEST,
}


def sql_text(value: str) -> str:
    """Return `value` as an SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def hash_bucket(column: str, salt: str) -> str:
    """Return an SQL expression: a whole number in [0, 10000) from a salted hash of `column`."""
    return f"(md5_number_lower({sql_text(salt)} || '|' || {column}) % 10000)"


def split_bucket(column: str, salt: str) -> str:
    """Return an SQL expression for the bucket that decides the side of a playlist."""
    return hash_bucket(column, salt)


def split_side(column: str, salt: str) -> str:
    """Return an SQL expression that gives 'train', 'validation' or 'test'."""
    bucket = split_bucket(column, salt)
    return (
        f"CASE WHEN {bucket} < {TRAIN_PERCENT * 100} THEN '{c.TRAIN}' "
        f"WHEN {bucket} < {(TRAIN_PERCENT + VALIDATION_PERCENT) * 100} THEN '{c.VALIDATION}' "
        f"ELSE '{c.TEST}' END"
    )


def in_sample(column: str, sample_percent: float) -> str:
    """Return an SQL condition: is the playlist in the development sample?"""
    if sample_percent >= 100:
        return "true"
    return f"{hash_bucket(column, 'sample')} < {round(sample_percent * 100)}"


def used_playlists(sample_percent: float) -> str:
    """Return a SELECT of the ids in `cleaned` that are long enough and in the sample."""
    return (
        f"SELECT {c.PLAYLIST_ID} FROM cleaned "
        f"WHERE {in_sample(c.PLAYLIST_ID, sample_percent)} "
        f"GROUP BY {c.PLAYLIST_ID} HAVING count(*) >= {MIN_TRACKS}"
    )


def split_query(table: str) -> TableQuery:
    """Return one side of the split; reads the table playlist_sequences.

    Parameters
    ----------
    table
        One of the keys of `SPLIT_OF_TABLE`.
    """
    return TableQuery(
        f"SELECT * EXCLUDE ({c.SPLIT}) FROM {c.PLAYLIST_SEQUENCES} "
        f"WHERE {c.SPLIT} = '{SPLIT_OF_TABLE[table]}' ORDER BY {c.PLAYLIST_ID}"
    )
