"""Tests of the #nowplaying reader: broken lines, identity of tracks and playlists, order."""

import csv
import gzip
import io
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.columns import CLEANED_COLUMNS, REJECTED_COLUMNS
from recsys_assets.errors import DataError, SourceError
from recsys_assets.sources.lines import BLOCK_BYTES, MAX_LINE_BYTES
from recsys_assets_tests.sources.support import NOWPLAYING_HEADER, run, write


def test_rows_and_positions(tmp_path: Path):
    """Interleaved playlists keep their own order; same name by one user merges, by two does not."""
    rows = ['"u","A","t1","p"', '"u","A","t2","q"', '"v","A","t3","p"', '"u"," B ","t4 ","p"']
    out = run(write(tmp_path / "x.csv", NOWPLAYING_HEADER + "\n".join(rows) + "\n"), tmp_path)
    keys = ["playlist_id", "position", "track_id", "artist_id"]
    assert [tuple(row[key] for key in keys) for row in out.cleaned] == [
        ("u|||p", 0, "A|||t1", "A"),
        ("u|||q", 0, "A|||t2", "A"),
        ("v|||p", 0, "A|||t3", "A"),
        ("u|||p", 1, "B|||t4", "B"),
    ]
    assert list(out.cleaned[0]) == list(CLEANED_COLUMNS)
    assert out.cleaned[3]["artist_name"] == "B"
    assert out.cleaned[3]["track_name"] == "t4"
    assert out.cleaned[0]["user_id"] == "u"
    assert out.cleaned[0]["playlist_name"] == "p"
    assert out.cleaned[0]["started_at"] is None


def test_broken_lines_are_rejected_with_line_and_text(tmp_path: Path):
    """A stray quote must cost its own line only, and say which."""
    broken = {
        3: ('"u","A","x" (live)","p"', "broken quoting"),
        5: ('"u","A","x","p","23"', "extra fields: 5 where the header has 4"),
        6: ('"u","A"', "missing fields: 2 where the header has 4"),
        8: ('"u","A","","p"', "empty trackname"),
        9: ('" ","A","t","p"', "empty user_id"),
        10: ('"u","A","t","\u00a0"', "empty playlistname"),
        11: ('"u","A","t","p', "broken quoting"),
        12: ("hello", "missing fields: 1 where the header has 4"),
    }
    lines = [NOWPLAYING_HEADER.strip()] + [
        broken.get(number, (f'"u","A","t{number}","p"', ""))[0] for number in range(2, 14)
    ]
    lines[6] = ""  # line 7 is blank: no row at all
    out = run(write(tmp_path / "x.csv", "\n".join(lines)), tmp_path)
    assert out.reasons() == [(number, reason) for number, (_, reason) in broken.items()]
    assert [row["raw_text"] for row in out.rejected] == [text for text, _ in broken.values()]
    assert {row["source_file"] for row in out.rejected} == {"x.csv"}
    assert {row["kind"] for row in out.rejected} == {"defect"}
    assert list(out.rejected[0]) == list(REJECTED_COLUMNS)
    assert out.column("track_name") == ["t2", "t4", "t13"]
    assert out.column("position") == [0, 1, 2]
    assert out.report.rows_read == 11


def test_quoting_that_is_legal(tmp_path: Path):
    """Doubled quotes, commas, unquoted fields and blanks around quotes are no defects."""
    rows = [
        '"u","The ""A""","t, 1","p"',
        "u,A,t 2,p",
        '"u", "A", "", "p"',
        'u,"""A""",3"x,p',
        '"u","A","""",p',
    ]
    out = run(write(tmp_path / "x.csv", NOWPLAYING_HEADER + "\n".join(rows)), tmp_path)
    assert out.column("artist_name") == ['The "A"', "A", "A"]
    assert out.column("track_name") == ["t, 1", "t 2", '"']
    assert out.reasons() == [(4, "empty trackname"), (5, "broken quoting")]


def test_missing_artists_do_not_merge_songs(tmp_path: Path):
    """`Intro` without an artist is another song in another playlist, and no artist's `Intro`."""
    rows = [
        '"u","","Intro","p"',
        '"u"," ","Intro","q"',
        '"u","","Intro","p"',
        '"u","A","Intro","p"',
    ]
    out = run(write(tmp_path / "x.csv", NOWPLAYING_HEADER + "\n".join(rows)), tmp_path)
    first, second, third, fourth = out.column("track_id")
    assert first == third == r"|||Intro|||u\|\|\|p"
    assert len({first, second, fourth}) == 3
    assert out.column("artist_id") == [None, None, None, "A"]
    assert out.column("artist_name") == [None, None, None, "A"]


