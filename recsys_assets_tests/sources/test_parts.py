"""Ingestions that read only new files give, byte for byte, what reading all of them gives."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.errors import SourceError
from recsys_assets.sources import ingest as ingesting
from recsys_assets.sources import mpd, quick_csv
from recsys_assets.sources.ingest import ingest
from recsys_assets.sources.manifest import scan_raw
from recsys_assets.sources.options import IngestOptions
from recsys_assets.sources.parts import Parts
from recsys_assets_tests.sources.support import NOWPLAYING_HEADER, slice_json, write

LISTENING_HEADER = "user_id,date,track,artist,album\n"
INTERACTIONS_HEADER = "playlist_id,position,track_id,artist\n"
DAY_MS = 1_600_000_000_000


def _nowplaying(user: int, song: int, more: int) -> str:
    artist = f"A{song % 2}" if more else ""
    odd = ["", "", "", '"u","A","t","p\n', '"u","A","t x\x00","p"\n', '"u",A"B,"t","p"\n'][more]
    return f'{odd}"u{user}","{artist}","t{song}","p{more % 2}"\n'


def _listening(user: int, song: int, more: int) -> str:
    return f"u{user},{DAY_MS + song * 1_000_000 + more},t{song},A{more % 2},\n"


def _interaction(user: int, song: int, more: int) -> str:
    return f"p{user},{more if song else 'x'},t{song},A{song % 2}\n"


def _playlist(user: int, song: int, more: int) -> dict[str, Any]:
    track = {"track_uri": f"spotify:track:t{song}", "track_name": f"T{song}", "artist_name": "A"}
    known = {"artist_uri": "spotify:artist:a"} if more > 2 else {}
    bad: list[Any] = [{"artist_name": "B"}] if more == 1 else []
    return {"pid": user * 6 + more, "name": f"p{user}", "tracks": [track | known, *bad]}


def _csv(header: str, line: Callable[[int, int, int], str]) -> Callable[[Any], str]:
    return lambda rows: header + "".join(line(*row) for row in rows)


FORMATS: dict[str, Callable[[Any], str]] = {
    "nowplaying": _csv(NOWPLAYING_HEADER, _nowplaying),
    "listening": _csv(LISTENING_HEADER, _listening),
    "interactions": _csv(INTERACTIONS_HEADER, _interaction),
    "mpd": lambda rows: slice_json(*(_playlist(*row) for row in rows)),
}
ROW = st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 5))
SURE = (9, 1, 2)
FILES = st.dictionaries(
    st.sampled_from(["a", "b", "c/d", "e"]), st.lists(ROW, max_size=8), min_size=1, max_size=4
)


def outcome(raw: Path, work: Path, parts: Path | None, **options: Any) -> tuple[Any, list[str]]:
    """Return all that an ingestion wrote and reported, without seconds, and what it told."""
    told: list[str] = []
    report = ingest(
        scan_raw(raw),
        options=IngestOptions(**options),
        cleaned_path=work / "cleaned.parquet",
        rejected_path=work / "rejected.parquet",
        scratch=work / "scratch",
        parts=parts,
        threads=2,
        progress=told.append,
    )
    counts = json.loads(report.to_json())
    for one in (counts, *counts["files"]):
        del one["seconds"]
    written = [*work.glob("*.parquet"), *(work / "coded").glob("*.parquet")]
    return ({one.name: one.read_bytes() for one in sorted(written)}, counts), told


def write_all(raw: Path, files: dict[str, list[Any]], text: Callable[[Any], str]) -> None:
    """Make `raw` hold just these files; the first has a row that is surely taken."""
    for old in sorted(raw.rglob("*")):
        if old.is_file():
            old.unlink()
    for at, (name, rows) in enumerate(sorted(files.items())):
        write(raw / name, text([*([SURE] if at == 0 else []), *rows]))


def folders(parts: Path) -> set[str]:
    """Return the names of all parts, half-made ones included."""
    return {one.name for one in parts.iterdir()} if parts.exists() else set()


@given(
    kind=st.sampled_from(sorted(FORMATS)), states=st.lists(FILES, min_size=2, max_size=3),
    filters=st.sampled_from([{}, {"min_artist_mentions": 0}]),
)  # fmt: skip
@settings(max_examples=12, deadline=None)
def test_equals_a_full_read(
    kind: str, states: list[dict[str, list[Any]]], filters: dict[str, int]
) -> None:
    """Files added, changed, removed or renamed must give the bytes that reading all of them gives."""
    with TemporaryDirectory() as folder:
        work = Path(folder)
        for state in states:
            write_all(work / "raw", state, FORMATS[kind])
            expected, _ = outcome(
                work / "raw", work / "full", None, max_rejected_share=1, **filters
            )
            found, _ = outcome(
                work / "raw", work / "out", work / "parts", max_rejected_share=1, **filters
            )
            assert found == expected
            assert len(folders(work / "parts")) <= len(state)


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_only_new_files_are_read(kind: str, tmp_path: Path) -> None:
    """A new file, or another name, must not make the old ones be read; a changed one is read."""
    text = FORMATS[kind]
    state = {name: [(at, at, 2), (at, 3, 4), (at, 3, 0)] for at, name in enumerate("abc")}
    steps: list[tuple[dict[str, Any], int]] = [
        (state, 0),
        (state, 3),
        (state | {"d": [(3, 1, 5)]}, 3),
        ({"a": state["a"], "x": state["b"], "y": state["c"]}, 3),
        (state | {"b": [(1, 2, 2)]}, 2),
    ]
    for files, unchanged in steps:
        write_all(tmp_path / "raw", files, text)
        expected, _ = outcome(tmp_path / "raw", tmp_path / "full", None)
        found, told = outcome(tmp_path / "raw", tmp_path / "out", tmp_path / "parts")
        assert found == expected
        said = f"{unchanged} of {len(files)} file(s) unchanged and not read again"
        assert [one for one in told if one.startswith(said)], told
        assert len(folders(tmp_path / "parts")) == len(files)


def test_unchanged_files_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that is made but not used would save nothing."""
    for kind, module, name in (
        ("nowplaying", quick_csv, "_FileReader"), ("mpd", mpd, "_read_slice"),
    ):  # fmt: skip
        work = tmp_path / kind
        write_all(work / "raw", {"a": [(1, 1, 2)], "b": [(2, 2, 2)]}, FORMATS[kind])
        expected, _ = outcome(work / "raw", work / "out", work / "parts")
        with monkeypatch.context() as patch:
            patch.delattr(module, name)
            assert outcome(work / "raw", work / "out", work / "parts")[0] == expected


