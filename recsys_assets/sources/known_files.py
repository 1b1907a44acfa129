"""The last manifest on disk, so that a file whose size and times are the same is not hashed again.

Decides which of its entries can be trusted: not those of other code, or of a file changed just now.
Finding and hashing files is the business of `manifest.py`; what was made of their rows is kept by
`parts.py`.
"""

import json
import os
import time
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from recsys_assets.code_version import code_version
from recsys_assets.files import write_json
from recsys_assets.progress import Progress, silent
from recsys_assets.sources.manifest import RawManifest, scan_raw

_CODE: Final = ("sources/manifest.py", "sources/formats.py", "sources/containers.py")
"""What recognises and hashes files."""
_SETTLED_NS: Final = 2_000_000_000
"""A file changed later than so long before it was hashed may change again within one tick of the
file system's clock (two seconds on FAT), and would not show it."""


def scan_known(raw: Path, store: Path, *, trust: bool, progress: Progress = silent) -> RawManifest:
    """Find the raw files and their one format, as `scan_raw` does, and remember what was found.

    Parameters
    ----------
    raw
        A file, a folder or an archive.
    store
        The JSON file that remembers.
    trust
        Whether what is remembered of a file may stand for its content while path, name, size, time
        of change and time of status change are the same; False hashes every file.
    progress
        Told of every file that is hashed or ignored.

    Raises
    ------
    SourceError
        As `scan_raw`.
    """
    started = time.time_ns()
    code = recognition_version()
    entries = [one for one in _stored(store) if one.get("code") == code] if trust else []
    previous = RawManifest.from_arrow(pa.Table.from_pylist(entries)) if entries else None
    manifest = scan_raw(raw, previous=previous, progress=progress)
    settled = [
        {**file, "ignored": None, "code": code}  # files of repeated content are known as well
        for file in manifest.to_arrow().to_pylist()
        if file["digest"] and file["ctime_ns"] < started - _SETTLED_NS
    ]
    # Launchers look at the raw files without the home folder's lock: each writes a file of its own.
    own = store.with_name(f".{store.name}.{os.getpid()}")
    write_json(own, settled)
    own.replace(store)
    return manifest


def recognition_version() -> str:
    """Return a version of the code that recognises and hashes files: another finds other things."""
    return code_version(*_CODE)


def _stored(store: Path) -> list[dict[str, Any]]:
    """Return the entries; none if the file was cut short by a power failure."""
    text = store.read_text() if store.exists() else ""
    entries: list[dict[str, Any]] = json.loads(text) if text.endswith("\n") else []
    return entries