def test_ids_escape_the_separator(tmp_path: Path):
    """The form of an id is a contract: models and files of an earlier run refer to it."""
    out = run(write(tmp_path / "x.csv", NOWPLAYING_HEADER + '"u|","a\\|b","t","p\\"\n'), tmp_path)
    assert out.column("track_id") == [r"a\\\|b|||t"]
    assert out.column("playlist_id") == [r"u\||||p\\"]
    assert out.column("artist_id") == [r"a\|b"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_line_ends_and_bom(tmp_path: Path, end: str, bom: str):
    """Windows line ends, a byte order mark and blank lines change nothing."""
    lines = [
        "",
        NOWPLAYING_HEADER.strip(),
        "",
        '"u","A","t1","p"',
        "",
        '"u","A","x"',
        '"u","A","t2","p"',
    ]
    out = run(write(tmp_path / "x.csv", bom + end.join(lines)), tmp_path)
    assert out.column("track_name") == ["t1", "t2"]
    assert out.column("playlist_name") == ["p", "p"]
    assert out.reasons() == [(6, "missing fields: 3 where the header has 4")]
    assert out.rejected[0]["raw_text"] == '"u","A","x"'


def test_bytes_that_are_no_text(tmp_path: Path):
    """Bytes of another encoding cost their line, not the run."""
    good = b'"u","A","t%d","p"\n'
    lines = [good % 1, b'"u","Bj\xf6rk","t","p"\n', b'"u","A","a\0b","p"\n', good % 2]
    raw = write(tmp_path / "x.csv", NOWPLAYING_HEADER.encode() + b"".join(lines))
    out = run(raw, tmp_path)
    assert out.column("track_name") == ["t1", "t2"]
    assert out.reasons() == [(3, "not UTF-8"), (4, "NUL byte")]
    assert out.rejected[0]["raw_text"] == '"u","Bj\\xf6rk","t","p"'


def test_header_order_decides(tmp_path: Path):
    """Columns in another order, or one more of them, must not swap artist and track."""
    text = "playlistname,extra,trackname,artistname,user_id\np,x,t,A,u\n"
    out = run(write(tmp_path / "x.csv", text), tmp_path)
    assert out.column("track_id") == ["A|||t"]
    assert out.column("playlist_id") == ["u|||p"]


def test_containers_give_the_same_rows(tmp_path: Path):
    """Kaggle's zip and a gz hold what the plain file does; line numbers go past block ends."""
    row = '"u","A","track number {}","p"\n'
    count = 2 * BLOCK_BYTES // len(row)
    body = "".join(row.format(number) for number in range(count)) + "broken\n"
    plain = run(write(tmp_path / "a" / "x.csv", NOWPLAYING_HEADER + body), tmp_path / "1")
    assert plain.reasons() == [(count + 2, "missing fields: 1 where the header has 4")]
    assert plain.column("position") == list(range(count))
    assert plain.column("track_name") == [f"track number {number}" for number in range(count)]
    packed = gzip.compress((NOWPLAYING_HEADER + body).encode())
    assert run(write(tmp_path / "b.gz", packed), tmp_path / "2").cleaned == plain.cleaned
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("d/x.csv", NOWPLAYING_HEADER + body)
    zipped = run(tmp_path / "c.zip", tmp_path / "3")
    assert zipped.cleaned == plain.cleaned
    assert zipped.rejected[0]["source_file"] == "c.zip/d/x.csv"


def test_several_files_continue_one_playlist(tmp_path: Path):
    """A playlist that goes on in a second file is numbered on, with that file's own lines."""
    write(tmp_path / "raw" / "a.csv", NOWPLAYING_HEADER + '"u","A","t1","p"\n')
    write(tmp_path / "raw" / "b.csv", "trackname,user_id,artistname,playlistname\nt2,u,A,p\nx\n")
    out = run(tmp_path / "raw", tmp_path)
    assert list(zip(out.column("track_name"), out.column("position"), strict=True)) == [
        ("t1", 0),
        ("t2", 1),
    ]
    assert out.rejected[0]["source_file"] == "b.csv"
    assert out.rejected[0]["line"] == 3
    assert [file.rows_read for file in out.report.files] == [1, 2]


def test_same_bytes_whatever_the_threads(tmp_path: Path):
    """The parquet must not depend on the number of cores."""
    rows = "".join(f'"u{n % 97}","A{n % 11}","t{n}","p{n % 5}"\n' for n in range(150_000))
    raw = write(tmp_path / "x.csv", NOWPLAYING_HEADER + rows)
    for threads in (1, 4):
        run(raw, tmp_path / str(threads), threads=threads)
    one, four = ((tmp_path / n / "cleaned.parquet").read_bytes() for n in "14")
    assert one == four


def test_no_rows_and_endless_lines(tmp_path: Path):
    """A header alone, or a file without line ends, is an error and not an empty table."""
    with pytest.raises(SourceError, match=r"found none .*x\.csv"):
        run(write(tmp_path / "x.csv", NOWPLAYING_HEADER), tmp_path)
    endless = NOWPLAYING_HEADER.encode() + b"x" * (MAX_LINE_BYTES + 2 * BLOCK_BYTES)
    with pytest.raises(SourceError, match=r"x\.csv, line 2: expected lines of at most"):
        run(write(tmp_path / "x.csv", endless), tmp_path)
    with pytest.raises(SourceError, match=r"x\.csv, line 2: expected lines of at most"):
        run(write(tmp_path / "x.csv", endless + b'\n"u","A","t","p"\n'), tmp_path)
    old_mac = b'user_id,artistname,trackname,playlistname\r"u","A","t","p"\n"v","B","s","q"\n'
    with pytest.raises(SourceError, match=r"x\.csv: expected lines that end in LF .* CR alone"):
        run(write(tmp_path / "x.csv", old_mac), tmp_path)
    assert not (tmp_path / "cleaned.parquet").exists()
    assert list(tmp_path.glob(".*")) == []


FILTER_ROWS = [
    ("p", "A"), ("p", "A"), ("p", "A"), ("p", "B"), ("q", "B"), ("q", "C"), ("q", ""), ("r", "A"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"min_playlist_tracks": 1}, [0, 1, 2, 3, 4, 5, 6]),
        ({"min_playlist_tracks": 3}, [0, 1, 2, 3]),
        ({"top_artists": 1}, [0, 1, 2, 7]),
        ({"top_artists": 2}, [0, 1, 2, 3, 4, 7]),
        ({"min_artist_mentions": 1}, [0, 1, 2, 3, 4, 7]),
        ({"min_artist_mentions": 2}, [0, 1, 2, 7]),
        ({"top_artists": 1, "min_playlist_tracks": 1}, [0, 1, 2]),
    ],
)
def test_filters(tmp_path: Path, options: dict[str, int], kept: list[int]):
    """What a filter leaves out is kept apart from defects, with its raw text."""
    rows = [f'"u","{artist}","t{n}","{name}"' for n, (name, artist) in enumerate(FILTER_ROWS)]
    raw = write(tmp_path / "x.csv", NOWPLAYING_HEADER + "\n".join([*rows, "broken"]))
    out = run(raw, tmp_path, **options)
    assert out.column("track_name") == [f"t{n}" for n in kept]
    left_out = [n for n in range(len(rows)) if n not in kept]
    filtered = [row for row in out.rejected if row["kind"] == "filter"]
    assert [row["raw_text"] for row in filtered] == [rows[n] for n in left_out]
    assert [row["line"] for row in filtered] == [n + 2 for n in left_out]
    assert out.report.defect_rows == 1
    for name in "pqr":
        places = [row["position"] for row in out.cleaned if row["playlist_name"] == name]
        assert places == list(range(len(places)))