def test_repeated_playlists_of_two_slices(tmp_path: Path) -> None:
    """A slice whose playlists another one has too must not be taken as it was without it."""
    text = FORMATS["mpd"]
    raw, parts = tmp_path / "raw", tmp_path / "parts"
    for state in ({"c": [(1, 1, 2)]}, {"b": [(1, 3, 2)], "c": [(1, 1, 2)]}, {"c": [(1, 1, 2)]}):
        write_all(raw, {"a": [(3, 1, 2)]} | state, text)
        expected, _ = outcome(raw, tmp_path / "full", None, max_rejected_share=1)
        assert outcome(raw, tmp_path / "out", parts, max_rejected_share=1)[0] == expected


def test_a_part_that_is_not_whole_is_not_used(tmp_path: Path) -> None:
    """A file cut short by a power failure must cost a second read, not rows."""
    for kind in ("nowplaying", "listening"):
        raw, work = tmp_path / kind / "raw", tmp_path / kind
        write_all(raw, {"a": [(1, 1, 2)], "b": [(2, 2, 2), (2, 3, 2)]}, FORMATS[kind])
        expected, _ = outcome(raw, work / "out", work / "parts")
        for part in (work / "parts").iterdir():
            largest = max(part.iterdir(), key=lambda one: one.stat().st_size)
            largest.write_bytes(largest.read_bytes()[:-1])
        found, told = outcome(raw, work / "out", work / "parts")
        assert found == expected
        assert any(one.startswith("0 of 2 file(s)") for one in told)


