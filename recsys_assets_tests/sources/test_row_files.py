"""Rows that are kept in files instead of memory."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import StorageError
from recsys_assets.sources import row_files
from recsys_assets.sources.record_kernels import Int32
from recsys_assets.sources.row_files import RowFiles


def int32(*numbers: int) -> Int32:
    """Return an array."""
    return np.array(numbers, np.int32)


def content(rows: RowFiles) -> tuple[list[int], list[int]]:
    """Return all playlists and all songs."""
    whole = slice(0, len(rows))
    return rows.playlist(whole).tolist(), rows.song(whole).tolist()


@given(
    sizes=st.lists(st.integers(0, 4), max_size=5),
    more=st.lists(st.integers(0, 20), max_size=6),
    at_once=st.integers(1, 5),
)
def test_further_rows_come_where_numpy_puts_them(
    sizes: list[int], more: list[int], at_once: int
) -> None:
    """An odd line at the border of a stretch must not change places with a sound one, or be lost."""
    count = sum(sizes)
    places = np.array(sorted(place % (count + 1) for place in more), np.int64)
    new = -1 - np.arange(len(places), dtype=np.int32)
    monkeypatch = pytest.MonkeyPatch()
    with TemporaryDirectory() as folder, monkeypatch.context() as patch:
        patch.setattr(row_files, "ROWS_AT_ONCE", at_once)
        rows, begin = RowFiles.empty(Path(folder) / "one"), 0
        for size in sizes:
            numbers = np.arange(begin, begin + size, dtype=np.int32)
            rows.append(numbers, 10 * numbers)
            begin += size
        assert len(rows) == count
        both = rows.with_more(Path(folder) / "two", places, new, 7 * new)
        assert content(both) == (
            np.insert(np.arange(count), places, new).tolist(),
            np.insert(10 * np.arange(count), places, 7 * new).tolist(),
        )


def test_a_copy_is_its_own(tmp_path: Path) -> None:
    """Rows of a second file must not be appended to the part that was kept of the first."""
    first = RowFiles.empty(tmp_path / "part")
    first.append(int32(1, 2), int32(3, 4))
    merged = first.copied(tmp_path / "merged")
    merged.append(int32(5), int32(6))
    assert content(first) == ([1, 2], [3, 4])
    assert content(merged) == ([1, 2, 5], [3, 4, 6])
    assert [len(songs) for _, songs in merged.stretches()] == [3]


def test_emptied_files_hold_nothing_of_before(tmp_path: Path) -> None:
    """Rows of one file must not come back with those of the next, which uses the same place."""
    RowFiles.empty(tmp_path).append(int32(1), int32(2))
    assert content(RowFiles.empty(tmp_path)) == ([], [])


def test_a_file_that_ends_early_is_an_error(tmp_path: Path) -> None:
    """Fewer numbers than rows would be written as fewer rows, in silence."""
    rows = RowFiles.empty(tmp_path)
    rows.append(int32(1, 2, 3), int32(4, 5, 6))
    (tmp_path / "song.int32").write_bytes(int32(4, 5).tobytes())
    with pytest.raises(StorageError, match=r"song.int32: expected 3 numbers, found 2"):
        rows.song(slice(1, 3))