def test_filters_that_leave_nothing(tmp_path: Path):
    """Too strict a filter stops with its reason instead of training on nothing."""
    raw = write(tmp_path / "x.csv", NOWPLAYING_HEADER + '"u","A","t","p"\n')
    with pytest.raises(DataError, match="filter on playlists: 5 tracks or fewer"):
        run(raw, tmp_path, min_playlist_tracks=5)


NAME = st.text(st.sampled_from('ab|\\", é'), max_size=5)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(NAME, NAME, NAME, NAME), min_size=1, max_size=30))
def test_reads_what_a_csv_writer_wrote(rows: list[tuple[str, str, str, str]]):
    """Any names survive, and two rows share a track id only if they are the same track."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["user_id", "artistname", "trackname", "playlistname"])
    writer.writerows(rows)
    with TemporaryDirectory() as folder:
        out = run(write(Path(folder) / "x.csv", buffer.getvalue()), Path(folder))
    trimmed = [tuple(field.strip() for field in row) for row in rows]
    sound = [row for row in trimmed if row[0] and row[2] and row[3]]
    names = ["user_id", "artist_name", "track_name", "playlist_name"]
    got = [tuple(row[name] or "" for name in names) for row in out.cleaned]
    assert got == sound
    assert len(out.rejected) == len(rows) - len(sound)
    tracks = {
        row["track_id"]: (
            row["artist_name"],
            row["track_name"],
            row["artist_name"] or row["playlist_id"],
        )
        for row in out.cleaned
    }
    assert len(tracks) == len(set(tracks.values()))
    assert len({(a, t, a or (u, p)) for u, a, t, p in sound}) == len(tracks)
    assert len({row["playlist_id"] for row in out.cleaned}) == len({(r[0], r[3]) for r in sound})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=12) | st.sampled_from([b'"a","b","c","d"', b'"', b",", b"\r"])))
def test_nothing_is_lost_of_any_bytes(lines: list[bytes]):
    """Whatever the bytes, rows read are rows cleaned plus rows rejected."""
    body = NOWPLAYING_HEADER.encode() + b'"u","A","t","p"\n' + b"\n".join(lines)
    expected = [line for line in body.split(b"\n")[1:] if line not in (b"", b"\r")]
    with TemporaryDirectory() as folder:
        out = run(write(Path(folder) / "x.csv", body), Path(folder))
    assert out.report.rows_read == len(expected)
