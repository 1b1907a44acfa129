"""Embedded demo data: playlists of the #nowplaying shape whose structure is known beforehand.

Generates a raw CSV with latent genres, a heavy tail, albums played in runs, and the faults that
real files have. Deterministic; read by the same reader as anybody's file, and by nothing else.
"""

from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Final

import numpy as np

from recsys_assets.sources.formats import NOWPLAYING_FIELDS

DEMO_SEED: Final = 20_240_607

GENRES: Final = (
    "ambient", "blues", "bossa", "country", "disco", "dub", "folk", "funk",
    "grime", "house", "jazz", "metal", "punk", "soul", "swing", "techno",
)  # fmt: skip

_ARTISTS_PER_GENRE: Final = 16
_BROKEN_LINES: Final = 20
_FIRST: Final = (
    "Silver",
    "Velvet",
    "Northern",
    "Paper",
    "Golden",
    "Midnight",
    "Hollow",
    "Electric",
)
_SECOND: Final = ("Rivers", "Foxes", "Harbour", "Lanterns", "Machine", "Orchard", "Parade", "Tides")
_ALBUM_WORDS: Final = ("Atlas", "Letters")
_SONG_WORDS: Final = ("Rain", "Home, Again", "Satellite", 'The "Last" Dance', "Ember", "Slow Light")
_MOODS: Final = ("morning", "gym", "road trip", "late, late", "focus", 'the "best"', "party")


class _Dice:
    """Draws that use nothing but `Generator.random()`.

    NumPy keeps the bit stream of PCG64, but not those of its distributions, which may change with
    the version and call the platform's `log`; see NEP 19.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.Generator(np.random.PCG64(seed))

    def chance(self, share: float) -> bool:
        """Return True in `share` of all draws."""
        return bool(self._rng.random() < share)

    def below(self, count: int) -> int:
        """Return one of ``0 .. count - 1``."""
        return int(self._rng.random() * count)

    def geometric(self, share: float) -> int:
        """Return the number of draws up to the first success, at least 1."""
        draws = 1
        while not self.chance(share):
            draws += 1
        return draws

    def zipf(self, count: int) -> int:
        """Return one of ``0 .. count - 1``, `n` with a weight of ``1 / (n + 1)``."""
        weights = list(accumulate(1 / (number + 1) for number in range(count)))
        return bisect(weights, self._rng.random() * weights[-1], hi=count - 1)


def write_demo(path: Path, *, seed: int = DEMO_SEED, playlists: int = 2000) -> None:
    """Write demo data as a #nowplaying CSV.

    Each playlist has a main genre that four of five of its runs come from; a run is a few tracks of
    one album in order, mostly followed by one of the same or a kindred artist (the next in the
    genre). Artists follow Zipf's law within their genre. About 0.3 % of artists are empty and 20
    lines are broken: stray quotes, extra and missing fields.

    Parameters
    ----------
    path
        Written aside and moved into place.
    seed
        The same seed gives the same bytes on every run and machine.
    playlists
        How many; a user has three on average.
    """
    dice = _Dice(seed)
    lines = [line for number in range(playlists) for line in _playlist_lines(dice, number)]
    broken: set[int] = set()
    while len(broken) < min(_BROKEN_LINES, len(lines)):
        broken.add(dice.below(len(lines)))
    for turn, at in enumerate(sorted(broken)):
        lines[at] = _broken(lines[at], turn)
    header = ", ".join(f'"{name}"' for name in NOWPLAYING_FIELDS)
    aside = path.with_name(f".{path.name}.aside")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside.write_bytes(("\n".join([header, *lines]) + "\n").encode())
    aside.replace(path)


def demo_genre(name: str) -> str | None:
    """Return the genre of a demo track id or artist, None for a track without artist.

    Artists are named after their genre, as in ``Silver Rivers of jazz``; a track id is
    ``artist|||track``.
    """
    artist = name.split("|||", maxsplit=1)[0]
    genre = artist.rsplit(" of ", maxsplit=1)[-1]
    return genre if genre in GENRES else None


def _playlist_lines(dice: _Dice, playlist: int) -> Iterator[str]:
    main = dice.zipf(len(GENRES))
    user = f"{playlist // 3:032x}"
    # A user's playlists are numbered, so that no two share a name and merge.
    theme = _MOODS[dice.below(len(_MOODS))] if dice.chance(0.7) else GENRES[main]
    title = f"{theme} {playlist % 3}"
    left = min(2 + dice.geometric(1 / 18), 120)
    artist = dice.zipf(_ARTISTS_PER_GENRE)
    while left:
        genre = main if dice.chance(0.8) else dice.below(len(GENRES))
        album = _ALBUM_WORDS[dice.below(len(_ALBUM_WORDS))]
        start = min(dice.geometric(0.35), len(_SONG_WORDS)) - 1
        run = min(dice.geometric(0.45), len(_SONG_WORDS) - start, left)
        for song in _SONG_WORDS[start : start + run]:
            name = "" if dice.chance(0.003) else _artist_name(genre, artist)
            yield _line(user, name, f"{song} ({album})", title)
        left -= run
        if dice.chance(0.4):
            artist = (artist + 1) % _ARTISTS_PER_GENRE
        elif dice.chance(0.5):
            artist = dice.zipf(_ARTISTS_PER_GENRE)


def _artist_name(genre: int, number: int) -> str:
    first, second = _FIRST[number % 8], _SECOND[(number * 3 + number // 8) % 8]
    return f"{first} {second} of {GENRES[genre]}"


def _line(*fields: str) -> str:
    return ",".join('"' + field.replace('"', '""') + '"' for field in fields)


def _broken(line: str, turn: int) -> str:
    if turn % 3 == 0:
        return line[:-1] + '" (live)"'  # a quote that nothing doubled
    if turn % 3 == 1:
        return line + ',"23"'
    return '","'.join(line.split('","')[:2]) + '"'
