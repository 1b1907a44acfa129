"""Interactions of any origin (baskets, courses, sessions): parquet or CSV with stable ids.

Positions order a playlist and are numbered anew without gaps; ids are text, whatever their type.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from recsys_assets import columns as c
from recsys_assets.errors import SourceError
from recsys_assets.sources.containers import open_bytes, unpack
from recsys_assets.sources.csv_files import RAW_TEXT, stage_csv
from recsys_assets.sources.fields import first_empty, literal, scoped_id, trimmed
from recsys_assets.sources.formats import PARQUET_MAGIC
from recsys_assets.sources.manifest import RawFile
from recsys_assets.sources.relation import SEQ_PER_FILE, FileRead, Staged, Workspace

_NEEDED = ("playlist_id", "position", "track_id")
_OPTIONAL = ("user_id", "playlist", "track", "artist", "album", "started_at")

_TIME = "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?(Z|[+]00(:?00)?)?"
_ISO_DATE = f"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ]{_TIME})?"
"""Dates in UTC. DuckDB's cast to TIMESTAMP drops any other offset in silence (1.5.6)."""


def stage(work: Workspace) -> Staged:
    """Stage interactions; of two rows with one (playlist_id, position) the first is taken."""
    # A parquet column of times with a zone is read as text: in UTC on every machine.
    work.connection.execute("SET TimeZone = 'UTC'")
    files = []
    for number, file in enumerate(work.manifest.files):
        if _is_parquet(file):
            files.append(_stage_parquet(work, number, file))
        else:
            files.append(stage_csv(work, "staged", number, _columns, multiline=True))
    work.connection.execute("""
        CREATE TEMP TABLE repeated AS
        SELECT seq FROM staged WHERE defect IS NULL
        QUALIFY row_number() OVER (PARTITION BY playlist, place ORDER BY seq) > 1""")
    work.connection.execute("""
        CREATE TEMP VIEW judged AS SELECT staged.*, coalesce(defect, CASE WHEN repeated.seq
            IS NOT NULL THEN 'position repeated within the playlist' END) AS reason
        FROM staged LEFT JOIN repeated USING (seq)""")
    return Staged(
        table="judged",
        defect="reason",
        columns={
            c.PLAYLIST_ID: "playlist",
            c.TRACK_ID: "track_id",
            c.TRACK_NAME: "track",
            c.ARTIST_ID: "artist",
            c.ARTIST_NAME: "artist",
            c.ALBUM_ID: scoped_id("artist", "album", "playlist"),
            c.ALBUM_NAME: "album",
            c.USER_ID: "user_name",
            c.PLAYLIST_NAME: "playlist_name",
            c.STARTED_AT: "started_at",
        },
        playlist=("playlist",),
        order="place",
        raw_text="coalesce(raw_text, to_json({"
        + ", ".join(f"{name}: {alias}" for name, alias in _STAGED_AS.items())
        + "})::VARCHAR)",
        files=files,
    )


_STAGED_AS = {
    "playlist_id": "playlist",
    "position": "place",
    "track_id": "track_id",
    "user_id": "user_name",
    "playlist": "playlist_name",
    "track": "track",
    "artist": "artist",
    "album": "album",
    "started_at": "started_at",
}
"""Column of the source -> column of the staged table."""


def _columns(fields: Mapping[str, str]) -> Mapping[str, str]:
    place = fields["position"]
    # A column with a gap comes out of pandas as 3.0: whole all the same.
    whole = f"regexp_full_match({place}, '[+-]?[0-9]{{1,18}}([.]0*)?')"
    values = {
        alias: fields.get(name, "NULL::VARCHAR")
        for name, alias in _STAGED_AS.items()
        if name != "position"
    }
    time = fields.get("started_at", "NULL::VARCHAR")
    started_at = f"""CASE WHEN regexp_full_match({time}, '[0-9]{{12,15}}')
        THEN make_timestamp({time}::BIGINT * 1000)
        WHEN regexp_full_match({time}, '{_ISO_DATE}') THEN TRY_CAST({time} AS TIMESTAMP) END"""
    return {
        "defect": f"""coalesce({first_empty([(name, fields[name]) for name in _NEEDED])},
            CASE WHEN NOT {whole} THEN 'position is not a whole number'
                WHEN {time} IS NOT NULL AND ({started_at}) IS NULL
                THEN 'started_at is neither a date in UTC nor epoch milliseconds' END)""",
        "raw_text": RAW_TEXT,
        **values,
        "started_at": started_at,
        "place": f"split_part({place}, '.', 1)::BIGINT",
    }


def _is_parquet(file: RawFile) -> bool:
    with open_bytes(Path(file.path), file.container, file.member, file.name) as stream:
        return stream.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC


def _stage_parquet(work: Workspace, number: int, file: RawFile) -> FileRead:
    started = time.monotonic()
    path = unpack(
        Path(file.path), file.container, file.member, file.name, work.scratch / f"{number}.parquet"
    )
    metadata = pq.read_metadata(path)
    names = {name.strip().lower(): name for name in metadata.schema.to_arrow_schema().names}
    present = [name for name in (*_NEEDED, *_OPTIONAL) if name in names]
    asked = dict(_columns({name: f"given_{name}" for name in present}))
    defect, _ = asked.pop("defect"), asked.pop("raw_text")
    original = ", ".join(f"{name}: {_quoted(names[name])}" for name in present)
    given = ", ".join(f"{trimmed(f'original.{name}::VARCHAR')} AS given_{name}" for name in present)
    kept = ", ".join(
        f"CASE WHEN defect IS NULL THEN {one} END AS {name}" for name, one in asked.items()
    )
    verb = "INSERT INTO staged" if number else "CREATE TEMP TABLE staged AS"
    try:
        work.connection.execute(f"""{verb}
            WITH read AS (
                SELECT file_row_number + 1 AS line, {{{original}}} AS original
                FROM read_parquet({literal(str(path))}, file_row_number = true)
            ), given AS (SELECT line, original, {given} FROM read),
            judged AS (SELECT *, {defect} AS defect FROM given)
            SELECT {number * SEQ_PER_FILE} + line AS seq, defect,
                CASE WHEN defect IS NOT NULL THEN to_json(original)::VARCHAR END AS raw_text, {kept}
            FROM judged""")
    except duckdb.Error as problem:
        raise SourceError(
            f"{file.name}: expected parquet with {', '.join(_NEEDED)}, found a file that cannot be "
            f"read: {problem}; write it again"
        ) from problem
    return FileRead(metadata.num_rows, path.stat().st_size, time.monotonic() - started)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
