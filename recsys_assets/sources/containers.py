"""Opening raw files whatever they are packed in: plain, gzip, or a member of a zip archive.

Gives byte streams, and real files for readers that need random access. Turns every failure of the
operating system or of a damaged archive into one clear error. Knows nothing of formats.
"""

import gzip
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from recsys_assets.errors import SourceError

PLAIN = "plain"
GZIP = "gz"
ZIP = "zip"

_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")


def container_of(path: Path) -> str:
    """Return `PLAIN`, `GZIP` or `ZIP`, told from the first bytes.

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    with reading(path.name), path.open("rb") as stream:
        magic = stream.read(4)
    if magic.startswith(_GZIP_MAGIC):
        return GZIP
    return ZIP if magic in _ZIP_MAGICS else PLAIN


def zip_members(path: Path) -> list[zipfile.ZipInfo]:
    """Return the files inside a zip archive by name, without folders and hidden files.

    Raises
    ------
    SourceError
        If the archive is damaged.
    """
    with reading(path.name), zipfile.ZipFile(path) as archive:
        return sorted(
            (
                info
                for info in archive.infolist()
                if not info.is_dir() and not is_hidden(Path(info.filename))
            ),
            key=lambda info: info.filename,
        )


def is_hidden(relative: Path) -> bool:
    """Tell whether any part of a relative path is hidden (`.x`) or a Mac archive's `__MACOSX`."""
    return any(part.startswith(".") or part == "__MACOSX" for part in relative.parts)


@contextmanager
def open_bytes(path: Path, container: str, member: str | None, name: str) -> Iterator[IO[bytes]]:
    """Open the unpacked bytes of a raw file.

    Parameters
    ----------
    path
        The file on disk (the archive, for a member of one).
    container, member
        How it is packed, and the name inside a zip archive.
    name
        What error messages call it.

    Raises
    ------
    SourceError
        If it cannot be read, also while the caller reads from it.
    """
    with reading(name):
        if container == GZIP:
            with gzip.open(path, "rb") as unpacked:
                yield cast("IO[bytes]", unpacked)
        elif container == ZIP:
            with zipfile.ZipFile(path) as archive, archive.open(cast("str", member)) as inner:
                yield inner
        else:
            with path.open("rb") as plain:
                yield plain


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn a failure to read into a `SourceError` that names the file."""
    try:
        yield
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError) as problem:
        raise SourceError(
            f"{name}: expected a readable file, found: {problem or type(problem).__name__}; "
            "check its permissions, or fetch it again if it is damaged"
        ) from problem
    except RuntimeError as problem:  # zipfile's way of saying that a password is needed
        if "password" not in str(problem):
            raise
        raise SourceError(
            f"{name}: expected an archive without password, found: {problem}; unpack it first"
        ) from problem


def unpack(path: Path, container: str, member: str | None, name: str, target: Path) -> Path:
    """Return a real file with the unpacked bytes: `path` itself if plain, otherwise `target`."""
    if container == PLAIN:
        return path
    with open_bytes(path, container, member, name) as packed, target.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked, 1 << 22)
    return target
