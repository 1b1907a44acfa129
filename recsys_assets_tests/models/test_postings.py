"""Playlists by key: every playlist of a key once, with its last place."""

import numpy as np

from recsys_assets.models.postings import Postings, Runs
from recsys_assets.playlists import MISSING, PlaylistSet


def test_runs_are_the_postings_by_playlist() -> None:
    """Prevents a playlist that comes twice for a key, or is met at its first place."""
    rng = np.random.default_rng(5)
    lists = [rng.integers(0, 9, rng.integers(0, 12)).tolist() for _ in range(60)]
    playlists = PlaylistSet.from_lists(lists)
    keys = np.where(playlists.items == 4, MISSING, playlists.items // 2).astype(np.int32)
    runs, postings = Runs.of(playlists, keys, 6), Postings.of(playlists, keys, 6)
    assert runs.plays.tolist() == np.diff(postings.offsets).tolist()
    assert runs.offsets[-1] == runs.offsets[-2], "nobody holds the last key"
    for key in range(6):
        expected: dict[int, tuple[int, int]] = {}
        for at in range(postings.offsets[key], postings.offsets[key + 1]):
            owner = int(postings.owners[at])
            place = int(postings.positions[at] - playlists.offsets[owner])
            expected[owner] = place, expected.get(owner, (0, 0))[1] + 1
        rows = runs.rows[runs.offsets[key] : runs.offsets[key + 1]]
        assert rows.tolist() == [[owner, *of] for owner, of in expected.items()]
