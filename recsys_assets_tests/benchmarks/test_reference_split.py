"""Tests of the division that the figures to beat were measured on."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.reference_split import write_reference


def _slice(path: Path, playlists: range) -> None:
    tracks = [{"artist_name": "A", "track_name": f"t{n}", "track_uri": f"u{n}"} for n in range(2)]
    lists = [{"pid": pid, "name": f"list {pid}", "tracks": tracks} for pid in playlists]
    path.write_text(json.dumps({"playlists": lists}))


def test_order_names_and_sizes(tmp_path: Path):
    """Prevents a comparison on another division, or of songs told apart by their URIs."""
    _slice(tmp_path / "mpd.slice.0-6.json", range(7))
    _slice(tmp_path / "mpd.slice.7-9.json", range(7, 10))
    settings = write_reference(tmp_path, tmp_path / "out" / "x.parquet")
    rows = pq.read_table(tmp_path / "out" / "x.parquet").to_pylist()
    # RandomState(42).permutation(10), which numpy promises never to change.
    order = [8, 1, 5, 0, 7, 2, 9, 4, 3, 6]
    assert [row["playlist"] for row in rows[::2]] == [f"list {pid}" for pid in order]
    assert [row["playlist_id"] for row in rows] == [place for place in range(10) for _ in range(2)]
    assert [(row["track_id"], row["position"]) for row in rows[:2]] == [
        ("A|||t0", 0),
        ("A|||t1", 1),
    ]
    assert settings["RECSYS_VALIDATION_SIZE"] == "2"
    assert settings["RECSYS_TEST_SIZE"] == "1"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"playlists": [{"na', "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"playlists": [{"name": "a", "tracks": [{"artist_name": "A"}]}]}', "'track_name'"),
        ('{"playlists": [{"name": "a", "tracks": [7]}]}', "TypeError"),
        ('{"playlists": [{"name": null, "tracks": []}]}', "expected a text, found None"),
    ],
)
def test_what_is_no_slice_is_named(tmp_path: Path, text: str, found: str):
    """Prevents a traceback of ours for a file of somebody else's."""
    path = tmp_path / "mpd.slice.0-1.json"
    path.write_text(text)
    with pytest.raises(SystemExit, match=found) as refused:
        write_reference(tmp_path, tmp_path / "x.parquet")
    assert str(path) in str(refused.value)
    assert not (tmp_path / "x.parquet").exists()


@pytest.mark.real_data
def test_it_is_the_division_of_the_published_figures(real_data: Path, tmp_path: Path):
    """Its training tracks, validation playlists and cold targets are the published ones."""
    settings = write_reference(real_data / "mpd", tmp_path / "x.parquet")
    rows = pq.read_table(tmp_path / "x.parquet", columns=["playlist_id", "track_id"])
    playlists = rows["playlist_id"].to_numpy()
    tracks = rows["track_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    last = np.flatnonzero(np.diff(playlists, append=-1))
    count = int(settings["RECSYS_VALIDATION_SIZE"])
    first = len(last) - int(settings["RECSYS_TEST_SIZE"]) - count
    trained = np.unique(tracks[playlists < first])
    assert (len(trained), count) == (117_293, 988)
    cold = 1 - np.isin(tracks[last[first : first + count]], trained).mean()
    assert round(100 * cold, 1) == 32.1
