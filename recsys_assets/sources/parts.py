"""Parts: what a reader made of one raw file, kept so that an unchanged file is not read again.

A part is a folder named after all that it depends on: the file's content, the readers' code, the
format and the options that matter. It is moved into place whole, and removed by the first ingestion
without that file. Nothing that depends on other files belongs in a part; readers decide what they put
there.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from recsys_assets.code_version import code_version
from recsys_assets.files import replaced_folder
from recsys_assets.sources.manifest import RawFile, is_as_scanned
from recsys_assets.sources.options import IngestOptions

_COUNTS: Final = "counts.json"
_END: Final = "\n"


@dataclass(frozen=True)
class Part:
    """One part: its folder, and what was counted when the file was read."""

    folder: Path
    counts: dict[str, int]


@dataclass
class Parts:
    """The parts of one ingestion.

    Attributes
    ----------
    folder
        Where they are; None uses none.
    shared
        What all parts depend on beside the content of their file.
    keeps
        Whether parts are made of files that have none.
    found
        Files that did not have to be read.
    """

    folder: Path | None
    shared: str
    keeps: bool = True
    found: int = 0

    @classmethod
    def of(
        cls, folder: Path | None, file_format: str, options: IngestOptions, *, keeps: bool
    ) -> "Parts":
        """Return the parts in a folder that go with this format and these options."""
        depends = [
            file_format,
            code_version("sources", "columns.py"),
            duckdb.__version__,
            options.truncated_json,
            options.filters,
        ]
        return cls(folder, json.dumps(depends), keeps and folder is not None)

    def find(self, file: RawFile) -> Part | None:
        """Return the part of a file, if there is one and all of it is there."""
        if self.folder is None:
            return None
        folder = self.folder / self._name(file)
        if not (folder / _COUNTS).exists():
            return None
        text = (folder / _COUNTS).read_text()
        if not text.endswith(_END):
            return None
        counts: dict[str, dict[str, int]] = json.loads(text)
        if counts["sizes"] != _sizes(folder):
            return None
        return Part(folder, counts["read"])

    def are_made_of(self, file: RawFile) -> bool:
        """Tell whether a file just read makes a part: not if it changed after it was hashed."""
        return self.keeps and is_as_scanned(file)

    @contextmanager
    def adding(self, file: RawFile, counts: dict[str, int]) -> Iterator[Path]:
        """Yield a folder to be filled, which becomes the part of `file`; only where parts are kept."""
        if self.folder is None:
            raise ValueError("there is no folder for parts")
        with replaced_folder(self.folder / self._name(file)) as aside:
            yield aside
            content = {"read": counts, "sizes": _sizes(aside)}
            (aside / _COUNTS).write_text(json.dumps(content) + _END)

    def prune(self, files: Iterable[RawFile]) -> None:
        """Remove the parts of all but these files, and what a killed run left."""
        if self.folder is None or not self.folder.is_dir():
            return
        names = {self._name(file) for file in files}
        for one in self.folder.iterdir():
            if one.name not in names and one.is_dir():
                shutil.rmtree(one)

    def _name(self, file: RawFile) -> str:
        depends = f"{self.shared} {file.digest}".encode()
        return hashlib.blake2b(depends, digest_size=16).hexdigest()


def _sizes(folder: Path) -> dict[str, int]:
    """Return the bytes of every file of a part: after a power cut one may be shorter."""
    return {one.name: one.stat().st_size for one in sorted(folder.iterdir()) if one.name != _COUNTS}
