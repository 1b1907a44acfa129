"""Names of tables and columns, as constants.

Everything that reads or writes a table takes its names from here, so that a rename is one line and a
typo is an ImportError. No types, no SQL and no logic.
"""

from typing import Final

# --- the files found (raw_playlists) -----------------------------------------------------------
FORMAT: Final = "format"
BYTES: Final = "bytes"

# --- the common relation of every source (cleaned_playlists) -----------------------------------
PLAYLIST_ID: Final = "playlist_id"
POSITION: Final = "position"
TRACK_ID: Final = "track_id"
TRACK_NAME: Final = "track_name"
ARTIST_ID: Final = "artist_id"
ARTIST_NAME: Final = "artist_name"
ALBUM_ID: Final = "album_id"
ALBUM_NAME: Final = "album_name"
USER_ID: Final = "user_id"
PLAYLIST_NAME: Final = "playlist_name"
STARTED_AT: Final = "started_at"

CLEANED_COLUMNS: Final = {
    PLAYLIST_ID: "VARCHAR",
    POSITION: "INTEGER",
    TRACK_ID: "VARCHAR",
    TRACK_NAME: "VARCHAR",
    ARTIST_ID: "VARCHAR",
    ARTIST_NAME: "VARCHAR",
    ALBUM_ID: "VARCHAR",
    ALBUM_NAME: "VARCHAR",
    USER_ID: "VARCHAR",
    PLAYLIST_NAME: "VARCHAR",
    STARTED_AT: "TIMESTAMP",
}
"""Columns of `cleaned_playlists` in order, with their DuckDB types."""

# --- rows not taken (rejected_rows) ------------------------------------------------------------
SOURCE_FILE: Final = "source_file"
LINE: Final = "line"
JSON_PATH: Final = "json_path"
KIND: Final = "kind"
REASON: Final = "reason"
RAW_TEXT: Final = "raw_text"

REJECTED_COLUMNS: Final = {
    SOURCE_FILE: "VARCHAR",
    LINE: "BIGINT",
    JSON_PATH: "VARCHAR",
    KIND: "VARCHAR",
    REASON: "VARCHAR",
    RAW_TEXT: "VARCHAR",
}
"""Columns of `rejected_rows` in order, with their DuckDB types."""

KIND_DEFECT: Final = "defect"
"""A row that cannot be used: counts towards the limit on rejected rows."""
KIND_FILTER: Final = "filter"
"""A sound row that a filter of the user's left out: never counts towards the limit."""

# --- the cleaned rows as integers (sources/coded.py) -------------------------------------------
PLAYLIST_NUMBER: Final = "playlist_number"
TRACK_NUMBER: Final = "track_number"
ARTIST_NUMBER: Final = "artist_number"
FIRST_OF_TRACK: Final = "first_of_track"
FIRST_OF_ARTIST: Final = "first_of_artist"

# --- catalogues --------------------------------------------------------------------------------
TRACK_INDEX: Final = "track_index"
ARTIST_INDEX: Final = "artist_index"
ALBUM_INDEX: Final = "album_index"
PLAYLIST_COUNT: Final = "playlist_count"
PLAY_COUNT: Final = "play_count"
TRAIN_PLAYLIST_COUNT: Final = "train_playlist_count"

# --- sequences and splits ----------------------------------------------------------------------
TRACK_SEQUENCE: Final = "track_sequence"
ARTIST_SEQUENCE: Final = "artist_sequence"
TRACK_COUNT: Final = "track_count"
SPLIT: Final = "split"
TRAIN: Final = "train"
VALIDATION: Final = "validation"
TEST: Final = "test"

# --- leaderboard -------------------------------------------------------------------------------
CANDIDATE: Final = "candidate"
FAMILY: Final = "family"
METRIC: Final = "metric"
VALUE: Final = "value"
LOW: Final = "low"
HIGH: Final = "high"
DATA_VERSION: Final = "data_version"
SLICE: Final = "slice"
PLACE: Final = "place"

# --- challenge_metrics -------------------------------------------------------------------------
SEEDS: Final = "seeds"
PLAYLISTS: Final = "playlists"
FINGERPRINT: Final = "fingerprint"

# --- similarity files --------------------------------------------------------------------------
ITEM: Final = "item"
RANK: Final = "rank"
NEIGHBOUR: Final = "neighbour"
SCORE: Final = "score"
ITEM_NAME: Final = "item_name"
NEIGHBOUR_NAME: Final = "neighbour_name"

# --- tables ------------------------------------------------------------------------------------
SCHEMA: Final = "main"
RAW_PLAYLISTS: Final = "raw_playlists"
CLEANED_PLAYLISTS: Final = "cleaned_playlists"
REJECTED_ROWS: Final = "rejected_rows"
TRACK_CATALOG: Final = "track_catalog"
ARTIST_CATALOG: Final = "artist_catalog"
PLAYLIST_SEQUENCES: Final = "playlist_sequences"
TRAIN_PLAYLISTS: Final = "train_playlists"
VALIDATION_PLAYLISTS: Final = "validation_playlists"
TEST_PLAYLISTS: Final = "test_playlists"
LEADERBOARD: Final = "leaderboard"
CHALLENGE_METRICS: Final = "challenge_metrics"
BEST_MODEL: Final = "best_model"
TRACK_SIMILARITY: Final = "track_similarity"
ARTIST_SIMILARITY: Final = "artist_similarity"
