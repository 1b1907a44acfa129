"""Tests of the demo data: the same everywhere, faulty as real data is, and learnable."""

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from recsys_assets.sources.demo import GENRES, demo_genre, write_demo
from recsys_assets_tests.sources.support import Ingested, run


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Ingested:
    """The demo data of the default seed and size, ingested."""
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder / "demo.csv")
    return run(folder / "demo.csv", folder)


def test_same_bytes(tmp_path: Path):
    """Figures in documents and tests rest on these very bytes, on any machine."""
    write_demo(tmp_path / "a.csv")
    content = (tmp_path / "a.csv").read_bytes()
    assert hashlib.blake2b(content, digest_size=8).hexdigest() == "e4c6085c1dd260ab"
    write_demo(tmp_path / "b.csv", seed=1, playlists=20)
    assert (tmp_path / "b.csv").read_bytes() != content[: (tmp_path / "b.csv").stat().st_size]


def test_shape(demo: Ingested):
    """It has what real files have: broken lines, missing artists, quotes, a long tail."""
    assert demo.report.defect_rows == 20
    assert {one.reason.split(":")[0] for one in demo.report.rejected} == {
        "broken quoting",
        "extra fields",
        "missing fields",
    }
    assert len(set(demo.column("playlist_id"))) == 2000
    assert 50 < sum(artist is None for artist in demo.column("artist_id")) < 200
    assert any('"' in name for name in demo.column("track_name"))
    assert any("," in name for name in demo.column("playlist_name"))
    counts = sorted(Counter(demo.column("track_id")).values(), reverse=True)
    assert sum(counts[: len(counts) // 10]) > 0.4 * sum(counts)


def test_genres(demo: Ingested):
    """Neighbouring tracks share a genre far more often than chance: there is something to learn."""
    genres = [demo_genre(track) for track in demo.column("track_id")]
    assert {genre for genre in genres if genre is not None} == set(GENRES)
    assert genres.count(None) == demo.column("artist_id").count(None)
    playlist = demo.column("playlist_id")
    pairs = [
        (genres[n], genres[n + 1])
        for n in range(len(genres) - 1)
        if playlist[n] == playlist[n + 1] and None not in (genres[n], genres[n + 1])
    ]
    share = sum(one == other for one, other in pairs) / len(pairs)
    shares = [count / len(genres) for count in Counter(genres).values()]
    assert share > 0.7
    assert sum(one * one for one in shares) < 0.2
    assert demo_genre("Silver Rivers of jazz") == "jazz"
    assert demo_genre("|||Ember|||x of jazz") is None
