"""The manifest of raw input: which files there are, their one format, a version of their content.

Walks a file, folder or archive, recognises and hashes; raises one clear error where the input as a
whole cannot be used. Reads no rows. The manifest is a value that can be stored as a table.
"""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa

from recsys_assets.errors import SourceError
from recsys_assets.progress import Progress, silent
from recsys_assets.sources.containers import (
    PLAIN,
    ZIP,
    container_of,
    is_hidden,
    open_bytes,
    reading,
    zip_members,
)
from recsys_assets.sources.formats import FORMATS, recognise

_SHOWN = 12

PIECE_BYTES: Final = 1 << 26
_BLOCK_BYTES: Final = 1 << 20
_MOST_THREADS: Final = 4
_NOTHING: Final = hashlib.sha256().digest()


@dataclass(frozen=True)
class RawFile:
    """One raw file, or one member of a zip archive.

    Attributes
    ----------
    path
        Absolute path on disk; the archive's for a member.
    name
        Relative to the raw folder (``archive.zip/member`` for a member): what messages and
        rejected rows call it.
    bytes
        Size on disk; a member's unpacked size.
    mtime_ns
        Time of the last change in nanoseconds since 1970 (the archive's for a member).
    ctime_ns
        The same of the last change of content, name or rights, which no program can set back.
    digest
        SHA-256 of the unpacked content in hex, by pieces where it is longer than `PIECE_BYTES`:
        then it is the hash of the pieces' hashes. Empty for an ignored file.
    container
        ``plain``, ``gz`` or ``zip``.
    member
        Name inside the archive, or None.
    format
        One of `FORMATS`, or None for an ignored file.
    ignored
        Why the file is left out, or None.
    """

    path: str
    name: str
    bytes: int
    mtime_ns: int
    ctime_ns: int
    digest: str
    container: str
    member: str | None = None
    format: str | None = None
    ignored: str | None = None


_ARROW_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("name", pa.string()),
        ("bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("ctime_ns", pa.int64()),
        ("digest", pa.string()),
        ("container", pa.string()),
        ("member", pa.string()),
        ("format", pa.string()),
        ("ignored", pa.string()),
    ]
)


@dataclass(frozen=True)
class RawManifest:
    """The raw files of one ingestion.

    Attributes
    ----------
    format
        Their one format, a key of `FORMATS`.
    files
        The files to read, by name.
    ignored
        Files found beside them that are not read, each with the reason.
    """

    format: str
    files: tuple[RawFile, ...]
    ignored: tuple[RawFile, ...] = ()

    @cached_property
    def data_version(self) -> str:
        """Sixteen hex digits that depend on the files' content, and on nothing else."""
        digests = "\n".join(sorted(file.digest for file in self.files))
        return hashlib.blake2b(digests.encode(), digest_size=8).hexdigest()

    def to_arrow(self) -> pa.Table:
        """Return one row per file, ignored ones last; columns are the fields of `RawFile`."""
        rows = [asdict(file) for file in (*self.files, *self.ignored)]
        return pa.Table.from_pylist(rows, schema=_ARROW_SCHEMA)

    @classmethod
    def from_arrow(cls, table: pa.Table) -> "RawManifest":
        """Take back what `to_arrow` returned; columns may come in any order.

        A table that an earlier version stored lacks `ctime_ns`; 0 is that of no file.
        """
        if "ctime_ns" not in table.column_names:
            table = table.append_column("ctime_ns", pa.array([0] * len(table), pa.int64()))
        rows: list[dict[str, Any]] = table.select(_ARROW_SCHEMA.names).to_pylist()
        every = [RawFile(**row) for row in rows]
        files = tuple(file for file in every if file.ignored is None)
        ignored = tuple(file for file in every if file.ignored is not None)
        return cls(str(files[0].format), files, ignored)


def scan_raw(
    raw: Path, *, previous: RawManifest | None = None, progress: Progress = silent
) -> RawManifest:
    """Find the raw files and their one format.

    Parameters
    ----------
    raw
        A file, a folder (searched with its subfolders; hidden files are skipped), a ``.zip`` or
        a ``.gz``.
    previous
        An earlier manifest: a file whose path, name, size and times of change are the same is not
        read again.
    progress
        Told of every file that is hashed or ignored.

    Returns
    -------
    RawManifest
        Files of the same content are taken once (an archive beside its unpacked file is common);
        the others are listed as ignored.

    Raises
    ------
    SourceError
        If there is nothing of a known format, if formats are mixed, or a file cannot be read.
    """
    if not raw.exists():
        raise SourceError(
            f"{raw}: expected raw playlist files, found nothing at this path; give a file, a "
            f"folder, a .zip or a .gz that holds one of:\n{_known_formats()}"
        )
    known: dict[object, RawFile] = {}
    if previous is not None:
        # Of repeated content the digest is known too; whether it repeats is asked anew.
        known = {
            _identity(file): replace(file, ignored=None)
            for file in (*previous.files, *previous.ignored)
            if file.digest
        }
    files: list[RawFile] = []
    ignored: list[RawFile] = []
    seen: dict[str, str] = {}
    for found in _walk(raw):
        file = known.get(_identity(found)) or _look_at(found, progress)
        if file.ignored is None and file.digest in seen:
            file = replace(file, ignored=f"the same content as {seen[file.digest]}")
        if file.ignored is None:
            seen[file.digest] = file.name
            files.append(file)
        else:
            ignored.append(file)
            progress(f"ignored {file.name}: {file.ignored}")
    return _one_format(raw, files, ignored)


