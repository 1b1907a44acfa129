"""The quick way through #nowplaying files gives what the SQL gives, and so do the coded rows."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets import columns as c
from recsys_assets.sources import ingest as ingestion
from recsys_assets.sources import quick_csv, quick_write, row_files
from recsys_assets.sources.coded import CodedFiles, code_cleaned
from recsys_assets.sources.record_kernels import Bytes
from recsys_assets_tests.sources.support import NOWPLAYING_HEADER, Ingested, run, write

FIELD = st.sampled_from(
    ["u", " A ", "", "\u00a0", "\u2003b\ufeff", 'the ""x""', "a, b", "|", "\\", "\t", "ü", "x" * 40]
)
LINES = st.lists(
    st.one_of(
        st.lists(FIELD, min_size=4, max_size=4).map(
            lambda fields: ",".join(f'"{field}"' for field in fields)
        ),
        st.lists(st.sampled_from(["u", "A", " t ", ""]), min_size=3, max_size=5).map(",".join),
        st.sampled_from(
            [
                '"u", "A" ,"t","p"', '"u","A","t" (live)","p"', '"u","A","t","p"\r', '"u","A","t","p',
                '""', '"u","A","t\x00","p"', "", "\r", "   ", 'u,"A",t"x,p', '"u","A","t","p" \r',
            ]
        ),
    ),
    max_size=30,
)  # fmt: skip


def by_sql(raw: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> Ingested:
    """Ingest by the SQL that every other format uses."""
    with monkeypatch.context() as patch:
        patch.setattr(ingestion, "_clean_quickly", ingestion._clean_by_sql)
        return run(raw, work)


def tables(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the coded tables with ids in place of the numbers, which are free."""
    with duckdb.connect() as connection:
        connection.execute(
            "".join(
                f"CREATE VIEW coded_{path.stem} AS FROM read_parquet('{path}');"
                for path in sorted((folder / "coded").glob("*.parquet"))
            )
        )
        queries = {
            "rows": f"""
                SELECT {c.PLAYLIST_ID}, {c.POSITION}, {c.TRACK_ID}, {c.ARTIST_ID},
                    {c.FIRST_OF_TRACK}, {c.FIRST_OF_ARTIST}
                FROM coded_rows JOIN coded_playlists USING ({c.PLAYLIST_NUMBER})
                JOIN coded_tracks USING ({c.TRACK_NUMBER}) LEFT JOIN coded_artists
                ON coded_rows.{c.ARTIST_NUMBER} = coded_artists.{c.ARTIST_NUMBER}""",
            "tracks": f"""
                SELECT * EXCLUDE ({c.TRACK_NUMBER}, {c.ARTIST_NUMBER})
                FROM coded_tracks LEFT JOIN (SELECT {c.ARTIST_NUMBER}, {c.ARTIST_ID}
                    FROM coded_artists) USING ({c.ARTIST_NUMBER})""",
            "artists": f"SELECT * EXCLUDE ({c.ARTIST_NUMBER}) FROM coded_artists",
            "playlists": f"SELECT * EXCLUDE ({c.PLAYLIST_NUMBER}) FROM coded_playlists",
        }
        return {
            name: connection.execute(f"{query} ORDER BY ALL").fetchall()
            for name, query in queries.items()
        }


@given(
    lines=LINES,
    more=LINES,
    block=st.sampled_from([7, 64, 1 << 23]),
    odd=st.sampled_from([0, 1 << 26]),
    at_once=st.sampled_from([1, 3, 1 << 19]),
    end=st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=40)
