"""The #nowplaying CSV: one physical line is one row, a playlist is a user's playlist name.

Nothing in the file tells two playlists of the same name by one user apart: they merge, in the order
of the file.
"""

from collections.abc import Mapping

from recsys_assets import columns as c
from recsys_assets.sources.csv_files import stage_csv
from recsys_assets.sources.fields import first_empty, joined, scoped_id
from recsys_assets.sources.formats import NOWPLAYING_FIELDS
from recsys_assets.sources.numbered import Numbered
from recsys_assets.sources.quick_csv import Fields, read_quickly
from recsys_assets.sources.relation import SEQ, FileRead, Staged, Workspace

_USER, _ARTIST, _TRACK, _PLAYLIST = NOWPLAYING_FIELDS


def stage(work: Workspace) -> Staged:
    """Stage #nowplaying files; the playlist id is `user|||playlist name`."""
    return _staged(
        [
            stage_csv(work, "staged", number, _columns, multiline=False)
            for number in range(len(work.manifest.files))
        ]
    )


def read(work: Workspace) -> tuple[Staged, Numbered, list[int]]:
    """Read #nowplaying files the quick way, which knows no filters; the result is the same.

    Returns
    -------
    staged : Staged
        Odd lines only: all that are rejected, and some that are not.
    numbered : Numbered
        Every row that is taken.
    taken : list of int
        Rows of each file that are taken.
    """
    fields = Fields(
        (_USER, "user_name"), (_ARTIST, "artist"), (_TRACK, "track"), (_PLAYLIST, "playlist")
    )
    numbered, files, taken = read_quickly(work, fields, _columns)
    return _staged(files), numbered, taken


def _staged(files: list[FileRead]) -> Staged:
    playlist = joined("user_name", "playlist")
    return Staged(
        table="staged",
        defect="defect",
        columns={
            c.PLAYLIST_ID: playlist,
            c.TRACK_ID: scoped_id("artist", "track", playlist),
            c.TRACK_NAME: "track",
            c.ARTIST_ID: "artist",
            c.ARTIST_NAME: "artist",
            c.USER_ID: "user_name",
            c.PLAYLIST_NAME: "playlist",
        },
        playlist=("user_name", "playlist"),
        order=SEQ,
        raw_text="raw_text",
        files=files,
    )


def _columns(fields: Mapping[str, str]) -> Mapping[str, str]:
    needed = [(name, fields[name]) for name in (_USER, _TRACK, _PLAYLIST)]
    return {
        "defect": first_empty(needed),
        "user_name": fields[_USER],
        "artist": fields[_ARTIST],
        "track": fields[_TRACK],
        "playlist": fields[_PLAYLIST],
    }
