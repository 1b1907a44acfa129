"""Tests of the limit on rejected rows and of the report that it judges."""

from pathlib import Path

import pytest

from recsys_assets.sources.limits import check_rejected_share
from recsys_assets.sources.report import IngestReport
from recsys_assets_tests.sources.support import NOWPLAYING_HEADER, run, slice_json, write

GOOD = '"u","A","t{}","p"\n'


def test_share_above_the_limit_names_reasons_and_rows(tmp_path: Path):
    """The message shows what to mend without opening a file."""
    text = "".join(GOOD.format(n) for n in range(95)) + "x\n" * 3 + '"u","A","","p"\n"u","A"\n'
    out = run(write(tmp_path / "x.csv", NOWPLAYING_HEADER + text), tmp_path)
    ok, message = check_rejected_share(out.report, out.rejected_path, 0.05)
    assert ok
    assert "5.00%" in message
    ok, message = check_rejected_share(out.report, out.rejected_path, 0.049)
    assert not ok
    assert "5.00% of the input was rejected as defective (5 of 100 rows)" in message
    assert "3 x missing fields: 1 where the header has 4" in message
    assert "x.csv, line 97: missing fields: 1" in message
    assert "x.csv, line 100: empty trackname" in message
    assert "x.csv, line 101: missing fields: 2" in message
    assert message.count("x.csv, line") == 3


def test_filtered_rows_never_count(tmp_path: Path):
    """A strict filter is the user's wish, not a defect of the data."""
    rows = "".join(f'"u","A{n}","t","p"\n' for n in range(10))
    raw = write(tmp_path / "x.csv", NOWPLAYING_HEADER + rows)
    out = run(raw, tmp_path, top_artists=1)
    assert out.report.rejected_written == 9
    assert check_rejected_share(out.report, out.rejected_path, 0.0)[0]


def test_a_file_rejected_whole_counts_by_bytes(tmp_path: Path):
    """One cut-off slice of two must not slip through as one row of thousands."""
    playlists = [
        [
            {"pid": s * 50 + n, "tracks": [{"track_uri": str(t)} for t in range(50)]}
            for n in range(50)
        ]
        for s in range(2)
    ]
    write(tmp_path / "raw" / "1.json", slice_json(*playlists[0]))
    write(tmp_path / "raw" / "2.json", slice_json(*playlists[1])[:-1])
    out = run(tmp_path / "raw", tmp_path)
    assert out.report.rows_read == 2501
    assert out.report.rejected_share == pytest.approx(0.5, abs=0.01)
    ok, message = check_rejected_share(out.report, out.rejected_path, 0.05)
    assert not ok
    assert "2.json, $: file rejected whole" in message
    assert [file.name for file in out.report.damaged_files] == ["2.json"]


def test_report_survives_json(tmp_path: Path):
    """The report is stored between assets as JSON."""
    raw = write(tmp_path / "x.csv", NOWPLAYING_HEADER + GOOD + "x\n")
    report = run(raw, tmp_path).report
    restored = IngestReport.from_json(report.to_json())
    assert restored == report
    assert restored.conserved
    assert (restored.rows_read, restored.defect_rows) == (2, 1)


def test_a_lost_row_is_noticed(tmp_path: Path):
    """Conservation compares the count of reading with what was written."""
    report = run(write(tmp_path / "x.csv", NOWPLAYING_HEADER + GOOD), tmp_path).report
    lost = IngestReport.from_json(report.to_json().replace('"rows_read": 1', '"rows_read": 2'))
    assert not lost.conserved