def test_equals_the_sql(
    lines: list[str], more: list[str], block: int, odd: int, at_once: int, end: str
):
    """A shortcut that reads one line otherwise than the SQL would change the data in silence."""
    monkeypatch = pytest.MonkeyPatch()
    with TemporaryDirectory() as folder, monkeypatch.context() as patch:
        work = Path(folder)
        patch.setattr(quick_csv, "BLOCK_BYTES", block)
        patch.setattr(quick_csv, "_ODD_BYTES", odd)
        patch.setattr(row_files, "ROWS_AT_ONCE", at_once)
        header = NOWPLAYING_HEADER.rstrip() + end
        sure = '"u","A","t","p"'
        write(work / "raw" / "a.csv", header + end.join([*lines, sure]) + end)
        write(work / "raw" / "b.csv", header + end.join([sure, *more]))
        quick = run(work / "raw", work / "quick")
        sql = by_sql(work / "raw", work / "sql", monkeypatch)
        assert quick.cleaned == sql.cleaned
        assert quick.rejected == sql.rejected
        assert tables(work / "quick") == tables(work / "sql")
        for one, other in zip(quick.report.files, sql.report.files, strict=True):
            assert (one.rows_read, one.cleaned, one.rejected, one.bytes) == (
                (other.rows_read, other.cleaned, other.rejected, other.bytes)
            )


@pytest.mark.parametrize("at_once", [1, 2, 1 << 19])
def test_playlists_that_go_on_after_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
):
    """Rows out of their playlists' order must be put in order, however few are seen at once."""
    monkeypatch.setattr(row_files, "ROWS_AT_ONCE", at_once)
    rows = [f'"u","A","t{n}","p{place}"' for n, place in enumerate([0, 1, 1, 0, 2, 1, 0, 0])]
    raw = write(tmp_path / "x.csv", NOWPLAYING_HEADER + "\n".join(rows))
    quick, sql = run(raw, tmp_path / "quick"), by_sql(raw, tmp_path / "sql", monkeypatch)
    assert quick.cleaned == sql.cleaned
    assert tables(tmp_path / "quick") == tables(tmp_path / "sql")


def test_not_text_is_rejected_and_its_neighbours_are_not(tmp_path: Path):
    """A line that is not UTF-8 must cost its own line only, quick way or not."""
    raw = (
        NOWPLAYING_HEADER.encode()
        + b'"u","A","t1","p"\n"u","\xff","t2","p"\n\xff\n"u","A","t3","p"'
    )
    out = run(write(tmp_path / "x.csv", raw), tmp_path)
    assert out.column("track_name") == ["t1", "t3"]
    assert out.reasons() == [(3, "not UTF-8"), (4, "not UTF-8")]
    assert out.rejected[0]["raw_text"] == '"u","\\xff","t2","p"'


def test_bytes_do_not_depend_on_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The same input gives the same bytes whatever the number of threads."""
    monkeypatch.setattr(quick_csv, "BLOCK_BYTES", 1 << 12)  # so that there are blocks to share
    rows = [f'"u{n % 7}","A{n % 13}","t{n % 101}","p{n % 3}"' for n in range(5_000)]
    rows[77] = '"u","A","t","p" '
    raw = write(tmp_path / "x.csv", NOWPLAYING_HEADER + "\n".join(rows))
    for threads in (1, 4):
        run(raw, tmp_path / str(threads), threads=threads)
    coded = ("rows", "playlists", "tracks", "artists")
    names = ["cleaned.parquet", *(f"coded/{one}.parquet" for one in coded)]
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "4" / name).read_bytes()


def test_the_first_rows_are_a_group_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Rows between the small first group and the next must not be lost, or places begin anew."""
    rows = [f'"u","A{n % 5}","t{n}","p{n % 3}"' for n in range(23)]
    raw = write(tmp_path / "x.csv", NOWPLAYING_HEADER + "\n".join(rows))
    whole = run(raw, tmp_path / "whole")
    monkeypatch.setattr(quick_write, "_FIRST_ROWS", 4)
    monkeypatch.setattr(quick_write, "_ROWS_PER_GROUP", 8)
    cut = run(raw, tmp_path / "cut")
    written = pq.ParquetFile(tmp_path / "cut" / "cleaned.parquet").metadata
    assert [written.row_group(at).num_rows for at in range(4)] == [4, 8, 8, 3]
    assert cut.cleaned == whole.cleaned


