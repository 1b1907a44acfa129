"""Tests on the real data, where it is present: every row accounted for, by reason."""

from pathlib import Path

import pytest

from recsys_assets_tests.sources.support import run

pytestmark = pytest.mark.real_data


def test_nowplaying(real_data: Path, tmp_path: Path):
    """All 266 broken lines are accounted for, by reason."""
    out = run(real_data / "nowplaying", tmp_path)
    assert (out.report.rows_read, len(out.cleaned)) == (464_006, 463_740)
    assert {one.reason: one.rows for one in out.report.rejected} == {
        "broken quoting": 128,
        "extra fields: 5 where the header has 4": 93,
        "missing fields: 2 where the header has 4": 45,
    }


@pytest.mark.parametrize(
    ("folder", "rows", "playlists", "timed"),
    [("mpd", 464_006, 4_938, 597), ("sessions", 953_381, 128_077, 0)],
)
def test_sound_data_is_taken_whole(
    real_data: Path, tmp_path: Path, folder: str, rows: int, playlists: int, timed: int
):
    """Nothing sound is rejected, playlists stay apart, and those with every field have a time."""
    out = run(real_data / folder, tmp_path)
    assert (out.report.rows_read, out.report.cleaned_written) == (rows, rows)
    assert len(set(out.column("playlist_id"))) == playlists
    times = {row["playlist_id"] for row in out.cleaned if row["started_at"] is not None}
    assert len(times) == timed


def test_lastfm(real_data: Path, tmp_path: Path):
    """Every listening event is in a session."""
    out = run(real_data / "lastfm", tmp_path)
    assert (out.report.rows_read, out.report.cleaned_written) == (36_803, 36_803)
    assert len(set(out.column("user_id"))) == 597


@pytest.mark.parametrize(("mode", "rows"), [("reject_file", 0), ("keep_whole_playlists", 2023)])
def test_malformed_slice(real_data: Path, tmp_path: Path, mode: str, rows: int):
    """37 whole playlists are taken from the cut-off slice only where that is asked for."""
    out = run(real_data / "malformed", tmp_path, truncated_json=mode)
    assert len(out.cleaned) == rows
    assert len(set(out.column("playlist_id"))) == (37 if rows else 0)
    assert len(out.rejected) == 1
