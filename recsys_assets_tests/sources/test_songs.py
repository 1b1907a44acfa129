"""The dictionary of songs, against Python's own."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.sources.interning import Texts
from recsys_assets.sources.record_kernels import Bytes, Int32
from recsys_assets.sources.songs import Songs

TEXT = st.text(st.sampled_from("abü"), max_size=12)
ROWS = st.lists(
    st.tuples(
        TEXT, TEXT.filter(bool) | st.sampled_from(["ab" * 40, "ab" * 40 + "c"]), st.integers(0, 2)
    ),
    max_size=150,
)
Row = tuple[str, str, int]


def fields(rows: list[Row]) -> tuple[Bytes, Int32, Int32, Int32]:
    """Return rows as `Songs.number` takes them."""
    texts = [text.encode() for artist, title, _ in rows for text in ("user", artist, title)]
    bounds = np.cumsum([0, *(len(text) for text in texts)]).astype(np.int32)
    data = np.frombuffer(b"".join(texts), np.uint8)
    playlists = np.array([playlist for *_, playlist in rows], np.int32)
    return data, bounds[:-1].reshape(-1, 3), bounds[1:].reshape(-1, 3), playlists


def by_hand(rows: list[Row]) -> list[int]:
    """Return the numbers that a dict gives: of artist and title, or title and playlist."""
    seen: dict[tuple[object, str], int] = {}
    return [
        seen.setdefault((artist or playlist, title), len(seen)) for artist, title, playlist in rows
    ]


@given(first=ROWS, second=ROWS)
@settings(max_examples=60, deadline=None)
def test_numbers_are_those_of_a_dict(first: list[Row], second: list[Row]):
    """Two songs that share a number, or one with two, would corrupt everything that follows."""
    expected = by_hand(first + second)
    songs, artists = Songs(), Texts()
    numbers = [*songs.number(*fields(first), artists), *songs.number(*fields(second), artists)]
    assert numbers == expected
    every = [artist for artist, _, _ in first + second if artist]
    assert artists.count == len(set(every))

    # The same by two dictionaries of which one is appended; their playlists are 0 -> 2 and so on.
    one, other = Songs(), Songs()
    there, here = Texts(), Texts()
    numbered = one.number(*fields(first), here)
    moved = [(artist, title, 2 - playlist) for artist, title, playlist in second]
    others = other.number(*fields(moved), there)
    joined = one.append(Songs.of(*other.held()), np.array([2, 1, 0], np.int32), here)
    assert [*numbered, *joined[others]] == expected
    assert here.held()[1].tobytes() == artists.held()[1].tobytes()
    for held, also in zip(one.held(), songs.held(), strict=True):
        assert held.tolist() == also.tolist()


def test_many_songs_outgrow_their_table():
    """A table that grows must not forget what it held, and may be let go in between."""
    rows = [(f"artist {n % 700}", f"title {n}", 0) for n in range(20_000)]
    songs, artists = Songs(), Texts()
    assert songs.number(*fields(rows[:6_000]), artists).tolist() == list(range(6_000))
    songs.let_go()
    assert songs.number(*fields(rows), artists).tolist() == list(range(20_000))
    assert artists.count == 700
