"""Versions of a song: which items of a catalogue are the same song in another recording.

Told by names alone, for the features of `two_stage_features.py`. Nothing is merged in the catalogue: a
live version stays an item of its own.
"""

import re

import numpy as np

from recsys_assets.playlists import MISSING, Catalog, Int32


def song_numbers(catalog: Catalog) -> Int32:
    """Return int32[size]: one number for all versions of a song.

    Versions are items of one artist whose names agree but for case, brackets and what follows
    `` - `` ("Song (Live)", "Song - 2011 Remaster"). Without artist or name an item stands alone.
    """
    numbers: dict[tuple[int, str], int] = {}
    songs = np.arange(len(catalog), dtype=np.int32)
    for item, (artist, name) in enumerate(
        zip(catalog.artist_index.tolist(), catalog.names.to_pylist(), strict=True)
    ):
        if artist != MISSING and name is not None:
            title = re.sub(r"\(.*?\)|\[.*?\]| - .*", "", name).casefold().strip()
            songs[item] = numbers.setdefault((artist, title or name), item)
    return songs
