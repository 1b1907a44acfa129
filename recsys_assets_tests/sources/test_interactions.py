"""Tests of interactions: parquet and CSV alike, positions, repeated rows, ids of any type."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys_assets_tests.sources.support import run, write

ROWS = [
    ("7", "20", "c"),
    ("7", "10", "b"),
    ("7", "10", "again"),
    ("8", "-1", "a"),
    ("8", "1.5", "half"),
    ("8", "x", "word"),
    ("", "3", "t"),
    ("8", "", "t"),
    ("8", "4", " "),
    ("8", "3.0", "d"),
]
REASONS = [
    (4, "position repeated within the playlist"),
    (6, "position is not a whole number"),
    (7, "position is not a whole number"),
    (8, "empty playlist_id"),
    (9, "empty position"),
    (10, "empty track_id"),
]


def test_csv(tmp_path: Path):
    """Positions order the rows and are numbered anew; each bad row has its line and reason."""
    text = "position,Playlist_ID,TRACK_ID,note\n" + "".join(
        f"{place},{playlist},{track},x\n" for playlist, place, track in ROWS
    )
    out = run(write(tmp_path / "x.csv", text), tmp_path)
    got = [(r["playlist_id"], r["position"], r["track_id"]) for r in out.cleaned]
    assert got == [("7", 1, "c"), ("7", 0, "b"), ("8", 0, "a"), ("8", 1, "d")]
    assert out.reasons() == REASONS
    assert out.rejected[0]["raw_text"] == "10,7,again,x"
    assert out.column("track_name") == [None] * 4


def test_parquet_gives_the_same(tmp_path: Path):
    """The same rows as parquet: same result, with row numbers instead of lines."""
    names = ["playlist_id", "position", "track_id"]
    columns = [[row[at] or None for row in ROWS] for at in range(3)]
    pq.write_table(pa.table(columns, names), tmp_path / "x.parquet")
    out = run(tmp_path / "x.parquet", tmp_path)
    got = [(r["playlist_id"], r["position"], r["track_id"]) for r in out.cleaned]
    assert got == [("7", 1, "c"), ("7", 0, "b"), ("8", 0, "a"), ("8", 1, "d")]
    assert out.reasons() == [(line - 1, reason) for line, reason in REASONS]
    assert '"track_id":"again"' in out.rejected[0]["raw_text"]
    assert out.rejected[1]["raw_text"] == '{"playlist_id":"8","position":"1.5","track_id":"half"}'


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.float64(), pa.string()])
def test_types_of_parquet_columns(tmp_path: Path, kind: pa.DataType):
    """Numeric ids become text; positions may be of any numeric type."""
    table = pa.table(
        {
            "Track_Id": pa.array([5, 6], pa.int64()),
            "POSITION": pa.array(["1", "0"]).cast(kind),
            "playlist_id": pa.array([1, 1], pa.int32()),
            "artist": ["A", None],
            "album": ["L", "L"],
            "track": ["x|y", "z"],
            "user_id": [9, 9],
            "playlist": ["P", "P"],
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    out = run(tmp_path / "x.parquet", tmp_path)
    assert out.column("track_id") == ["5", "6"]
    assert out.column("position") == [1, 0]
    assert out.column("playlist_id") == ["1", "1"]
    assert out.column("user_id") == ["9", "9"]
    assert out.column("playlist_name") == ["P", "P"]
    assert out.column("track_name") == ["x|y", "z"]
    assert out.column("artist_id") == ["A", None]
    assert out.column("album_id") == ["A|||L", "|||L|||1"]


def test_parquet_beside_csv(tmp_path: Path):
    """One folder may hold both containers of the format; a repeat across them is found."""
    pq.write_table(
        pa.table({"playlist_id": ["p"], "position": [0], "track_id": ["a"]}),
        tmp_path / "raw.parquet",
    )
    folder = tmp_path / "raw"
    folder.mkdir()
    (tmp_path / "raw.parquet").rename(folder / "a.parquet")
    write(folder / "b.csv", "playlist_id,position,track_id\np,1,b\np,0,c\n")
    out = run(folder, tmp_path)
    assert out.column("track_id") == ["a", "b"]
    assert out.rejected[0]["source_file"] == "b.csv"
    assert out.reasons() == [(3, "position repeated within the playlist")]
