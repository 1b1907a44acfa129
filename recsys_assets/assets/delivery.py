"""Assets of the group delivery: similarity files for serving stacks.

Both come from the champion, whatever the last refresh decided, so that what is served is what is
registered. Finding neighbours and writing files belong in `similarity/`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from recsys_assets import columns as c
from recsys_assets.assets.common import (
    DELIVERY,
    DOMAIN_TAGS,
    FRESHNESS,
    OWNERS,
    Stopwatch,
    file_metadata,
    user_errors,
)
from recsys_assets.assets.selection import champion_folder
from recsys_assets.code_version import code_version
from recsys_assets.errors import DataError
from recsys_assets.models.registry import build
from recsys_assets.playlists import Catalog, Float32, Int32
from recsys_assets.preparation.catalog import artists_as_catalog
from recsys_assets.preparation.queries import markdown_table, read_head
from recsys_assets.preparation.sequences import artist_playlists
from recsys_assets.serving.bundle import Bundle
from recsys_assets.settings import Settings
from recsys_assets.similarity.files import parquet_path, sorted_by_key, write_similarity
from recsys_assets.similarity.nearest import SimilarItems, nearest_items, plays_of
from recsys_assets.similarity.search import Plan, plan_search

TRACKS_FILE, ARTISTS_FILE = "tracks.txt", "artists.txt"


def tracks_file(settings: Settings) -> Path:
    """Return the text file of track neighbours."""
    return settings.similarity / TRACKS_FILE


def artists_file(settings: Settings) -> Path:
    """Return the text file of artist neighbours."""
    return settings.similarity / ARTISTS_FILE


_SHARED: dict[str, Any] = {
    "group_name": DELIVERY,
    "owners": OWNERS,
    "tags": DOMAIN_TAGS,
    "kinds": {"file", "parquet"},
    "code_version": code_version("similarity", "models/inverted_lists.py", "assets/delivery.py"),
    "freshness_policy": FRESHNESS,
}


@dg.asset(
    name=c.TRACK_SIMILARITY,
    deps=[c.BEST_MODEL],
    ins={c.TRACK_CATALOG: dg.AssetIn(metadata={"columns": [c.TRACK_ID, c.PLAY_COUNT]})},
    **_SHARED,
)
def track_similarity(
    context: dg.AssetExecutionContext,
    track_catalog: pa.Table,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult[None]:
    """The nearest tracks of every track that the champion was trained on.

    RECSYS_SIMILARITY_MIN_PLAYS leaves out the keys, not the neighbours, of fewer plays.

    `similarity/tracks.txt` holds one line per track, `key neighbour1 neighbour2 …`, nearest first,
    sorted by key; ids with white space are percent-encoded. The parquet beside it has columns item,
    rank, neighbour, score and names.
    """
    with user_errors():
        bundle = Bundle.load(champion_folder(settings))
        keys = bundle.model.popular
        if settings.similarity_min_plays > 1:
            keys = keys[
                plays_of(bundle.catalog, track_catalog)[keys] >= settings.similarity_min_plays
            ]
        if len(keys) == 0:
            raise DataError(
                f"RECSYS_SIMILARITY_MIN_PLAYS={settings.similarity_min_plays}: expected at least one "
                "track with so many plays, found none; lower it"
            )
        return _deliver(
            context,
            bundle.model,
            bundle.catalog,
            tracks_file(settings),
            settings,
            keys,
        )


@dg.asset(
    name=c.ARTIST_SIMILARITY,
    deps=[c.BEST_MODEL],
    ins={
        c.TRAIN_PLAYLISTS: dg.AssetIn(metadata={"columns": [c.ARTIST_SEQUENCE]}),
        c.VALIDATION_PLAYLISTS: dg.AssetIn(metadata={"columns": [c.ARTIST_SEQUENCE]}),
        c.ARTIST_CATALOG: dg.AssetIn(metadata={"columns": [c.ARTIST_ID, c.ARTIST_NAME]}),
    },
    **_SHARED,
)
def artist_similarity(
    context: dg.AssetExecutionContext,
    train_playlists: pa.Table,
    validation_playlists: pa.Table,
    artist_catalog: pa.Table,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult[None]:
    """The nearest artists of every artist, in the same format as the tracks.

    The champion's family and hyperparameters, fitted on the playlists' artist sequences (train +
    validation; a run of one artist counts once). Both files are empty where the source has no
    artists.
    """
    with user_errors():
        champion = Bundle.load(champion_folder(settings)).model
        catalog = artists_as_catalog(artist_catalog)
        if len(catalog) == 0:
            context.log.info("the source has no artists: the files are empty")
            return _deliver(context, None, catalog, artists_file(settings), settings)
        playlists = artist_playlists(train_playlists).concat(artist_playlists(validation_playlists))
        family, parameters = champion.neighbour_model()
        model = build(family, parameters.model_dump()).fit(
            playlists, catalog, seed=settings.seed, progress=context.log.info
        )
        return _deliver(context, model, catalog, artists_file(settings), settings)


def _deliver(
    context: dg.AssetExecutionContext,
    model: SimilarItems | None,
    catalog: Catalog,
    path: Path,
    settings: Settings,
    keys: Int32 | None = None,
) -> dg.MaterializeResult[None]:
    """Find the neighbours of `keys`, or of every item seen in training, and write both files."""
    watch = Stopwatch()
    neighbours = settings.neighbours
    blocks: Iterable[tuple[Int32, Int32, Float32]] = ()
    plan = Plan(method="own")
    if model is not None:
        items = sorted_by_key(model.popular if keys is None else keys, catalog)
        plan = plan_search(
            model,
            items,
            neighbours,
            method=settings.similarity_search,
            recall=settings.similarity_recall,
            seed=settings.seed,
            progress=context.log.info,
        )
        blocks = nearest_items(
            model, items, neighbours, search=plan.search, progress=context.log.info
        )
    written = write_similarity(path, blocks, catalog)
    return dg.MaterializeResult(
        metadata={
            **file_metadata(path),
            "parquet": dg.MetadataValue.path(str(parquet_path(path))),
            "dagster/row_count": written * neighbours,
            "items": written,
            "neighbours": neighbours,
            "search": plan.method,
            "recall": plan.recall,
            "vectors_looked_at": plan.looked_at,
            "preview": dg.MetadataValue.md(markdown_table(read_head(parquet_path(path)))),
            "seconds": watch.seconds,
        }
    )


ASSETS = [track_similarity, artist_similarity]