class Killed(BaseException):
    """Stands for a process that ends: nobody catches it."""


def test_killed_while_a_part_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed ingestion leaves must be whole parts or be taken away, never half of one."""
    raw, parts = tmp_path / "raw", tmp_path / "parts"
    write_all(raw, {name: [(1, 1, at)] for at, name in enumerate("abc")}, FORMATS["nowplaying"])
    expected, _ = outcome(raw, tmp_path / "full", None)
    real, calls = Path.rename, []

    def rename(path: Path, target: Path) -> Path:
        if path.parent == parts:
            calls.append(path)
            if len(calls) == 2:
                raise Killed
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        # A kill runs no clean-up.
        patch.setattr("shutil.rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            outcome(raw, tmp_path / "out", parts)
    assert sum(name.startswith(".") for name in folders(parts)) == 1
    found, told = outcome(raw, tmp_path / "again", parts)
    assert found == expected
    assert any(one.startswith("1 of 3 file(s)") for one in told)
    assert not any(name.startswith(".") for name in folders(parts))


@pytest.mark.parametrize("kind", ["listening", "mpd", "nowplaying"])
def test_a_file_that_changes_after_it_was_hashed(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a file that is being copied must not stand for the whole one from then on."""
    raw, parts, whole = tmp_path / "raw", tmp_path / "parts", [(1, 1, 2), (2, 2, 2)]
    write_all(raw, {"a": [(3, 1, 2)], "b": whole}, FORMATS[kind])
    scanned = scan_raw(raw)
    time.sleep(0.02)  # beyond a tick of the kernel's clock
    write(raw / "b", FORMATS[kind](whole[:1]))
    with monkeypatch.context() as patch:
        patch.setitem(globals(), "scan_raw", lambda _: scanned)
        _, told = outcome(raw, tmp_path / "out", parts)
    assert sum("b changed while it was read" in one for one in told) == 1
    write(raw / "b", FORMATS[kind](whole))
    expected, _ = outcome(raw, tmp_path / "full", None)
    found, told = outcome(raw, tmp_path / "out", parts)
    assert found == expected
    assert any(one.startswith("1 of 2 file(s)") for one in told)


def test_failing_ingestions_pile_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full stays so if every attempt leaves parts; a stray file is no part."""
    raw, parts = tmp_path / "raw", tmp_path / "parts"
    write(parts / ".DS_Store", "x")
    with monkeypatch.context() as patch:
        patch.setattr(ingesting, "_require_rows", _fail)
        for at in range(3):
            write_all(raw, {"a": [(1, 1, 2)], "b": [(2, at, 2)]}, FORMATS["nowplaying"])
            with pytest.raises(SourceError):
                outcome(raw, tmp_path / "out", parts)
            assert len(folders(parts)) == 1 + 2
    outcome(raw, tmp_path / "out", parts)
    assert len(folders(parts)) == 1 + 2


def _fail(*_: object) -> None:
    raise SourceError("no space")


def test_code_options_and_format_tell_parts_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part made by other code or with another choice would bring back rows read otherwise."""
    made = {
        Parts.of(tmp_path, kind, IngestOptions(**options), keeps=True).shared
        for kind in ("mpd_json", "listening_csv")
        for options in ({}, {"top_artists": 3}, {"truncated_json": "keep_whole_playlists"})
    }
    assert len(made) == 6
    monkeypatch.setattr("recsys_assets.sources.parts.code_version", lambda *_: "another")
    assert Parts.of(tmp_path, "mpd_json", IngestOptions(), keeps=True).shared not in made
