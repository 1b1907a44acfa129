"""Tests of the benchmark data: the shape that it promises, its faults, the same bytes again."""

import csv
from pathlib import Path

from benchmarks.generate import Shape, write_benchmark_csv
from recsys_assets_tests.sources.support import run


def test_the_shape_is_reached_and_broken_lines_are_rejected(tmp_path: Path):
    """Benchmarks on data of another shape would say nothing of the real file."""
    path = tmp_path / "x.csv"
    shape = write_benchmark_csv(path, rows=20_000, seed=1)
    assert shape == Shape.scaled(20_000)
    out = run(path, tmp_path)
    assert out.report.rows_read == 20_000
    assert 1 <= out.report.rejected_written <= 40
    assert abs(len(set(out.column("playlist_id"))) - shape.playlists) <= 5
    assert len(set(out.column("user_id"))) == shape.users
    tracks = {row["track_id"] for row in out.cleaned if row["artist_id"] is not None}
    assert shape.tracks - 80 <= len(tracks) <= shape.tracks
    assert 0.001 < sum(one is None for one in out.column("artist_id")) / 20_000 < 0.005
    quoted = sum('"' in name for name in out.column("track_name"))
    assert 0.001 < quoted / 20_000 < 0.03
    same_artist = [
        one["artist_id"] == two["artist_id"]
        for one, two in zip(out.cleaned, out.cleaned[1:], strict=False)
        if one["playlist_id"] == two["playlist_id"]
    ]
    assert 0.1 < sum(same_artist) / len(same_artist) < 0.4


def test_same_seed_same_bytes_and_valid_csv(tmp_path: Path):
    """Figures of two days compare only if the file is the same."""
    one, two, other = tmp_path / "1.csv", tmp_path / "2.csv", tmp_path / "3.csv"
    write_benchmark_csv(one, rows=2_000, seed=7)
    write_benchmark_csv(two, rows=2_000, seed=7)
    write_benchmark_csv(other, rows=2_000, seed=8)
    assert one.read_bytes() == two.read_bytes()
    assert one.read_bytes() != other.read_bytes()
    with one.open(newline="") as stream:
        widths = [len(row) for row in csv.reader(stream, skipinitialspace=True)]
    assert len(widths) == 2_001
    assert widths.count(4) > 1_990
