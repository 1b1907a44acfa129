"""Million Playlist Dataset JSON: slices read one at a time by DuckDB, with a path for every track.

Tolerates missing fields and entries of another shape. What can be saved of a slice that is not
valid JSON is told by `json_damage.py`.
"""

import json
import time
from pathlib import Path

import duckdb

from recsys_assets import columns as c
from recsys_assets.sources.containers import unpack
from recsys_assets.sources.fields import literal, scoped_id, trimmed
from recsys_assets.sources.json_damage import find_damage
from recsys_assets.sources.manifest import RawFile
from recsys_assets.sources.relation import SEQ_PER_FILE, FileRead, Staged, Workspace
from recsys_assets.sources.staged_parts import counts_of, insert_rows, read_before, write_rows

_PLAYLISTS = "playlists.parquet"
_TRACKS_PER_PLAYLIST = 1 << 20
_TRACK_FIELDS = (
    "artist_name", "track_uri", "artist_uri", "track_name", "album_uri", "album_name",
)  # fmt: skip


def stage(work: Workspace) -> Staged:
    """Stage slices; the first of two playlists of one pid is taken."""
    work.connection.execute(f"""
        CREATE TEMP TABLE seen_playlists (pid VARCHAR, source_file VARCHAR);
        CREATE TEMP TABLE staged (seq BIGINT, defect VARCHAR, raw_text VARCHAR, json_path VARCHAR,
            pid VARCHAR, playlist_name VARCHAR, modified_at TIMESTAMP, place BIGINT,
            {", ".join(f"{name} VARCHAR" for name in _TRACK_FIELDS)})""")
    files = [_stage_slice(work, number) for number in range(len(work.manifest.files))]
    # An artist whose URI some rows lack is one artist all the same.
    work.connection.execute("""
        CREATE TEMP TABLE artist_uris AS
        SELECT artist_name, artist_uri AS known_uri
        FROM (SELECT artist_name, artist_uri, count(*) AS mentions FROM staged
            WHERE defect IS NULL AND artist_name IS NOT NULL AND artist_uri IS NOT NULL
            GROUP BY ALL)
        QUALIFY row_number() OVER (
            PARTITION BY artist_name ORDER BY mentions DESC, artist_uri) = 1;
        CREATE TEMP VIEW with_artists AS
        SELECT * FROM staged LEFT JOIN artist_uris USING (artist_name)""")
    return Staged(
        table="with_artists",
        defect="defect",
        columns={
            c.PLAYLIST_ID: "pid",
            c.TRACK_ID: f"coalesce(track_uri, {scoped_id('artist_name', 'track_name', 'pid')})",
            c.TRACK_NAME: "track_name",
            c.ARTIST_ID: "coalesce(artist_uri, known_uri, artist_name)",
            c.ARTIST_NAME: "artist_name",
            c.ALBUM_ID: f"coalesce(album_uri, {scoped_id('artist_name', 'album_name', 'pid')})",
            c.ALBUM_NAME: "album_name",
            c.PLAYLIST_NAME: "playlist_name",
            c.STARTED_AT: "modified_at",
        },
        playlist=("pid",),
        order="place, seq",
        raw_text="raw_text",
        json_path="json_path",
        files=files,
    )


def _stage_slice(work: Workspace, number: int) -> FileRead:
    """Stage one slice; what depends on other files or on the slice's place makes no part."""
    started = time.monotonic()
    file = work.manifest.files[number]
    part = work.parts.find(file)
    if part is not None and _are_new(work.connection, part.folder / _PLAYLISTS):
        work.connection.execute(
            f"INSERT INTO seen_playlists SELECT pid, {literal(file.name)} "
            f"FROM read_parquet({literal(str(part.folder / _PLAYLISTS))})"
        )
        insert_rows(work, "staged", number, part.folder, first=False)
        return read_before(work, part, started)
    read, alone = _read_slice(work, number)
    if part is None and alone and work.parts.are_made_of(file):
        with work.parts.adding(file, counts_of(read)) as folder:
            write_rows(work, "staged", number, folder)
            work.connection.execute(
                "COPY (SELECT pid FROM slice_playlists WHERE pid IS NOT NULL) "
                f"TO {literal(str(folder / _PLAYLISTS))} (FORMAT parquet)"
            )
    return read


