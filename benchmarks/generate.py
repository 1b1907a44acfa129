"""Data of the #nowplaying shape at any size: skewed, with genres, albums in runs, and its faults.

Draws the structure as integers with NumPy and lets Arrow join the strings, so that the full size
(12,891,680 rows, 1.1 GB) takes about a minute. The same seed and versions give the same bytes.
Run it: ``python -m benchmarks.generate --rows 12891680 --seed 1 --out file.csv``.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

FULL_ROWS, FULL_PLAYLISTS, FULL_TRACKS = 12_891_680, 232_369, 2_819_059
FULL_ARTISTS, FULL_USERS = 289_821, 15_918

GROWTH_OF_ITEMS = 0.88
"""Distinct tracks and artists grow with this power of the rows: a thirtieth holds a twentieth."""

GENRES = 64
ALBUM_TRACKS = 10
EMPTY_ARTISTS = 0.0026
BROKEN_LINES = 0.0006
RUN_ENDS = 0.75
"""A run of tracks of one album ends after a row with this probability."""
OWN_GENRE = 0.8

_CHUNK_ROWS = 1_000_000
_HEADER = b'"user_id", "artistname", "trackname", "playlistname"\n'
_CONSONANTS, _VOWELS = "bdfgklmnprstvzhj", "aeio"
_MOODS = (
    "Starred", "Liked from Radio", "chill", "party", "gym", "road trip", "2012", "late, late night",
    "focus", "Ambient", "favourites", "new", "old school", "summer", "classic rock", 'the ""best""',
)  # fmt: skip
_SUFFIXES = (
    " - Live", " (Remastered)", " - Radio Edit", ", Part 2", " - 2011 Remaster",
    " - Live, at the Arena", ' (From ""The Last Dance"")', ' - 12"" Version', " (feat. Velo & Rami)",
)  # fmt: skip

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """How many of each there are; `scaled` gives the Kaggle file's at another number of rows."""

    rows: int
    playlists: int
    tracks: int
    artists: int
    users: int

    @classmethod
    def scaled(cls, rows: int) -> "Shape":
        """Return the shape of a file of `rows` rows (at least 1,000)."""
        if rows < 1000:
            raise SystemExit(f"--rows {rows}: expected 1000 or more")
        share = rows / FULL_ROWS
        items = share**GROWTH_OF_ITEMS
        return cls(
            rows,
            max(1, round(FULL_PLAYLISTS * share)),
            max(1, min(round(FULL_TRACKS * items), rows // 2)),
            max(1, min(round(FULL_ARTISTS * items), rows // 20)),
            max(1, round(FULL_USERS * share)),
        )


def write_benchmark_csv(path: Path, *, rows: int, seed: int) -> Shape:
    """Write a #nowplaying CSV.

    Every track, artist, user and playlist of the shape occurs. Playlists of a user stand together.
    Artists follow a power law within their genre, four of five runs are of the playlist's genre; a
    run is some tracks of one album in order. 0.26 % of artists are empty, 0.06 % of the lines are
    broken: a stray quote, an extra field or too few. Quotes are doubled, as in the Kaggle file.

    Parameters
    ----------
    path
        The file; replaced when complete.
    rows
        Data rows, broken ones included.
    seed
        Of everything random.
    """
    shape = Shape.scaled(rows)
    rng = np.random.default_rng(seed)
    users, playlist_of_user, starts = _playlists(rng, shape)
    first_track, artist_of_track = _tracks(rng, shape)
    tracks = _rows(rng, shape, starts, first_track)
    missing = rng.random(rows) < EMPTY_ARTISTS
    broken = rng.random(rows) < BROKEN_LINES
    # Every piece carries its own quotes and separators: a row is four strings put together.
    heads = _heads(users)
    artist_names = _around(_artist_names(shape.artists), "", '","')
    artist_names = pa.concat_arrays([artist_names, pa.array(['","'])])
    track_names = _around(_track_names(rng, first_track, artist_of_track), "", '","')
    tails = _around(_playlist_names(rng, playlist_of_user), "", '"\n')
    playlist = np.repeat(np.arange(shape.playlists), np.diff(starts))
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.aside")
    with aside.open("wb") as stream:
        stream.write(_HEADER)
        for begin in range(0, rows, _CHUNK_ROWS):
            part = slice(begin, min(begin + _CHUNK_ROWS, rows))
            artist = np.where(missing[part], shape.artists, artist_of_track[tracks[part]])
            lines = pc.binary_join_element_wise(
                heads.take(pa.array(users[playlist[part]])),
                artist_names.take(pa.array(artist)),
                track_names.take(pa.array(tracks[part])),
                tails.take(pa.array(playlist[part])),
                "",
            )
            lines = _with_broken(lines, np.flatnonzero(broken[part]))
            stream.write(lines.buffers()[2])
    aside.replace(path)
    return shape


# --- structure ---------------------------------------------------------------------------------
def _playlists(rng: np.random.Generator, shape: Shape) -> tuple[Ints, Ints, Ints]:
    """Return each playlist's user, its number within the user, and the rows where they start."""
    skew = rng.random(shape.playlists - shape.users) ** 2
    users = np.sort(np.concatenate([np.arange(shape.users), (skew * shape.users).astype(np.int64)]))
    number = np.arange(shape.playlists) - np.searchsorted(users, users)
    sizes = np.exp(1.3 * rng.standard_normal(shape.playlists)).clip(max=60)
    whole = 1 + np.floor(sizes * (shape.rows - shape.playlists) / sizes.sum()).astype(np.int64)
    more = rng.permutation(shape.playlists)[: shape.rows - int(whole.sum())]
    whole[more] += 1
    return users, number, np.concatenate([[0], np.cumsum(whole)])


def _tracks(rng: np.random.Generator, shape: Shape) -> tuple[Ints, Ints]:
    """Return each artist's first track (with an end), and each track's artist.

    Artists are in order of falling popularity; popular ones have more tracks.
    """
    weight = (np.arange(shape.artists) + 5.0) ** -0.6 * rng.uniform(0.5, 1.5, shape.artists)
    counts = 1 + np.floor(weight * (shape.tracks - shape.artists) / weight.sum()).astype(np.int64)
    counts[: shape.tracks - int(counts.sum())] += 1
    first = np.concatenate([[0], np.cumsum(counts)])
    return first, np.repeat(np.arange(shape.artists), counts)


def _rows(rng: np.random.Generator, shape: Shape, starts: Ints, first_track: Ints) -> Ints:
    """Return the track of every row."""
    begins = rng.random(shape.rows) < RUN_ENDS
    begins[starts[:-1]] = True
    run_start = np.flatnonzero(begins)
    run_of_row = np.cumsum(begins) - 1
    within = np.arange(shape.rows) - run_start[run_of_row]
    runs = len(run_start)
    main = (rng.random(shape.playlists) ** 1.5 * GENRES).astype(np.int64)
    genre = np.repeat(main, np.diff(np.searchsorted(run_start, starts)))
    genre = np.where(rng.random(runs) < OWN_GENRE, genre, rng.integers(0, GENRES, runs))
    artist = _artists_of(rng, genre, shape.artists)
    count = first_track[artist + 1] - first_track[artist]
    start = np.floor(count * rng.random(runs) ** 4).astype(np.int64)
    album = start - start % ALBUM_TRACKS
    length = np.minimum(ALBUM_TRACKS, count - album)
    tracks = (first_track[artist] + album)[run_of_row] + (
        (start - album)[run_of_row] + within
    ) % length[run_of_row]
    return _with_every_track(rng, tracks, shape.tracks)


def _artists_of(rng: np.random.Generator, genre: Ints, artists: int) -> Ints:
    """Draw an artist for every run by a power law within its genre (artist % GENRES)."""
    weight = (np.arange(artists) // GENRES + 3.0) ** -1.05
    total = np.zeros(artists + 1)
    order = np.argsort(np.arange(artists) % GENRES, kind="stable")
    np.cumsum(weight[order], out=total[1:])
    bounds = np.searchsorted(np.arange(artists)[order] % GENRES, np.arange(GENRES + 1))
    low, high = total[bounds[genre]], total[bounds[genre + 1]]
    place = np.searchsorted(total, low + rng.random(len(genre)) * (high - low), side="right") - 1
    return order[place.clip(max=artists - 1)].astype(np.int64)


def _with_every_track(rng: np.random.Generator, tracks: Ints, count: int) -> Ints:
    """Put tracks that were never drawn in place of others that occur more than once."""
    seen, first = np.unique(tracks, return_index=True)
    unseen = np.setdiff1d(np.arange(count), seen, assume_unique=True)
    again = np.ones(len(tracks), bool)
    again[first] = False
    places = np.flatnonzero(again)
    tracks = tracks.copy()
    tracks[rng.permutation(places)[: len(unseen)]] = rng.permutation(unseen)
    return tracks


# --- names -------------------------------------------------------------------------------------
def _heads(users: Ints) -> pa.StringArray:
    """Return the opening of every user's rows: 32 hex digits, as an MD5."""
    number = np.arange(1, int(users.max()) + 2, dtype=np.uint64)
    mixed = number * np.uint64(0x9E3779B97F4A7C15)  # odd, so that no two are alike
    return pa.array(
        f'"{one:016x}{(one * 31 + 7) % 2**64:016x}","' for one in (int(value) for value in mixed)
    )


def _words(numbers: Ints, syllables: int) -> pa.StringArray:
    """Return one capitalised word per number, different ones below ``64 ** syllables``."""
    table = [a + b for a in _CONSONANTS for b in _VOWELS]
    capitals = pa.array([one.capitalize() for one in table])
    small = pa.array(table)
    parts = [
        (capitals if at == 0 else small).take(pa.array(numbers // 64**at % 64))
        for at in range(syllables)
    ]
    return pc.binary_join_element_wise(*parts, "")


def _artist_names(artists: int) -> pa.StringArray:
    """Return names of two words; the last is different for each artist."""
    number = np.arange(artists)
    names = pc.binary_join_element_wise(
        _words(number * 2_654_435_761 % 64**2, 2), _words(number, 4), " "
    )
    comma = pc.binary_join_element_wise(names, "", " & The Sons, Inc.")
    return pc.if_else(pa.array(number % 50 == 17), comma, names)


def _track_names(
    rng: np.random.Generator, first_track: Ints, artist_of_track: Ints
) -> pa.StringArray:
    """Return titles that are different within an artist; some are shared between artists."""
    tracks = len(artist_of_track)
    within = np.arange(tracks) - first_track[artist_of_track]
    shared = artist_of_track % 1009 * 127
    base = _words((within * 7919 + shared) % 64**3, 3)
    more = _words(rng.integers(0, 64**2, tracks), 2)
    names = pc.binary_join_element_wise(base, more, " of ")
    suffix = np.where(
        rng.random(tracks) < 0.25, rng.integers(0, len(_SUFFIXES), tracks), len(_SUFFIXES)
    )
    # Doubled quotes are rare in the Kaggle file: 0.8 % of its rows.
    suffix = np.where((suffix // 2 == 3) & (rng.random(tracks) < 0.85), len(_SUFFIXES), suffix)
    endings = pa.array([*_SUFFIXES, ""]).take(pa.array(suffix))
    return pc.binary_join_element_wise(names, endings, "")


def _playlist_names(rng: np.random.Generator, playlist_of_user: Ints) -> pa.StringArray:
    """Return names that are different within a user."""
    mood = rng.integers(0, len(_MOODS) - 1, len(playlist_of_user))
    mood[rng.random(len(mood)) < 0.001] = len(_MOODS) - 1  # the one with quotes
    moods = pa.array(_MOODS).take(pa.array(mood))
    words = _words(playlist_of_user * 7919 % 64**3, 3)
    return pc.binary_join_element_wise(moods, words, " ")


def _around(names: pa.StringArray, before: str, after: str) -> pa.StringArray:
    return pc.binary_join_element_wise(pa.scalar(before), names, pa.scalar(after), "")


def _with_broken(lines: pa.StringArray, places: Ints) -> pa.StringArray:
    """Break some lines: a stray quote, an extra field, too few fields."""
    if len(places) == 0:
        return lines
    replaced = []
    for turn, line in enumerate(lines.take(pa.array(places)).to_pylist()):
        text = line[:-1]
        if turn % 3 == 0:
            text = text[:-1] + '" (live)"'
        elif turn % 3 == 1:
            text += ',"23"'
        else:
            text = '","'.join(text.split('","')[:2]) + '"'
        replaced.append(text + "\n")
    mask = np.zeros(len(lines), bool)
    mask[places] = True
    return pc.replace_with_mask(lines, pa.array(mask), pa.array(replaced))


def main() -> None:
    """Write a file, as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=FULL_ROWS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    started = time.perf_counter()
    shape = write_benchmark_csv(arguments.out, rows=arguments.rows, seed=arguments.seed)
    print(
        f"{arguments.out}: {arguments.out.stat().st_size / 1e9:.3f} GB, {shape}, "
        f"{time.perf_counter() - started:.1f} s"
    )


if __name__ == "__main__":
    main()
