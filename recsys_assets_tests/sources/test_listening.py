"""Tests of listening events: sessions, order within them, bad dates, quoting."""

from datetime import UTC, datetime
from pathlib import Path

from recsys_assets_tests.sources.support import run, write

HEADER = "user_id,date,track,artist,album\r\n"
T0 = 1_400_000_000_000
MINUTE = 60_000


def at(ms: int) -> datetime:
    """Return epoch milliseconds as a time without zone, in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).replace(tzinfo=None)


def events(*rows: tuple[str, int, str]) -> str:
    """Return a file with the given (user, minutes after T0, track)."""
    return HEADER + "".join(f"{u},{T0 + m * MINUTE},{t},A,B\r\n" for u, m, t in rows)


def test_sessions_start_after_a_long_gap(tmp_path: Path):
    """A pause of exactly 30 minutes goes on, a longer one starts a session; users stay apart."""
    text = events(("u", 91, "d"), ("u", 60, "c"), ("u", 30, "b"), ("u", 0, "a"), ("v", 31, "x"))
    text += f"u,{T0 + 121 * MINUTE + 1},e,A,B\r\n"
    out = run(write(tmp_path / "x.csv", text), tmp_path)
    got = {r["track_name"]: (r["playlist_id"], r["position"], r["started_at"]) for r in out.cleaned}
    start = [at(T0 + m * MINUTE) for m in (0, 91, 31)]
    assert got == {
        "a": (f"u|||{T0}", 0, start[0]),
        "b": (f"u|||{T0}", 1, start[0]),
        "c": (f"u|||{T0}", 2, start[0]),
        "d": (f"u|||{T0 + 91 * MINUTE}", 0, start[1]),
        "e": (f"u|||{T0 + 121 * MINUTE + 1}", 0, at(T0 + 121 * MINUTE + 1)),
        "x": (f"v|||{T0 + 31 * MINUTE}", 0, start[2]),
    }


def test_gap_is_configurable(tmp_path: Path):
    """The option, and not the default, decides."""
    raw = write(tmp_path / "x.csv", events(("u", 20, "b"), ("u", 0, "a")))
    assert run(raw, tmp_path).column("position") == [1, 0]
    assert run(raw, tmp_path, session_gap_minutes=19.5).column("position") == [0, 0]


def test_ties_keep_newest_first_order(tmp_path: Path):
    """Of two events in one millisecond the later line was played first."""
    raw = write(tmp_path / "x.csv", events(("u", 5, "c"), ("u", 5, "b"), ("u", 0, "a")))
    out = run(raw, tmp_path)
    order = sorted(zip(out.column("position"), out.column("track_name"), strict=True))
    assert order == [(0, "a"), (1, "b"), (2, "c")]


def test_bad_rows_and_quoting(tmp_path: Path):
    """Bad dates are rejected with line and text; quoted commas and line ends are not."""
    text = (
        '"User_ID", Date,track,artist,album\n'
        f'u,{T0},"a, ""b""\nc","A",\n'
        "u,2014-05-13,t,A,B\n"
        "u,,t,A,B\n"
        "u,1400000000,t,A,B\n"
        f"u,{T0 + 1},t,,B\n"
        f"u,{T0 + 2},,A,B\n"
        f"u,{T0 + 3},t,A\n"
    )
    out = run(write(tmp_path / "x.csv", text), tmp_path)
    assert out.column("track_name") == ['a, "b"\nc', "t"]
    assert out.column("album_name") == [None, "B"]
    assert out.column("artist_id") == ["A", None]
    assert out.column("album_id")[0] is None
    assert out.reasons() == [
        (4, "date is not epoch milliseconds"),
        (5, "empty date"),
        (6, "date in epoch milliseconds is not between 1973 and 9999"),
        (8, "empty track"),
        (9, "missing fields: 4 where the header has 5"),
    ]
    assert out.rejected[0]["raw_text"] == "u,2014-05-13,t,A,B"