def test_long_texts_make_smaller_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A group's dictionary of long texts must not outgrow a page, and groups must join up."""
    rows = [f'"u{n // 40}","A{n % 13}","{"t" * 50}{n % 23}","p"' for n in range(200)]
    raw = write(tmp_path / "x.csv", NOWPLAYING_HEADER + "\n".join(rows))
    whole = run(raw, tmp_path / "whole")
    monkeypatch.setattr(quick_write, "_TEXT_BYTES_PER_GROUP", 3_000)
    cut = run(raw, tmp_path / "cut")
    assert pq.read_metadata(tmp_path / "cut" / "cleaned.parquet").num_row_groups > 5
    assert cut.cleaned == whole.cleaned


def test_one_long_name_makes_no_small_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Groups by the longest name, not the mean, would be of a few rows each, and take for ever."""
    rows = [f'"u","","t{n}","p"' for n in range(300)] + [f'"u","","t","{"p" * 5_000}"']
    raw = write(tmp_path / "x.csv", NOWPLAYING_HEADER + "\n".join(rows))
    monkeypatch.setattr(quick_write, "_TEXT_BYTES_PER_GROUP", 100_000)
    assert len(run(raw, tmp_path).cleaned) == 301
    assert pq.read_metadata(tmp_path / "cleaned.parquet").num_row_groups == 1


def test_coded_rows_by_hand(tmp_path: Path):
    """Numbers that point at another id, or first rows marked twice, would corrupt every count."""
    rows = ['"u","A","t","p"', '"u","A","s","p"', '"u","A","t","p"', '"v","","t","q"']
    out = run(write(tmp_path / "x.csv", NOWPLAYING_HEADER + "\n".join(rows)), tmp_path)
    assert len(out.cleaned) == 4
    expected = tables(tmp_path)
    assert expected["rows"] == [
        ("u|||p", 0, "A|||t", "A", True, True),
        ("u|||p", 1, "A|||s", "A", True, False),
        ("u|||p", 2, "A|||t", "A", False, False),
        ("v|||q", 0, r"|||t|||v\|\|\|q", None, True, False),
    ]
    assert [row[:1] + row[-3:] for row in expected["tracks"]] == [
        ("A|||s", 1, 1, "A"),
        ("A|||t", 1, 2, "A"),
        (r"|||t|||v\|\|\|q", 1, 1, None),
    ]
    with duckdb.connect() as connection:
        code_cleaned(connection, tmp_path / "cleaned.parquet", CodedFiles(tmp_path / "x" / "coded"))
    assert tables(tmp_path / "x") == expected


def test_odd_but_usable_lines_keep_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A row that only the SQL can read must not move to another place in its playlist."""

    def hide(block: Bytes) -> dict[int, tuple[str, None]]:
        hidden, begin, data = {}, 0, block.tobytes()
        while begin < len(data):
            end = data.index(b"\n", begin) + 1
            if b"odd" in data[begin:end]:
                hidden[begin] = data[begin:end].decode(), None
                block[begin], block[begin + 1 : end - 1] = b'" '
            begin = end
        return hidden

    monkeypatch.setattr(quick_csv, "_hide_unsound", hide)
    monkeypatch.setattr(quick_csv, "BLOCK_BYTES", 40)
    titles = ["odd 0", "t1", "t2", "odd 3", "odd 4", "t5", "odd 6"]
    rows = [f'"u","A","{title}","p{at % 2}"' for at, title in enumerate(titles)]
    out = run(write(tmp_path / "x.csv", NOWPLAYING_HEADER + "\n".join(rows)), tmp_path)
    assert out.column("track_name") == titles
    assert out.column("playlist_name") == [f"p{at % 2}" for at in range(7)]
    assert out.column("position") == [0, 0, 1, 1, 2, 2, 3]
