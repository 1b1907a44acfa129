"""The last manifest on disk, so that a file whose size and times are the same is not hashed again.

Decides which of its entries can be trusted. Finding and hashing files is the business of
`manifest.py`; what was made of their rows is kept by `parts.py`.
"""

import json
import time
from pathlib import Path
from typing import Final

import pyarrow as pa

from recsys_assets.files import write_json
from recsys_assets.progress import Progress, silent
from recsys_assets.sources.manifest import RawManifest, scan_raw

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
    previous = None
    if trust and store.exists():
        stored = json.loads(store.read_text())
        if stored:
            previous = RawManifest.from_arrow(pa.Table.from_pylist(stored))
    manifest = scan_raw(raw, previous=previous, progress=progress)
    settled = [
        file
        for file in manifest.to_arrow().to_pylist()
        if file["ignored"] is None and file["ctime_ns"] < started - _SETTLED_NS
    ]
    write_json(store, settled)
    return manifest
