"""Track and artist catalogues: a dense integer index for every id, with names and counts.

Holds the SQL that makes both tables from the cleaned playlists, and the function that turns the track
table into a `Catalog`. Sequences and splits are made elsewhere.

The index falls with the number of *training* playlists, ties by id. Ordering by popularity over all
playlists would leak: rankings break ties by index, so a track seen once in training would be put
first exactly when validation or test holds it too.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys_assets import columns as c
from recsys_assets.playlists import Catalog
from recsys_assets.preparation.queries import TableQuery
from recsys_assets.preparation.split import TRAIN_PERCENT, split_bucket, used_playlists


def _training_ids(salt: str, sample_percent: float) -> str:
    return f"""
        SELECT {c.PLAYLIST_ID} FROM ({used_playlists(sample_percent)})
        WHERE {split_bucket(c.PLAYLIST_ID, salt)} < {TRAIN_PERCENT} * 100
    """


def artist_catalog_query(cleaned: Path, *, salt: str, sample_percent: float) -> TableQuery:
    """Return the table of all artists.

    Columns: artist_index int32 (dense from 0), artist_id, artist_name, playlist_count, play_count,
    train_playlist_count int64. Rows without an artist are not counted.
    """
    return TableQuery(
        f"""
        WITH cleaned AS (FROM read_parquet($cleaned)),
        training AS ({_training_ids(salt, sample_percent)}),
        per_playlist AS (
            SELECT {c.ARTIST_ID}, {c.PLAYLIST_ID}, min({c.ARTIST_NAME}) AS name, count(*) AS plays
            FROM cleaned WHERE {c.ARTIST_ID} IS NOT NULL GROUP BY ALL
        ),
        per_artist AS (
            SELECT {c.ARTIST_ID}, min(name) AS {c.ARTIST_NAME},
                count(*) AS {c.PLAYLIST_COUNT}, sum(plays)::BIGINT AS {c.PLAY_COUNT},
                count(training.{c.PLAYLIST_ID}) AS {c.TRAIN_PLAYLIST_COUNT}
            FROM per_playlist LEFT JOIN training USING ({c.PLAYLIST_ID})
            GROUP BY {c.ARTIST_ID}
        )
        SELECT (row_number() OVER rank - 1)::INTEGER AS {c.ARTIST_INDEX},
            {c.ARTIST_ID}, {c.ARTIST_NAME}, {c.PLAYLIST_COUNT}, {c.PLAY_COUNT},
            {c.TRAIN_PLAYLIST_COUNT}
        FROM per_artist
        WINDOW rank AS (ORDER BY {c.TRAIN_PLAYLIST_COUNT} DESC, {c.ARTIST_ID})
        ORDER BY {c.ARTIST_INDEX}
        """,
        {"cleaned": str(cleaned)},
    )


def track_catalog_query(cleaned: Path, *, salt: str, sample_percent: float) -> TableQuery:
    """Return the table of all tracks; reads the table artist_catalog.

    Columns: track_index int32 (dense from 0), track_id, track_name, artist_index int32 (-1 without
    an artist), album_index int32 (-1 without an album), playlist_count, play_count,
    train_playlist_count int64.
    """
    return TableQuery(
        f"""
        WITH cleaned AS (FROM read_parquet($cleaned)),
        training AS ({_training_ids(salt, sample_percent)}),
        per_playlist AS (
            SELECT {c.TRACK_ID}, {c.PLAYLIST_ID}, min({c.TRACK_NAME}) AS name,
                min({c.ARTIST_ID}) AS artist, min({c.ALBUM_ID}) AS album, count(*) AS plays
            FROM cleaned GROUP BY ALL
        ),
        per_track AS (
            SELECT {c.TRACK_ID}, min(name) AS {c.TRACK_NAME}, min(artist) AS {c.ARTIST_ID},
                min(album) AS {c.ALBUM_ID},
                count(*) AS {c.PLAYLIST_COUNT}, sum(plays)::BIGINT AS {c.PLAY_COUNT},
                count(training.{c.PLAYLIST_ID}) AS {c.TRAIN_PLAYLIST_COUNT}
            FROM per_playlist LEFT JOIN training USING ({c.PLAYLIST_ID})
            GROUP BY {c.TRACK_ID}
        )
        SELECT (row_number() OVER rank - 1)::INTEGER AS {c.TRACK_INDEX},
            {c.TRACK_ID}, {c.TRACK_NAME},
            coalesce({c.ARTIST_INDEX}, -1)::INTEGER AS {c.ARTIST_INDEX},
            CASE WHEN {c.ALBUM_ID} IS NULL THEN -1
                ELSE dense_rank() OVER (ORDER BY {c.ALBUM_ID} NULLS LAST) - 1
            END::INTEGER AS {c.ALBUM_INDEX},
            per_track.{c.PLAYLIST_COUNT}, per_track.{c.PLAY_COUNT},
            per_track.{c.TRAIN_PLAYLIST_COUNT}
        FROM per_track LEFT JOIN {c.ARTIST_CATALOG} USING ({c.ARTIST_ID})
        WINDOW rank AS (ORDER BY per_track.{c.TRAIN_PLAYLIST_COUNT} DESC, {c.TRACK_ID})
        ORDER BY {c.TRACK_INDEX}
        """,
        {"cleaned": str(cleaned)},
    )


def tracks_as_catalog(track_catalog: pa.Table) -> Catalog:
    """Turn the track table (in order of its index) into the models' `Catalog`."""
    return Catalog(
        ids=_strings(track_catalog[c.TRACK_ID]),
        names=_strings(track_catalog[c.TRACK_NAME]),
        artist_index=track_catalog[c.ARTIST_INDEX].to_numpy().astype(np.int32),
        album_index=track_catalog[c.ALBUM_INDEX].to_numpy().astype(np.int32),
    )


def artists_as_catalog(artist_catalog: pa.Table) -> Catalog:
    """Turn the artist table into a `Catalog` in which every artist is an item of its own artist."""
    return Catalog(
        ids=_strings(artist_catalog[c.ARTIST_ID]),
        names=_strings(artist_catalog[c.ARTIST_NAME]),
        artist_index=np.arange(len(artist_catalog), dtype=np.int32),
    )


def _strings(column: pa.ChunkedArray) -> pa.StringArray:
    strings = pc.cast(column, pa.string())
    return pa.concat_arrays(strings.chunks) if strings.num_chunks else pa.array([], pa.string())
