"""Recognising what a raw file is from its content: its header, its first bytes, a parquet schema.

One function decides, another describes what was seen instead. File names never count. Reading the
rows is the business of one module per format.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Final

import pyarrow as pa
import pyarrow.parquet as pq

NOWPLAYING_CSV: Final = "nowplaying_csv"
MPD_JSON: Final = "mpd_json"
LISTENING_CSV: Final = "listening_csv"
INTERACTIONS: Final = "interactions"

NOWPLAYING_FIELDS: Final = ("user_id", "artistname", "trackname", "playlistname")
LISTENING_FIELDS: Final = ("user_id", "date", "track", "artist")
INTERACTION_FIELDS: Final = ("playlist_id", "position", "track_id")

FORMATS: Final = {
    NOWPLAYING_CSV: 'CSV with the header "user_id", "artistname", "trackname", "playlistname"',
    MPD_JSON: 'Million Playlist Dataset JSON, {"info": ..., "playlists": [...]}',
    LISTENING_CSV: "CSV of listening events with the header user_id,date,track,artist,album",
    INTERACTIONS: "parquet or CSV with the columns playlist_id, position, track_id",
}
"""The formats that are read, with what each looks like."""

HEAD_BYTES: Final = 1 << 16
BOM: Final = b"\xef\xbb\xbf"
PARQUET_MAGIC: Final = b"PAR1"


@dataclass(frozen=True)
class Recognised:
    """What a look at a file told: its format, or None, and a few words on what was seen."""

    format: str | None
    seen: str


def recognise(stream: IO[bytes]) -> Recognised:
    """Recognise a file by its content.

    Parameters
    ----------
    stream
        The unpacked bytes, at their start; has to be seekable if they are parquet.
    """
    head = stream.read(HEAD_BYTES)
    if head.startswith(PARQUET_MAGIC):
        return _recognise_parquet(stream)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Recognised(None, "text in UTF-16; save it as UTF-8")
    text = head.removeprefix(BOM).lstrip()
    if not text:
        return Recognised(None, "nothing: the file is empty")
    if text.startswith((b"{", b"[")):
        return _recognise_json(text)
    line = re.split(rb"[\r\n]", text, maxsplit=1)[0]
    if b"\0" in line:
        return Recognised(None, f"binary data starting with {line[:16].hex(' ')}")
    return _of_columns(parse_header(line), "a header", line[:200])


def parse_header(line: bytes) -> list[str]:
    """Return a CSV header's names in lower case, without quotes and spaces around them."""
    text = line.removeprefix(BOM).decode("utf-8", "backslashreplace").strip()
    try:
        names = next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error:  # longer than any header
        return []
    return [re.sub(r"[\s-]+", "_", name.strip().strip('"').strip().lower()) for name in names]


def _recognise_json(text: bytes) -> Recognised:
    if text.startswith(b"{") and re.search(rb'"playlists"\s*:', text):
        return Recognised(MPD_JSON, "JSON with playlists")
    start = text[:60].decode("utf-8", "backslashreplace")
    return Recognised(None, f'JSON without "playlists" near its start: {start}')


def _recognise_parquet(stream: IO[bytes]) -> Recognised:
    stream.seek(0)
    try:
        names = pq.read_schema(stream).names
    except pa.ArrowInvalid as problem:
        return Recognised(None, f"damaged parquet: {problem}")
    return _of_columns([name.strip().lower() for name in names], "parquet columns", None)


def _of_columns(names: Sequence[str], what: str, line: bytes | None) -> Recognised:
    seen = f"{what} {', '.join(names)}"
    if line is not None:
        seen = f"{what} {line.decode('utf-8', 'backslashreplace')}"
    wanted: dict[str, tuple[str, ...]] = {INTERACTIONS: INTERACTION_FIELDS}
    if line is not None:
        wanted |= {NOWPLAYING_CSV: NOWPLAYING_FIELDS, LISTENING_CSV: LISTENING_FIELDS}
    for name, fields in wanted.items():
        if set(fields) <= set(names):
            repeated = sorted({one for one in names if names.count(one) > 1})
            if repeated:
                return Recognised(None, f"{seen} (repeated: {', '.join(repeated)})")
            return Recognised(name, seen)
    return Recognised(None, seen)
