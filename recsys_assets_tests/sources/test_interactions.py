"""Tests of interactions: parquet and CSV alike, positions, repeated rows, ids of any type."""

from datetime import UTC, date, datetime, timedelta, timezone
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-05-06", datetime(2020, 5, 6)),
        ("2020-05-06 07:08", datetime(2020, 5, 6, 7, 8)),
        ("2020-05-06T07:08:09Z", datetime(2020, 5, 6, 7, 8, 9)),
        ("2020-05-06 07:08:09.25+00", datetime(2020, 5, 6, 7, 8, 9, 250_000)),
        ("1577836800123", datetime(2020, 1, 1, 0, 0, 0, 123_000)),
        ("", None),
    ],
)
def test_times_as_text(tmp_path: Path, text: str, expected: datetime | None):
    """Prevents a time from being lost, or read in another unit; an empty one is not known."""
    out = run(
        write(tmp_path / "x.csv", f"playlist_id,position,track_id,started_at\np,0,a,{text}\n"),
        tmp_path,
    )
    assert out.column("started_at") == [expected]


@pytest.mark.parametrize(
    "text", ["05/06/2020", "2020-05-06T07:08+02:00", "2020-13-01", "1577836800"]
)
def test_unreadable_times_are_defects(tmp_path: Path, text: str):
    """Prevents an offset from being dropped in silence, and epoch seconds from meaning 1970."""
    out = run(
        write(tmp_path / "x.csv", f"playlist_id,position,track_id,started_at\np,0,a,{text}\n"),
        tmp_path,
    )
    assert out.reasons() == [(2, "started_at is neither a date in UTC nor epoch milliseconds")]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([datetime(2020, 5, 6)], pa.timestamp("ns")),
        pa.array([datetime(2020, 5, 6, tzinfo=UTC)], pa.timestamp("us", "Asia/Tokyo")),
        pa.array(
            [datetime(2020, 5, 6, 2, tzinfo=timezone(timedelta(hours=2)))],
            pa.timestamp("ms", "UTC"),
        ),
        pa.array([date(2020, 5, 6)]),
        pa.array([1_588_723_200_000]),
    ],
)
def test_times_of_parquet(tmp_path: Path, column: pa.Array):
    """Prevents times that hang on the machine's zone or the column's unit."""
    names = ["playlist_id", "position", "track_id", "started_at"]
    pq.write_table(pa.table([["p"], [0], ["a"], column], names), tmp_path / "x.parquet")
    assert run(tmp_path / "x.parquet", tmp_path).column("started_at") == [datetime(2020, 5, 6)]
