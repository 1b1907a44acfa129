"""Writing what the quick reader numbered: the cleaned rows, and the same rows coded as integers.

Ids are formed by the format's own SQL expressions, once for each distinct playlist and song; parquet
takes every column as dictionary and numbers, so that no string is handled row by row. Reading is the
business of `quick_csv.py`; what the coded tables hold is said in `coded.py`.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys_assets import columns as c
from recsys_assets.sources import record_kernels as kernels
from recsys_assets.sources.coded import CodedFiles
from recsys_assets.sources.numbered import Numbered
from recsys_assets.sources.record_kernels import Int32, Int64

_ROWS_PER_GROUP: Final = 1 << 19
_SONGS_AT_ONCE: Final = 1 << 18
_NO_DICTIONARY_LIMIT: Final = 1 << 30
"""Beyond its default of 1 MiB the writer would give up a column's dictionary."""

_ARROW_TYPES: Final = {
    "VARCHAR": pa.dictionary(pa.int32(), pa.string()),
    "INTEGER": pa.int32(),
    "TIMESTAMP": pa.timestamp("us"),
}
_CLEANED_SCHEMA: Final = pa.schema(
    [(name, _ARROW_TYPES[kind]) for name, kind in c.CLEANED_COLUMNS.items()]
)

_ROWS_SCHEMA: Final = pa.schema(
    [
        (c.PLAYLIST_NUMBER, pa.int32()),
        (c.POSITION, pa.int32()),
        (c.TRACK_NUMBER, pa.int32()),
        (c.ARTIST_NUMBER, pa.int32()),
        (c.FIRST_OF_TRACK, pa.bool_()),
        (c.FIRST_OF_ARTIST, pa.bool_()),
    ]
)

Bools = npt.NDArray[np.bool_]


