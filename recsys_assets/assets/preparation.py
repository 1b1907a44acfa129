"""Assets of the group preparation: catalogues, sequences and the three sides of the split.

Each returns a query that DuckDB runs inside the IO manager's transaction; the SQL is in
`preparation/`. Reading raw files belongs in `assets/ingestion.py`.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from recsys_assets import columns as c
from recsys_assets.assets.common import (
    DOMAIN_TAGS,
    DUCKDB_WRITER,
    OWNERS,
    PREPARATION,
    user_errors,
)
from recsys_assets.assets.ingestion import cleaned_file
from recsys_assets.assets.tables import TABLES
from recsys_assets.code_version import code_version
from recsys_assets.preparation.catalog import artist_catalog_query, track_catalog_query
from recsys_assets.preparation.queries import TableQuery
from recsys_assets.preparation.sequences import playlist_sequences_query
from recsys_assets.preparation.split import SplitRule, split_query
from recsys_assets.preparation.temporal import require_order
from recsys_assets.settings import Settings


def _table_asset(table: str, deps: Sequence[str]) -> dict[str, Any]:
    """Return the keyword arguments that all assets of this group share."""
    return {
        "name": table,
        "deps": deps,
        "group_name": PREPARATION,
        "owners": OWNERS,
        "tags": DOMAIN_TAGS,
        "kinds": {"duckdb", "table"},
        "metadata": TABLES[table].metadata(),
        "code_version": code_version("preparation", "columns.py"),
        "pool": DUCKDB_WRITER,
    }


@dg.asset(**_table_asset(c.ARTIST_CATALOG, [c.CLEANED_PLAYLISTS]))
def artist_catalog(settings: dg.ResourceParam[Settings]) -> TableQuery:
    """Every artist: a dense integer index, its id and name, and how often it is played.

    The index falls with the number of training playlists, ties by id. Rows without an artist are
    not counted; such tracks carry the artist index -1.
    """
    with user_errors():
        return artist_catalog_query(cleaned_file(settings), usable_rule(settings))


@dg.asset(**_table_asset(c.TRACK_CATALOG, [c.CLEANED_PLAYLISTS, c.ARTIST_CATALOG]))
def track_catalog(settings: dg.ResourceParam[Settings]) -> TableQuery:
    """Every track: a dense integer index, its id and title, artist, album, and counts.

    All sequences, models and rankings work on the index; names come back only at the edges. It
    falls with the number of *training* playlists, so that ties broken by index tell nothing of
    validation or test.
    """
    with user_errors():
        return track_catalog_query(cleaned_file(settings), usable_rule(settings))


@dg.asset(**_table_asset(c.PLAYLIST_SEQUENCES, [c.CLEANED_PLAYLISTS, c.TRACK_CATALOG]))
def playlist_sequences(settings: dg.ResourceParam[Settings]) -> TableQuery:
    """One row per playlist of three or more tracks: its tracks and artists in order, and its side.

    The side (train, validation or test) is a salted hash of the playlist id, so that an old playlist
    never changes side when new data arrives; with RECSYS_SPLIT=temporal the oldest playlists train and
    the newest test. The view `playlist_tracks` shows the same with names.
    """
    with user_errors():
        return playlist_sequences_query(cleaned_file(settings), usable_rule(settings))


def usable_rule(settings: Settings) -> SplitRule:
    """Return the split's rule after a look whether the cleaned playlists can be divided by it."""
    rule = SplitRule.of(settings)
    with user_errors():
        require_order(cleaned_file(settings), rule, source=str(settings.raw_or_demo))
    return rule


def _split_asset(table: str, description: str) -> dg.AssetsDefinition:
    @dg.asset(**_table_asset(table, [c.PLAYLIST_SEQUENCES]), description=description)
    def split_side(settings: dg.ResourceParam[Settings]) -> TableQuery:
        del settings  # asked for because the settings resource holds the run lock
        return split_query(table)

    return split_side  # type: ignore[no-any-return]


train_playlists = _split_asset(
    c.TRAIN_PLAYLISTS,
    "Candidates are trained on these: about 70 % of the playlists unless set otherwise.",
)
validation_playlists = _split_asset(
    c.VALIDATION_PLAYLISTS,
    "Candidates are measured on these, and the best one is chosen: about 20 % of the playlists.",
)
test_playlists = _split_asset(
    c.TEST_PLAYLISTS,
    "Touched once per refresh, by `best_model`, beside the champion: about 10 % of the playlists.",
)

ASSETS = [
    artist_catalog,
    track_catalog,
    playlist_sequences,
    train_playlists,
    validation_playlists,
    test_playlists,
]
