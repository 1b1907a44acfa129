"""Tests of finding, recognising and versioning raw files."""

import gzip
import hashlib
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys_assets.errors import SourceError
from recsys_assets.sources import manifest
from recsys_assets.sources.manifest import RawManifest, scan_raw
from recsys_assets_tests.sources.support import NOWPLAYING_HEADER, slice_json, write

ROW = '"u","a","t","p"\n'


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (NOWPLAYING_HEADER + ROW, "nowplaying_csv"),
        ("\ufeff" + NOWPLAYING_HEADER.replace(" ", "").replace("\n", "\r\n"), "nowplaying_csv"),
        (slice_json(), "mpd_json"),
        ("user_id,date,track,artist,album\r\n", "listening_csv"),
        ('"Playlist ID", position ,TRACK_ID\n', "interactions"),
    ],
)
def test_format_comes_from_content(tmp_path: Path, content: str, expected: str):
    """A file with a misleading name is still recognised."""
    assert scan_raw(write(tmp_path / "notes.md", content)).format == expected


def test_parquet_is_recognised_by_schema(tmp_path: Path):
    """Parquet without the needed columns must not pass as interactions."""
    good = pa.table({"Playlist_ID": ["a"], "position": [0], "track_id": ["t"]})
    pq.write_table(good, tmp_path / "x.bin")
    assert scan_raw(tmp_path / "x.bin").format == "interactions"
    pq.write_table(pa.table({"playlist_id": ["a"], "track": ["t"]}), tmp_path / "y.bin")
    with pytest.raises(SourceError, match="parquet columns playlist_id, track"):
        scan_raw(tmp_path / "y.bin")


def test_data_version_depends_on_content_only(tmp_path: Path):
    """A renamed, touched or packed file must not start a refresh; a changed one must."""
    first = scan_raw(write(tmp_path / "a" / "x.csv", NOWPLAYING_HEADER + ROW))
    renamed = write(tmp_path / "b" / "deep" / "other.csv", NOWPLAYING_HEADER + ROW)
    os.utime(renamed, ns=(1, 1))
    assert scan_raw(tmp_path / "b").data_version == first.data_version
    packed = write(tmp_path / "c.gz", gzip.compress((NOWPLAYING_HEADER + ROW).encode()))
    assert scan_raw(packed).data_version == first.data_version
    changed = write(tmp_path / "d.csv", NOWPLAYING_HEADER + ROW.replace("t", "T"))
    assert scan_raw(changed).data_version != first.data_version


def test_data_version_of_several_files_ignores_their_order(tmp_path: Path):
    """Swapping the names of two files leaves the content, as a set, the same."""
    contents = [NOWPLAYING_HEADER + ROW, NOWPLAYING_HEADER + ROW * 2]
    for folder, names in (("a", "xy"), ("b", "yx")):
        for name, content in zip(names, contents, strict=True):
            write(tmp_path / folder / name, content)
    versions = [scan_raw(tmp_path / folder).data_version for folder in "ab"]
    assert versions[0] == versions[1]
    assert versions[0] != scan_raw(tmp_path / "a" / "x").data_version


def test_zip_members_and_same_content(tmp_path: Path):
    """An archive beside its unpacked file must not double every row."""
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("folder/data.csv", NOWPLAYING_HEADER + ROW)
        archive.writestr("__MACOSX/._data.csv", b"\x00\x05")
    assert [file.name for file in scan_raw(tmp_path).files] == ["archive.zip/folder/data.csv"]
    write(tmp_path / "data.csv", NOWPLAYING_HEADER + ROW)
    lines: list[str] = []
    manifest = scan_raw(tmp_path, progress=lines.append)
    assert len(manifest.files) == 1
    assert [file.ignored for file in manifest.ignored] == [
        "the same content as archive.zip/folder/data.csv"
    ]
    assert any(line.startswith("ignored data.csv") for line in lines)


def test_unknown_files_are_listed_and_hidden_ones_skipped(tmp_path: Path):
    """A README beside the data must neither stop the run nor vanish without a word."""
    write(tmp_path / "data.csv", NOWPLAYING_HEADER + ROW)
    write(tmp_path / "README.md", "# hello\n")
    write(tmp_path / "empty.csv", "")
    write(tmp_path / ".DS_Store", "x")
    write(tmp_path / ".git" / "data.csv", NOWPLAYING_HEADER)
    manifest = scan_raw(tmp_path)
    assert [file.name for file in manifest.files] == ["data.csv"]
    assert {file.name: file.ignored for file in manifest.ignored} == {
        "README.md": "not a known format, found a header # hello",
        "empty.csv": "not a known format, found nothing: the file is empty",
    }


