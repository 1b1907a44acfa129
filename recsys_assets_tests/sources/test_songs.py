"""The dictionary of songs, against Python's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.sources import interning, text_kernels
from recsys_assets.sources.interning import Texts, free_slots, stretches
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


def test_equal_hashes_are_not_equal_songs():
    """Two songs whose hashes happen to be equal must not become one: millions of them collide."""
    a, b = "artist A", "artist B"  # of eight bytes, which are compared at once
    names = ["", "A", "B", a, b, a + a + a, a + a + b, b + a + a, a + b + a]
    rows = [(artist, title, at) for artist in names for title in names[1:] for at in (0, 1)] * 2
    values = np.zeros(len(rows), np.uint32)
    numbers, _ = Songs().number_unnamed(*fields(rows), values)
    assert numbers.tolist() == by_hand(rows)


def test_equal_hashes_are_not_equal_texts():
    """Two users or playlists must not become one because their hashes are equal."""
    texts = [f"{number:010}" for number in range(200_000)]
    data, offsets = np.frombuffer("".join(texts).encode(), np.uint8), np.arange(0, 2_000_001, 10)
    slots = free_slots(len(texts))
    text_kernels.fill_text_slots(offsets, data, len(texts), slots)
    hashes = slots[slots != text_kernels.FREE] >> np.uint64(32)
    assert len(np.unique(hashes)) < len(texts)  # or this test says nothing
    bounds = offsets.astype(np.int32)[:, None]
    assert Texts().number(data, bounds[:-1], bounds[1:], 0).tolist() == list(range(len(texts)))


def test_a_title_without_artist_in_many_playlists_is_found_at_once():
    """One chain of equal hashes for all playlists with a title would take time with their square."""
    rows = [("", "Intro", playlist) for playlist in range(3_000)]
    songs = Songs()
    assert songs.number(*fields(rows), Texts()).tolist() == list(range(3_000))
    songs.let_go()
    assert songs.number(*fields(rows), Texts()).tolist() == list(range(3_000))
    hashes = songs._slots[songs._slots != text_kernels.FREE] >> np.uint64(32)
    assert len(np.unique(hashes)) == 3_000


def test_stretches_fit_32_bits(monkeypatch: pytest.MonkeyPatch):
    """Places beyond int32 in texts of another file would be read from anywhere in memory."""
    starts = np.arange(201, dtype=np.int64) * 12_000_000
    for bits in (0, text_kernels.TITLE_BITS):
        parts = list(stretches((starts << bits) + (bits > 0), 150, bits))
        assert [part.stop for part in parts] == [89, 178, 200]
        assert [part.start for part in parts] == [0, 89, 178]
    assert [part.stop for part in stretches(np.array([0, 1 << 40, (1 << 40) + 1]), 9)] == [1, 2]
    assert [part.stop for part in stretches(starts, 80)] == [80, 160, 200]

    monkeypatch.setattr(interning, "_BYTES_AT_ONCE", 20)
    rows = [(f"artist {n % 7}", f"title {n}", 0) for n in range(30)]
    one, other, here = Songs(), Songs(), Texts()
    other.number(*fields(rows), Texts())
    assert one.append(other, np.array([0], np.int32), here).tolist() == list(range(30))
    assert Texts().append(here).tolist() == list(range(7))
