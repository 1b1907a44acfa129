"""Tests of the Million Playlist Dataset reader: identity, order, odd entries, damaged slices."""

import gzip
import json
from datetime import datetime
from pathlib import Path

import pytest

from recsys_assets_tests.sources.support import run, slice_json, write


def track(uri: str | None, **fields: object) -> dict[str, object]:
    """Return a track entry with a URI (None: without one)."""
    return fields if uri is None else {"track_uri": f"spotify:track:{uri}", **fields}


def test_every_field(tmp_path: Path):
    """URIs lose their prefix; `pos` decides the order even against the list's."""
    tracks = [
        track("t1", pos=1, artist_name=" A ", artist_uri="spotify:artist:a", track_name="T1",
              album_uri="spotify:album:l", album_name="L", duration_ms=5),
        track("t0", pos=0, artist_name="A", artist_uri="spotify:artist:a", track_name="T0",
              album_name="L"),
    ]  # fmt: skip
    out = run(
        write(tmp_path / "x", slice_json({"pid": 3, "name": "N", "tracks": tracks})), tmp_path
    )
    assert out.cleaned[0] == {
        "playlist_id": "3",
        "position": 1,
        "track_id": "t1",
        "track_name": "T1",
        "artist_id": "a",
        "artist_name": "A",
        "album_id": "l",
        "album_name": "L",
        "user_id": None,
        "playlist_name": "N",
        "started_at": None,
    }
    assert out.column("position") == [1, 0]
    assert out.cleaned[1]["album_id"] == "A|||L"


def test_exports_without_pos_and_artist_uri(tmp_path: Path):
    """List order stands in for `pos`; an artist takes the commonest URI known for the name."""

    def entry(uri: str, name: str, artist: str | None = None) -> dict[str, object]:
        extra = {} if artist is None else {"artist_uri": f"spotify:artist:{artist}"}
        return track(uri, artist_name=name, track_name=uri.upper(), **extra)

    one = [entry("a", "X"), entry("b", "X", "x2"), entry("c", "X", "x1"), entry("d", "Y")]
    two = [entry("e", "X", "x2"), entry("f", "Z", "z2"), entry("g", "Z", "z1"), entry("h", "Z")]
    write(tmp_path / "raw" / "1.json", slice_json({"pid": 0, "tracks": one}))
    write(tmp_path / "raw" / "2.json", slice_json({"pid": 1, "tracks": two}))
    out = run(tmp_path / "raw", tmp_path)
    assert out.column("position") == [0, 1, 2, 3] * 2
    assert out.column("artist_id") == ["x2", "x2", "x1", "Y", "x2", "z2", "z1", "z1"]


def test_tracks_without_uri(tmp_path: Path):
    """Names stand in for a URI; without an artist the song belongs to its playlist only."""
    names = [
        track(None, artist_name="A", track_name="T"),
        track(None, track_name="T"),
        track(None, artist_name="A", track_name=" "),
        track("", track_name="U", artist_name="A"),
    ]
    out = run(write(tmp_path / "x", slice_json({"pid": 5, "tracks": names})), tmp_path)
    assert out.column("track_id") == ["A|||T", "|||T|||5", "A|||U"]
    assert out.column("position") == [0, 1, 2]
    assert out.reasons() == [("$.playlists[0].tracks[2]", "neither track_uri nor track_name")]
    assert json.loads(out.rejected[0]["raw_text"]) == names[2]


def test_odd_entries_have_a_path(tmp_path: Path):
    """Entries of another shape are rejected one by one; an empty playlist is none."""
    document = {
        "playlists": [
            {
                "pid": 0,
                "tracks": [track("a"), None, 5, track("b", pos="x"), {"track_uri": {"c": 1}}],
            },
            {"pid": 1, "tracks": []},
            {"pid": 2},
            {"pid": 3, "tracks": "none"},
            7,
            None,
            {"name": "no pid", "tracks": [track("d")]},
            {"pid": None, "tracks": [track("e")]},
        ]
    }
    out = run(write(tmp_path / "x", json.dumps(document)), tmp_path)
    assert out.column("track_id") == ["a"]
    assert out.reasons() == [
        ("$.playlists[0].tracks[1]", "track is not an object"),
        ("$.playlists[0].tracks[2]", "track is not an object"),
        ("$.playlists[0].tracks[3]", "pos is not a whole number"),
        ("$.playlists[0].tracks[4]", "track_uri is not text"),
        ("$.playlists[3]", "playlist without a list of tracks"),
        ("$.playlists[4]", "playlist without a list of tracks"),
        ("$.playlists[5]", "playlist without a list of tracks"),
        ("$.playlists[6].tracks[0]", "playlist without pid"),
        ("$.playlists[7].tracks[0]", "playlist without pid"),
    ]
    assert [row["raw_text"] for row in out.rejected][:2] == ["null", "5"]