class NumberedRows:
    """The rows of a `Numbered`, with texts as Arrow arrays and ids formed; takes its arrays over.

    Parameters
    ----------
    numbered
        From `read_quickly`; its dictionaries are emptied, for they take half of the memory.
    expressions
        The format's expressions for `CLEANED_COLUMNS`, over ``user_name``, ``playlist``,
        ``artist`` and ``track``.
    connection
        Where the expressions are evaluated.
    """

    def __init__(
        self,
        numbered: Numbered,
        expressions: Mapping[str, str],
        connection: duckdb.DuckDBPyConnection,
    ) -> None:
        self._playlist, self._song = numbered.playlist, numbered.song
        self._user_of, self._name_of = numbered.playlists.members()
        self._artist_of, self._track_of = numbered.songs.members()
        self._users, self._names = numbered.users.strings(), numbered.names.strings()
        self._artists, self._tracks = numbered.artists.strings(), numbered.tracks.strings()
        for dictionary in ("users", "names", "artists", "tracks", "playlists", "songs"):
            delattr(numbered, dictionary)
        self._playlist_ids = _evaluated(
            connection, expressions[c.PLAYLIST_ID], self._playlist_parts()
        )
        self._track_ids = _evaluated(connection, expressions[c.TRACK_ID], self._song_parts())
        np.maximum(self._artist_of, -1, out=self._artist_of)
        self._starts = np.empty(len(self._user_of) + 1, np.int64)
        self._places = np.empty(len(self._playlist), np.int32)
        kernels.places_in_groups(self._playlist, self._starts, self._places)

    def write_cleaned(self, path: Path) -> None:
        """Write the cleaned rows, in the order of the files."""
        scratch = {
            name: (np.full(size, -1, np.int32), np.empty(size, np.int32))
            for name, size in (
                (c.PLAYLIST_ID, len(self._user_of)),
                (c.TRACK_ID, len(self._track_of)),
                (c.TRACK_NAME, len(self._tracks)),
                (c.ARTIST_ID, len(self._artists)),
                (c.USER_ID, len(self._users)),
                (c.PLAYLIST_NAME, len(self._names)),
            )
        }

        def encoded(begin: int) -> pa.Table:
            part = slice(begin, begin + _ROWS_PER_GROUP)
            song, playlist = self._song[part], self._playlist[part]
            texts = {
                c.PLAYLIST_ID: (playlist, self._playlist_ids),
                c.TRACK_ID: (song, self._track_ids),
                c.TRACK_NAME: (self._track_of[song], self._tracks),
                c.ARTIST_ID: (self._artist_of[song], self._artists),
                c.USER_ID: (self._user_of[playlist], self._users),
                c.PLAYLIST_NAME: (self._name_of[playlist], self._names),
            }
            columns = {
                name: _encoded(numbers, strings, *scratch[name])
                for name, (numbers, strings) in texts.items()
            }
            columns[c.ARTIST_NAME] = columns[c.ARTIST_ID]
            columns[c.POSITION] = pa.array(self._places[part])
            return pa.table(
                [
                    columns.get(field.name, pa.nulls(len(song), field.type))
                    for field in _CLEANED_SCHEMA
                ],
                names=_CLEANED_SCHEMA.names,
            )

        # One group is encoded while the one before is written: the writer uses one core.
        with (
            _writer(path, _CLEANED_SCHEMA, dictionary=True) as writer,
            ThreadPoolExecutor(1, thread_name_prefix="recsys") as pool,
        ):
            ahead = pool.submit(encoded, 0)
            for begin in range(0, len(self._song), _ROWS_PER_GROUP):
                group = ahead.result()
                if begin + _ROWS_PER_GROUP < len(self._song):
                    ahead = pool.submit(encoded, begin + _ROWS_PER_GROUP)
                writer.write_table(group)

    def write_coded(self, files: CodedFiles) -> None:
        """Write the four tables of `CodedFiles`; may run beside `write_cleaned`."""
        song = np.empty_like(self._song)
        kernels.sort_by_place(self._song, self._playlist, self._starts, self._places, song)
        artist = self._artist_of[song]
        first_of_track = self._first(song, len(self._track_of))
        first_of_artist = self._first(artist, len(self._artists))
        files.folder.mkdir(parents=True, exist_ok=True)
        with _writer(files.rows, _ROWS_SCHEMA, dictionary=False) as writer:
            for begin in range(0, len(song), _ROWS_PER_GROUP):
                part = slice(begin, min(begin + _ROWS_PER_GROUP, len(song)))
                row = np.arange(part.start, part.stop)
                playlist = np.searchsorted(self._starts, row, side="right") - 1
                columns = {
                    c.PLAYLIST_NUMBER: playlist.astype(np.int32),
                    c.POSITION: (row - self._starts[playlist]).astype(np.int32),
                    c.TRACK_NUMBER: song[part],
                    c.ARTIST_NUMBER: artist[part],
                    c.FIRST_OF_TRACK: first_of_track[part],
                    c.FIRST_OF_ARTIST: first_of_artist[part],
                }
                writer.write_table(pa.table(columns, schema=_ROWS_SCHEMA))
        tracks, artists = len(self._track_of), len(self._artists)
        _write(
            files.tracks,
            {
                c.TRACK_NUMBER: np.arange(tracks, dtype=np.int32),
                c.TRACK_ID: self._track_ids,
                c.TRACK_NAME: self._tracks.take(pa.array(self._track_of)),
                c.ARTIST_NUMBER: self._artist_of,
                c.ALBUM_ID: pa.nulls(tracks, pa.string()),
                c.PLAYLIST_COUNT: np.bincount(song[first_of_track], minlength=tracks),
                c.PLAY_COUNT: np.bincount(song, minlength=tracks),
            },
        )
        known = artist[artist >= 0]
        _write(
            files.artists,
            {
                c.ARTIST_NUMBER: np.arange(artists, dtype=np.int32),
                c.ARTIST_ID: self._artists,
                c.ARTIST_NAME: self._artists,
                c.PLAYLIST_COUNT: np.bincount(artist[first_of_artist], minlength=artists),
                c.PLAY_COUNT: np.bincount(known, minlength=artists),
            },
        )
        _write(
            files.playlists,
            {
                c.PLAYLIST_NUMBER: np.arange(len(self._user_of), dtype=np.int32),
                c.PLAYLIST_ID: self._playlist_ids,
                c.PLAYLIST_NAME: self._names.take(pa.array(self._name_of)),
                c.USER_ID: self._users.take(pa.array(self._user_of)),
                c.STARTED_AT: pa.nulls(len(self._user_of), pa.timestamp("us")),
                c.TRACK_COUNT: np.diff(self._starts).astype(np.int32),
            },
        )

    def _playlist_parts(self) -> Iterator[pa.Table]:
        for begin in range(0, len(self._user_of), _SONGS_AT_ONCE):
            part = slice(begin, begin + _SONGS_AT_ONCE)
            yield pa.table(
                {
                    "user_name": self._users.take(pa.array(self._user_of[part])),
                    "playlist": self._names.take(pa.array(self._name_of[part])),
                }
            )

    def _song_parts(self) -> Iterator[pa.Table]:
        for begin in range(0, len(self._track_of), _SONGS_AT_ONCE):
            artist = self._artist_of[begin : begin + _SONGS_AT_ONCE]
            alone = artist < 0
            playlist = np.where(alone, -1 - artist, 0)
            yield pa.table(
                {
                    "artist": _taken(self._artists, artist, alone),
                    "track": self._tracks.take(
                        pa.array(self._track_of[begin : begin + _SONGS_AT_ONCE])
                    ),
                    "user_name": _taken(self._users, self._user_of[playlist], ~alone),
                    "playlist": _taken(self._names, self._name_of[playlist], ~alone),
                }
            )

    def _first(self, items: Int32, count: int) -> Bools:
        first = np.zeros(len(items), np.uint8)
        kernels.mark_first(items, self._starts, np.full(count, -1, np.int32), first)
        return first.view(np.bool_)