def test_unchanged_files_are_not_read_again(tmp_path: Path):
    """The sensor scans every minute: hashing a gigabyte each time would never end."""
    path = write(tmp_path / "data.csv", NOWPLAYING_HEADER + ROW)
    write(tmp_path / "more.csv", NOWPLAYING_HEADER + ROW * 3)
    stat = path.stat()
    before = scan_raw(tmp_path)
    lines: list[str] = []
    assert scan_raw(tmp_path, previous=before, progress=lines.append) == before
    assert lines == []
    write(path, NOWPLAYING_HEADER + ROW.replace("t", "T"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    after = scan_raw(tmp_path, previous=before, progress=lines.append)
    assert len(lines) == 1
    assert after.data_version == scan_raw(tmp_path).data_version != before.data_version


def test_manifest_survives_a_table(tmp_path: Path):
    """The manifest is stored as a table between runs, with ignored files."""
    write(tmp_path / "data.csv", NOWPLAYING_HEADER + ROW)
    write(tmp_path / "x.md", "x")
    manifest = scan_raw(tmp_path)
    table = manifest.to_arrow()
    assert table.num_rows == 2
    restored = RawManifest.from_arrow(table.select(table.column_names[::-1]))
    assert restored == manifest
    assert restored.data_version == manifest.data_version


def test_mixed_formats_are_listed(tmp_path: Path):
    """Two formats in one folder: the message says which file is what."""
    write(tmp_path / "one.csv", NOWPLAYING_HEADER)
    write(tmp_path / "two.json", slice_json())
    with pytest.raises(SourceError) as error:
        scan_raw(tmp_path)
    assert "nowplaying_csv: one.csv" in str(error.value)
    assert "mpd_json: two.json" in str(error.value)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "the file is empty"),
        ("id;name\n1;2\n", "a header id;name"),
        ('{"a": 1}', 'JSON without "playlists"'),
        (b"\x00\x01\x02", "binary data starting with 00 01 02"),
        ("playlist_id,position,track_id,position\n", "repeated: position"),
        ("user_id,date\n".encode("utf-16"), "UTF-16"),
        (b"PAR1 and no more", "damaged parquet"),
    ],
)
def test_unknown_content_says_what_was_looked_for_and_found(
    tmp_path: Path, content: str | bytes, found: str
):
    """Input of another shape ends in one message, not in a traceback or an empty table."""
    with pytest.raises(SourceError) as error:
        scan_raw(write(tmp_path / "data.csv", content))
    for expected in ("nowplaying_csv", "mpd_json", "listening_csv", "interactions", found):
        assert expected in str(error.value)


def test_missing_path_empty_folder_and_unreadable_files(tmp_path: Path):
    """Each way of giving nothing readable has its own clear message."""
    with pytest.raises(SourceError, match="found nothing at this path"):
        scan_raw(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no file at all"):
        scan_raw(tmp_path / "empty")
    (tmp_path / "broken").symlink_to(tmp_path / "gone")
    with pytest.raises(SourceError, match="broken: expected a readable file"):
        scan_raw(tmp_path)


def test_damaged_archives(tmp_path: Path):
    """A download that was cut off is reported as such, with the file's name."""
    packed = gzip.compress((NOWPLAYING_HEADER + ROW * 50_000).encode())
    with pytest.raises(SourceError, match=r"cut\.gz: expected a readable file"):
        scan_raw(write(tmp_path / "cut.gz", packed[: len(packed) // 2]))
    with pytest.raises(SourceError, match=r"cut\.zip: expected a readable file"):
        scan_raw(write(tmp_path / "cut.zip", b"PK\x03\x04 and no more"))


def test_pieces_are_hashed_as_one_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A long file must have one hash, packed or not, that depends on every piece and their order."""
    monkeypatch.setattr(manifest, "PIECE_BYTES", 64)
    content = (NOWPLAYING_HEADER + "".join(f'"u","A","t{n}","p"\n' for n in range(9))).encode()
    pieces = [content[at : at + 64] for at in range(0, len(content), 64)]
    assert len(pieces) > 2
    hashes = b"".join(hashlib.sha256(piece).digest() for piece in pieces)
    expected = hashlib.sha256(b"pieces" + hashes).hexdigest()
    write(tmp_path / "raw" / "a.csv", content)
    write(tmp_path / "raw" / "b.csv.gz", gzip.compress(content))
    found = scan_raw(tmp_path / "raw")
    assert [file.digest for file in found.files] == [expected]
    assert [file.ignored for file in found.ignored] == ["the same content as a.csv"]
    changed = content.replace(b"t8", b"t9")
    assert scan_raw(write(tmp_path / "c.csv", changed)).files[0].digest != expected