def _are_new(connection: duckdb.DuckDBPyConnection, playlists: Path) -> bool:
    """Tell whether no slice before has a playlist of a part."""
    return not connection.execute(
        f"FROM read_parquet({literal(str(playlists))}) SEMI JOIN seen_playlists USING (pid) LIMIT 1"
    ).fetchall()


def _read_slice(work: Workspace, number: int) -> tuple[FileRead, bool]:
    """Stage one slice from its JSON; returns also whether its rows depend on nothing else."""
    started = time.monotonic()
    file = work.manifest.files[number]
    original = unpack(
        Path(file.path), file.container, file.member, file.name, work.scratch / f"{number}.json"
    )
    path, whole = original, work.scratch / f"{number}.whole.json"
    size = original.stat().st_size
    rejected_bytes = 0
    problem = _shape_problem(work.connection, original)
    if problem is not None:
        keep = work.options.truncated_json == "keep_whole_playlists"
        damage = find_damage(original, problem, keep_playlists=keep)
        whole.write_text(damage.whole, encoding="utf-8")
        if _shape_problem(work.connection, whole) is not None:  # valid for Python's decoder only
            damage = find_damage(original, problem, keep_playlists=False)
            whole.write_text(damage.whole, encoding="utf-8")
        path, rejected_bytes = whole, damage.rejected_bytes
        work.progress(f"{file.name}: {damage.reason}")
        work.connection.execute(
            "INSERT INTO staged (seq, defect, json_path, raw_text) VALUES (?, ?, ?, ?)",
            [(number + 1) * SEQ_PER_FILE - 1, damage.reason, damage.json_path, damage.excerpt],
        )
    entries = _count_entries(work.connection, path)
    _insert(work, number, file, path)
    for scratch in work.scratch.iterdir():
        if scratch in (original, whole):
            scratch.unlink()
    repeated = work.connection.execute("SELECT count(*) FROM repeated_playlists").fetchall()[0][0]
    read = FileRead(
        entries + (problem is not None), size, time.monotonic() - started, rejected_bytes
    )
    return read, problem is None and repeated == 0


def _json(path: Path) -> str:
    """Return a relation with one row per JSON document: `playlists` JSON[] or NULL."""
    limit = path.stat().st_size + 1024
    return (
        f"read_json({literal(str(path))}, format = 'unstructured', records = 'true', "
        f"compression = 'uncompressed', maximum_object_size = {limit}, "
        "columns = {'playlists': 'JSON[]'})"
    )


def _shape_problem(connection: duckdb.DuckDBPyConnection, path: Path) -> str | None:
    """Return why a file is not one JSON document with a list of playlists, or None."""
    try:
        documents, lists = connection.execute(
            f"SELECT count(*), count(playlists) FROM {_json(path)}"
        ).fetchall()[0]
    except duckdb.InvalidInputException as problem:
        return str(problem).splitlines()[0]
    if documents == lists == 1:
        return None
    return f"{documents} JSON documents, {lists} of them with a list of playlists"


def _count_entries(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Count track entries from the lists' lengths; anything in place of a list is one entry."""
    rows = connection.execute(f"""
        SELECT coalesce(sum(CASE
            WHEN one IS NULL OR json_type(one) <> 'OBJECT' THEN 1
            WHEN coalesce(json_type(one, '$.tracks'), 'NULL') = 'NULL' THEN 0
            WHEN json_type(one, '$.tracks') <> 'ARRAY' THEN 1
            ELSE json_array_length(one, '$.tracks') END), 0)::BIGINT
        FROM (SELECT unnest(playlists) AS one FROM {_json(path)})""").fetchall()
    return int(rows[0][0])


def _insert(work: Workspace, number: int, file: RawFile, path: Path) -> None:
    name = literal(file.name)
    shape = json.dumps({"pid": "VARCHAR", "name": "VARCHAR", "modified_at": "VARCHAR"})
    track_shape = json.dumps({"pos": "VARCHAR", **dict.fromkeys(_TRACK_FIELDS, "VARCHAR")})
    raw = (
        "coalesce(track, 'null')"
        if work.options.filters
        else "CASE WHEN defect IS NOT NULL THEN coalesce(track, 'null') END"
    )
    work.connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE slice_playlists AS
        SELECT index, one, {trimmed("head.pid")} AS pid, {trimmed("head.name")} AS playlist_name,
            CASE WHEN regexp_full_match(head.modified_at, '[0-9]{{1,11}}')
                THEN make_timestamp(head.modified_at::BIGINT * 1000000) END AS modified_at,
            json_type(one, '$.tracks') AS tracks_type
        FROM (SELECT index, one, json_transform(one, '{shape}') AS head
            FROM (SELECT unnest(playlists) AS one, generate_subscripts(playlists, 1) - 1 AS index
                FROM {_json(path)}));

        CREATE OR REPLACE TEMP TABLE repeated_playlists AS
        SELECT index, coalesce(source_file, {name}) AS source_file
        FROM (SELECT index, pid, row_number() OVER (PARTITION BY pid ORDER BY index) AS occurrence
            FROM slice_playlists WHERE pid IS NOT NULL) LEFT JOIN seen_playlists USING (pid)
        WHERE occurrence > 1 OR source_file IS NOT NULL;

        INSERT INTO seen_playlists
        SELECT DISTINCT pid, {name} FROM slice_playlists
        WHERE pid IS NOT NULL AND index NOT IN (SELECT index FROM repeated_playlists)""")
    fields = ", ".join(f"{trimmed(f'entry.{one}')} AS {one}" for one in _TRACK_FIELDS)
    work.connection.execute(f"""
        INSERT INTO staged
        WITH entries AS (
            SELECT index, pid, playlist_name, modified_at, tracks_type, unnest(tracks) AS track,
                generate_subscripts(tracks, 1) - 1 AS listed
            FROM (SELECT *, CASE
                    WHEN one IS NULL OR json_type(one) <> 'OBJECT' THEN [one]
                    WHEN tracks_type = 'ARRAY' THEN json_transform(one->'$.tracks', '["JSON"]')
                    WHEN coalesce(tracks_type, 'NULL') <> 'NULL' THEN [one->'$.tracks']
                    END AS tracks
                FROM slice_playlists)
        ), named AS (
            SELECT index, pid, playlist_name, modified_at, listed, track, tracks_type, pos, {fields}
            FROM (SELECT *, {trimmed("entry.pos")} AS pos FROM
                (SELECT *, json_transform(track, '{track_shape}') AS entry FROM entries))
        ), judged AS (
            SELECT named.*, CASE
                WHEN coalesce(tracks_type, '') <> 'ARRAY' THEN 'playlist without a list of tracks'
                WHEN named.pid IS NULL THEN 'playlist without pid'
                WHEN source_file IS NOT NULL
                    THEN concat('playlist id seen before in ', source_file)
                WHEN coalesce(json_type(track), 'NULL') <> 'OBJECT' THEN 'track is not an object'
                WHEN track_uri IS NULL AND track_name IS NULL
                    THEN 'neither track_uri nor track_name'
                WHEN track_uri[1] IN ('{{', '[') THEN 'track_uri is not text'
                WHEN pos IS NOT NULL AND NOT regexp_full_match(pos, '-?[0-9]{{1,18}}')
                    THEN 'pos is not a whole number' END AS defect
            FROM named LEFT JOIN repeated_playlists USING (index)
        )
        SELECT {number * SEQ_PER_FILE} + index * {_TRACKS_PER_PLAYLIST} + listed, defect, {raw},
            concat('$.playlists[', index, ']',
                CASE WHEN tracks_type = 'ARRAY' THEN concat('.tracks[', listed, ']') END),
            pid, playlist_name, modified_at,
            CASE WHEN defect IS NULL THEN coalesce(pos::BIGINT, listed) END,
            artist_name, {_bare("track_uri", "track")}, {_bare("artist_uri", "artist")}, track_name,
            {_bare("album_uri", "album")}, album_name
        FROM judged""")


def _bare(uri: str, kind: str) -> str:
    """Return an expression for a URI without its `spotify:<kind>:`; NULL where nothing is left."""
    return f"nullif(regexp_replace({uri}, '^spotify:{kind}:', ''), '')"