def _taken(strings: pa.LargeStringArray, numbers: Int32, null: Bools) -> pa.LargeStringArray:
    return strings.take(pa.array(numbers, mask=null))


def _evaluated(
    connection: duckdb.DuckDBPyConnection, expression: str, parts: Iterator[pa.Table]
) -> pa.LargeStringArray:
    """Return the values of an expression over the parts' rows, in their order."""
    values: list[pa.Array] = []
    for part in parts:
        connection.register("numbered_part", part)
        result = connection.execute(f"SELECT {expression} FROM numbered_part").to_arrow_table()
        values += pc.cast(result.column(0), pa.large_string()).chunks
        connection.unregister("numbered_part")
    return pa.concat_arrays(values) if values else pa.array([], pa.large_string())


def _encoded(
    numbers: Int32, strings: pa.LargeStringArray, local: Int32, distinct: Int32
) -> pa.DictionaryArray:
    """Return the strings of `numbers` (-1: null) as a dictionary of those that occur."""
    indices = np.empty(len(numbers), np.int32)
    count = kernels.local_numbers(numbers, local, distinct, indices)
    values = pc.cast(strings.take(pa.array(distinct[:count])), pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=indices < 0), values)


def _writer(path: Path, schema: pa.Schema, *, dictionary: bool) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=dictionary,
        dictionary_pagesize_limit=_NO_DICTIONARY_LIMIT,
        # Of strings they cost 40 % of the writing, and rows in the order of a file are never
        # pruned by them.
        write_statistics=[field.name for field in schema if field.type == pa.int32()],
        store_schema=False,
    )


def _write(path: Path, columns: Mapping[str, pa.Array | Int32 | Int64]) -> None:
    table = pa.table(dict(columns))
    with _writer(path, table.schema, dictionary=False) as writer:
        writer.write_table(table, row_group_size=_SONGS_AT_ONCE)