def is_as_scanned(file: RawFile) -> bool:
    """Tell whether nothing has changed a file, or removed it, since it was scanned."""
    try:
        stat = Path(file.path).stat()
    except OSError:
        return False
    return (stat.st_mtime_ns, stat.st_ctime_ns) == (file.mtime_ns, file.ctime_ns)


def _one_format(raw: Path, files: list[RawFile], ignored: list[RawFile]) -> RawManifest:
    formats = sorted({str(file.format) for file in files})
    if not files:
        found = "\n".join(f"  {file.name}: {file.ignored}" for file in ignored[:_SHOWN])
        more = f"\n  and {len(ignored) - _SHOWN:,} more" if len(ignored) > _SHOWN else ""
        raise SourceError(
            f"{raw}: expected one of these formats:\n{_known_formats()}\nfound:\n"
            + (found + more if ignored else "  no file at all")
        )
    if len(formats) > 1:
        listing = "\n".join(
            f"  {name}: " + _shortened([file.name for file in files if file.format == name])
            for name in formats
        )
        raise SourceError(
            f"{raw}: expected files of one format, found {len(formats)} formats:\n{listing}\n"
            "put each format into a folder of its own"
        )
    return RawManifest(formats[0], tuple(files), tuple(ignored))


def _walk(raw: Path) -> Iterator[RawFile]:
    """Yield every file below `raw` by name, unrecognised and without digest."""
    if raw.is_dir():
        with reading(str(raw)):
            # Broken links stay in, to be reported; sockets and pipes would block.
            below = [path for path in raw.rglob("*") if path.is_file() or not path.exists()]
        paths = [path for path in below if not is_hidden(path.relative_to(raw))]
        named = sorted((path.relative_to(raw).as_posix(), path) for path in paths)
    else:
        named = [(raw.name, raw)]
    for name, path in named:
        with reading(name):
            stat = path.stat()
        container = container_of(path)
        file = RawFile(
            str(path.resolve()),
            name,
            stat.st_size,
            stat.st_mtime_ns,
            stat.st_ctime_ns,
            digest="",
            container=container,
        )
        if container != ZIP:
            yield file
            continue
        for info in zip_members(path):
            member = info.filename
            yield replace(file, name=f"{name}/{member}", bytes=info.file_size, member=member)


def _look_at(file: RawFile, progress: Progress) -> RawFile:
    """Return `file` recognised, with the digest of its content or the reason to ignore it."""
    path = Path(file.path)
    with open_bytes(path, file.container, file.member, file.name) as stream:
        recognised = recognise(stream)
    if recognised.format is None:
        return replace(file, ignored=f"not a known format, found {recognised.seen}")
    progress(f"reading {file.name} ({file.bytes / 1e6:,.1f} MB) for its data version")
    if file.container == PLAIN:
        # Each thread reads pieces of its own; hashing takes longer than reading.
        threads = min(os.cpu_count() or 1, _MOST_THREADS)
        with ThreadPoolExecutor(threads, thread_name_prefix="recsys") as pool:
            begins = range(0, max(file.bytes, 1), PIECE_BYTES)
            pieces = list(pool.map(lambda begin: _piece_of(file, begin), begins))
    else:
        with open_bytes(path, file.container, file.member, file.name) as stream:
            pieces = [_piece(stream)]
            while (piece := _piece(stream)) != _NOTHING:
                pieces.append(piece)
    digest = pieces[0]
    if len(pieces) > 1:
        digest = hashlib.sha256(b"pieces" + b"".join(pieces)).digest()
    return replace(file, format=recognised.format, digest=digest.hex())


def _piece_of(file: RawFile, begin: int) -> bytes:
    with open_bytes(Path(file.path), file.container, file.member, file.name) as stream:
        stream.seek(begin)
        return _piece(stream)


def _piece(stream: IO[bytes]) -> bytes:
    """Return the hash of the stream's next `PIECE_BYTES`."""
    # Processors have instructions for this one: 1.8 GB/s a core, where BLAKE2b takes 0.97.
    digest = hashlib.sha256()
    left = PIECE_BYTES
    while left and (block := stream.read(min(left, _BLOCK_BYTES))):
        digest.update(block)
        left -= len(block)
    return digest.digest()


def _identity(file: RawFile) -> tuple[str, str, int, int, int]:
    return file.path, file.name, file.bytes, file.mtime_ns, file.ctime_ns


def _known_formats() -> str:
    return "\n".join(f"  {name}: {shape}" for name, shape in FORMATS.items())


def _shortened(names: list[str]) -> str:
    rest = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest
