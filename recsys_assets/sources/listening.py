"""Listening events CSV: cut into a user's listening sessions by the pauses between events.

A session's id is the user and its first event's time, so that later events do not rename it.
"""

from collections.abc import Mapping

from recsys_assets import columns as c
from recsys_assets.sources.csv_files import stage_csv
from recsys_assets.sources.fields import first_empty, joined, scoped_id
from recsys_assets.sources.relation import Staged, Workspace

_EARLIEST_MS, _LATEST_MS = 100_000_000_000, 253_402_300_799_999
"""1973-03-03 to the end of 9999: epoch seconds, which would all fall into January 1970, are out."""


def stage(work: Workspace) -> Staged:
    """Stage listening events; a pause above `session_gap_minutes` starts a new playlist.

    Events of one millisecond keep the order of a newest-first file: the later line came first.
    """
    files = [
        stage_csv(work, "events", number, _columns, multiline=True)
        for number in range(len(work.manifest.files))
    ]
    gap_ms = round(work.options.session_gap_minutes * 60_000)
    work.connection.execute(f"""
        CREATE TEMP TABLE staged AS
        WITH gaps AS (
            SELECT seq, user_name, at_ms, row_number() OVER timeline AS event, coalesce(
                at_ms - lag(at_ms) OVER timeline > {gap_ms}, true) AS starts
            FROM events WHERE defect IS NULL
            WINDOW timeline AS (PARTITION BY user_name ORDER BY at_ms, seq DESC)
        ), sessions AS (
            SELECT seq, event, max(at_ms) FILTER (starts) OVER (
                PARTITION BY user_name ORDER BY event) AS session_ms
            FROM gaps
        )
        SELECT events.*, event, session_ms FROM events LEFT JOIN sessions USING (seq)""")
    work.connection.execute("DROP TABLE events")
    playlist = joined("user_name", "session_ms::VARCHAR")
    return Staged(
        table="staged",
        defect="defect",
        columns={
            c.PLAYLIST_ID: playlist,
            c.TRACK_ID: scoped_id("artist", "track", playlist),
            c.TRACK_NAME: "track",
            c.ARTIST_ID: "artist",
            c.ARTIST_NAME: "artist",
            c.ALBUM_ID: scoped_id("artist", "album", playlist),
            c.ALBUM_NAME: "album",
            c.USER_ID: "user_name",
            c.STARTED_AT: "make_timestamp(session_ms * 1000)",
        },
        playlist=("user_name", "session_ms"),
        order="event",
        raw_text="raw_text",
        files=files,
    )


def _columns(fields: Mapping[str, str]) -> Mapping[str, str]:
    needed = [(name, fields[name]) for name in ("user_id", "date", "track")]
    text = fields["date"]
    date = f"CASE WHEN regexp_full_match({text}, '[0-9]{{1,18}}') THEN {text}::BIGINT END"
    return {
        "defect": f"""coalesce({first_empty(needed)}, CASE
            WHEN ({date}) IS NULL THEN 'date is not epoch milliseconds'
            WHEN ({date}) NOT BETWEEN {_EARLIEST_MS} AND {_LATEST_MS}
                THEN 'date in epoch milliseconds is not between 1973 and 9999' END)""",
        "user_name": fields["user_id"],
        "at_ms": date,
        "track": fields["track"],
        "artist": fields["artist"],
        "album": fields.get("album", "NULL::VARCHAR"),
    }
