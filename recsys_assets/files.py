"""Files and folders that appear whole or not at all.

Writers put content into a temporary neighbour and move it into place; a kill at any moment leaves the
old content, or none, never half of the new. Formats do not belong here.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recsys_assets.errors import StorageError

_ASIDE = ".aside"


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it becomes `path`, on error it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}{_ASIDE}")
    try:
        yield aside
        os.replace(aside, path)  # noqa: PTH105  (says what it does)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; on success it replaces `path` whole.

    A folder cannot be replaced in one step: a kill between the two renames leaves no folder at
    `path`, which every reader of ours reports as "materialise the asset first". The next replacement
    finds the old one in its place again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside, old = path.with_name(f".{path.name}{_ASIDE}"), path.with_name(f".{path.name}.old")
    if old.exists() and not path.exists():
        old.rename(path)
    for leftover in (aside, old):
        shutil.rmtree(leftover, ignore_errors=True)
    aside.mkdir()
    try:
        yield aside
        if path.exists():
            path.rename(old)
        aside.rename(path)
    finally:
        if old.exists() and not path.exists():  # an error, or an interrupt, between the renames
            old.rename(path)
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401
    """Write `value` as JSON with sorted keys, aside and into place."""
    with replaced_file(path) as aside:
        aside.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:  # noqa: ANN401
    """Return what `write_json` wrote.

    Raises
    ------
    StorageError
        If the file is not there.
    """
    if not path.exists():
        raise StorageError(f"{path}: not there; run a refresh first")
    return json.loads(path.read_text())


def folder_bytes(path: Path) -> int:
    """Return the bytes of all files below `path`."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
