"""Code versions that cannot be forgotten: a hash of the source files that an asset runs.

A version typed by hand stays the same when the code changes. This one changes with any line of the
modules named, so Dagster shows what is out of date and the registry sees a new model as new. The
libraries whose numbers become ours are named beside it, with what is installed of them.
"""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

_ROOT = Path(__file__).parent

LEARNING_LIBRARIES = ("gensim", "implicit", "lightgbm", "llvmlite", "numba", "numpy", "scipy")
"""What fits or compiles models: another version of one may learn other numbers from the same input.

Not torch, an extra that two families need: installing it would make all others new.
"""


@cache
def code_version(*parts: str) -> str:
    """Return twelve hex digits of a hash of source files.

    Parameters
    ----------
    parts
        Files or folders inside the package, for example ``"models"`` or ``"playlists.py"``.
    """
    digest = hashlib.blake2b(digest_size=6)
    for part in sorted(parts):
        path = _ROOT / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(_ROOT).as_posix().encode() + b"\0")
            digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def library_versions() -> tuple[str, ...]:
    """Return each of `LEARNING_LIBRARIES` with its installed version."""
    return tuple(f"{name} {version(name)}" for name in LEARNING_LIBRARIES)