def test_a_pid_seen_before(tmp_path: Path):
    """A playlist delivered twice must not be twice as long."""
    one = {"pid": 0, "tracks": [track("a")]}
    again = {"pid": "0", "tracks": [track("b"), track("c")]}
    write(tmp_path / "raw" / "1.json", slice_json(one, {"pid": 1, "tracks": [track("d")]}, again))
    write(tmp_path / "raw" / "2.json", slice_json(again, {"pid": 2, "tracks": [track("e")]}))
    out = run(tmp_path / "raw", tmp_path)
    assert out.column("track_id") == ["a", "d", "e"]
    reason = "playlist id seen before in 1.json"
    assert out.reasons() == [
        ("$.playlists[2].tracks[0]", reason),
        ("$.playlists[2].tracks[1]", reason),
        ("$.playlists[0].tracks[0]", reason),
        ("$.playlists[0].tracks[1]", reason),
    ]


PLAYLISTS = [
    {"pid": n, "name": "é", "tracks": [track(f"t{n}", track_name="x")] * (n + 1)} for n in range(4)
]


def test_a_cut_off_slice_is_rejected_whole(tmp_path: Path):
    """By default nothing of a damaged slice is used, and the message says where it breaks."""
    text = slice_json(*PLAYLISTS).replace("{", "\n{")
    cut = text[: text.index('"t2"') if '"t2"' in text else text.index("track:t2") + 3]
    write(tmp_path / "raw" / "1.json", cut)
    write(tmp_path / "raw" / "2.json", slice_json({"pid": 9, "tracks": [track("z")]}))
    out = run(tmp_path / "raw", tmp_path)
    assert out.column("track_id") == ["z"]
    (row,) = out.rejected
    line = cut.count("\n") + 1
    assert row["reason"].startswith("file rejected whole: Unterminated string")
    assert f"line {line}, column " in row["reason"]
    assert row["json_path"] == "$"
    assert "spotify:tra" in row["raw_text"]
    damaged = out.report.files[0]
    assert damaged.rejected_bytes == damaged.bytes == len(cut.encode())
    assert out.report.rejected_share > 0.5


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_whole_playlists_of_a_cut_off_slice(tmp_path: Path, pack):
    """With `keep_whole_playlists` what is whole is taken, and the rest counted in bytes."""
    text = slice_json(*PLAYLISTS)
    cut = text[: text.index("track:t2")]
    raw = write(tmp_path / "raw" / "1", pack(cut.encode()))
    out = run(raw, tmp_path, truncated_json="keep_whole_playlists")
    assert out.column("track_id") == ["t0", "t1", "t1"]
    (row,) = out.rejected
    assert row["json_path"] == "$.playlists[2]"
    assert row["reason"].startswith("rest of the file rejected after 2 whole playlists")
    first_two = json.dumps(PLAYLISTS[1])
    kept = cut.index(first_two) + len(first_two)
    assert out.report.files[0].rejected_bytes == len(cut.encode()) - len(cut[:kept].encode())


@pytest.mark.parametrize("mode", ["reject_file", "keep_whole_playlists"])
@pytest.mark.parametrize(
    "content",
    [
        b'{"playlists": 5}',
        b'{"playlists": {"a": 1}}',
        b'{"playlists": null}',
        b'{"info": {}, "playlists": [',
        b'{"playlists": []} {"playlists": []}',
        b'{"playlists": [{"pid": 1, "name": "\\ud800", "tracks": [{"track_uri": "a"}]}]}',
        b'{"playlists": [{"pid": 1, "name": "\xff", "tracks": [{"track_uri": "a"}]}]}',
    ],
)
def test_other_damage(tmp_path: Path, content: bytes, mode: str):
    """Damage of any sort ends in one rejected row, not in a crash or an empty success."""
    write(tmp_path / "raw" / "1.json", content)
    write(tmp_path / "raw" / "2.json", slice_json({"pid": 9, "tracks": [track("z")]}))
    out = run(tmp_path / "raw", tmp_path, truncated_json=mode)
    assert out.column("track_id") == ["z"]
    (row,) = out.rejected
    assert row["source_file"] == "1.json"
    assert row["reason"].startswith("file rejected whole: ")


def test_filters_keep_the_entry(tmp_path: Path):
    """The raw text of a filtered track is its JSON."""
    tracks = [track("a", artist_name="A"), track("b", artist_name="B"), track("c", artist_name="A")]
    raw = write(tmp_path / "x", slice_json({"pid": 0, "tracks": tracks}))
    out = run(raw, tmp_path, top_artists=1)
    assert out.column("track_id") == ["a", "c"]
    assert out.column("position") == [0, 1]
    assert json.loads(out.rejected[0]["raw_text"]) == tracks[1]
    assert out.rejected[0]["kind"] == "filter"


def test_time_of_change(tmp_path: Path):
    """Prevents the time that a temporal split needs from being lost; exports may lack it."""
    tracks = [track("a"), track("b")]
    out = run(
        write(
            tmp_path / "x",
            slice_json(
                {"pid": 1, "modified_at": 1_493_424_000, "tracks": tracks},
                {"pid": 2, "tracks": tracks},
                {"pid": 3, "modified_at": "yesterday", "tracks": tracks},
            ),
        ),
        tmp_path,
    )
    assert out.column("started_at") == [datetime(2017, 4, 29)] * 2 + [None] * 4
