"""What is remembered of raw files between runs."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from recsys_assets.sources import known_files, manifest
from recsys_assets.sources.known_files import scan_known
from recsys_assets_tests.sources.support import NOWPLAYING_HEADER, write

ROW = '"u","a","t","p"\n'


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read for their hash; files count as settled at once."""
    names: list[str] = []
    real = manifest._look_at

    def look(file: manifest.RawFile, progress: manifest.Progress) -> manifest.RawFile:
        names.append(file.name)
        return real(file, progress)

    monkeypatch.setattr(manifest, "_look_at", look)
    monkeypatch.setattr(known_files, "_SETTLED_NS", 0)
    return names


def test_only_changed_files_are_hashed_again(tmp_path: Path, hashed: list[str]) -> None:
    """Every run would otherwise read all files for nothing, or miss a change."""
    raw, store = tmp_path / "raw", tmp_path / "home" / "known.json"
    for name in "ab":
        write(raw / name, NOWPLAYING_HEADER + ROW + name)
    first = scan_known(raw, store, trust=True)
    assert scan_known(raw, store, trust=True) == first
    assert hashed == ["a", "b"]
    scan_known(raw, store, trust=False)
    assert hashed == ["a", "b"] * 2
    write(raw / "b", NOWPLAYING_HEADER + ROW + "bb")
    changed = scan_known(raw, store, trust=True)
    assert hashed[4:] == ["b"]
    assert changed.data_version != first.data_version


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path, hashed: list[str]) -> None:
    """Tools that copy with times would bring in other content under the old hash."""
    raw, store = tmp_path / "a", tmp_path / "known.json"
    first = scan_known(write(raw, NOWPLAYING_HEADER + ROW), store, trust=True)
    stat = raw.stat()
    time.sleep(0.02)  # beyond a tick of the kernel's clock
    write(raw, NOWPLAYING_HEADER + ROW.replace("t", "s"))
    os.utime(raw, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert scan_known(raw, store, trust=True).data_version != first.data_version
    assert hashed == ["a", "a"]


def test_repeated_content_is_hashed_once(tmp_path: Path, hashed: list[str]) -> None:
    """An archive beside its unpacked file would be hashed in every run; alone, it must be taken."""
    raw, store = tmp_path / "raw", tmp_path / "known.json"
    for name in "ab":
        write(raw / name, NOWPLAYING_HEADER + ROW)
    first = scan_known(raw, store, trust=True)
    assert scan_known(raw, store, trust=True) == first
    assert [file.name for file in first.ignored] == ["b"]
    (raw / "a").unlink()
    last = scan_known(raw, store, trust=True)
    assert [file.name for file in last.files] == ["b"]
    assert last.data_version == first.data_version
    assert hashed == ["a", "b"]


def test_what_other_code_found_is_not_trusted(
    tmp_path: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file would keep the format that an earlier version took it for."""
    raw, store = write(tmp_path / "a", NOWPLAYING_HEADER + ROW), tmp_path / "known.json"
    for version in ("one", "one", "two"):
        monkeypatch.setattr(known_files, "code_version", lambda *_, version=version: version)
        scan_known(raw, store, trust=True)
    assert hashed == ["a", "a"]


def test_a_store_cut_short_is_not_read(tmp_path: Path, hashed: list[str]) -> None:
    """After a power failure no run would start any more."""
    raw, store = write(tmp_path / "a", NOWPLAYING_HEADER + ROW), tmp_path / "known.json"
    first = scan_known(raw, store, trust=True)
    for kept in (0, len(store.read_text()) // 2):
        store.write_text(store.read_text()[:kept])
        assert scan_known(raw, store, trust=True) == first
    assert hashed == ["a", "a", "a"]


def test_two_processes_remember_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two launchers that look at the files would take each other's half-written file."""
    raw, store = write(tmp_path / "a", NOWPLAYING_HEADER + ROW), tmp_path / "known.json"
    both, replace = Barrier(2, timeout=5), os.replace
    process = iter([1, 2])

    def replace_together(source: Path, target: Path) -> None:
        both.wait()  # both have written, neither has moved
        replace(source, target)

    monkeypatch.setattr(os, "getpid", lambda: next(process))
    monkeypatch.setattr(os, "replace", replace_together)
    with ThreadPoolExecutor(2) as pool:
        scans = [pool.submit(scan_known, raw, store, trust=True) for _ in range(2)]
        assert scans[0].result() == scans[1].result()
    assert json.loads(store.read_text()) == []
    assert {one.name for one in tmp_path.iterdir()} == {"a", "known.json"}


def test_a_file_changed_just_now_is_not_trusted(
    tmp_path: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two changes within one tick of the clock look like one."""
    monkeypatch.setattr(known_files, "_SETTLED_NS", 2_000_000_000)
    raw, store = write(tmp_path / "a", NOWPLAYING_HEADER + ROW), tmp_path / "known.json"
    for _ in range(2):
        scan_known(raw, store, trust=True)
    assert hashed == ["a", "a"]
