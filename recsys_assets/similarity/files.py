"""Similarity files: the text that serving stacks load, and a parquet of the same with names.

Text: one line per item, `key neighbour1 neighbour2 …`, nearest first, single spaces, LF, no header,
sorted by key in byte order, final newline; white space, control characters and `%` in ids are
percent-encoded. Finding the neighbours belongs in `similarity/nearest.py`.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys_assets import columns as c
from recsys_assets.errors import StorageError
from recsys_assets.files import replaced_file
from recsys_assets.playlists import Catalog, Float32, Int32

# `\s` knows Unicode's white space but not every control character, nor the line separators that
# str.splitlines() breaks on.
_UNSAFE = re.compile(r"[\s%\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MOST_VIOLATIONS = 20

PARQUET_SCHEMA = pa.schema(
    [
        (c.ITEM, pa.string()),
        (c.RANK, pa.int32()),
        (c.NEIGHBOUR, pa.string()),
        (c.SCORE, pa.float32()),
        (c.ITEM_NAME, pa.string()),
        (c.NEIGHBOUR_NAME, pa.string()),
    ]
)


def encode_id(id_: str) -> str:
    """Percent-encode white space, control characters and `%`; everything else stays."""
    return _UNSAFE.sub(
        lambda match: "".join(f"%{byte:02X}" for byte in match.group().encode()), id_
    )


def decode_id(text: str) -> str:
    """Take back what `encode_id` did."""
    return unquote(text)


def parquet_path(text_path: Path) -> Path:
    """Return where the parquet beside a text file is."""
    return text_path.with_suffix(".parquet")


def sorted_by_key(items: Int32, catalog: Catalog) -> Int32:
    """Return `items` in the byte order of their encoded ids, which is the files' order."""
    ids = catalog.ids.take(pa.array(items)).to_pylist()
    keys = [encode_id(id_).encode() for id_ in ids]
    return items[np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)]


def write_similarity(
    text_path: Path,
    blocks: Iterable[tuple[Int32, Int32, Float32]],
    catalog: Catalog,
) -> int:
    """Write the text file and the parquet beside it, aside, and move both into place.

    The parquet is moved last: a kill between the two leaves a new text and an old parquet, and the
    asset unmaterialised; the next run writes both again.

    Parameters
    ----------
    blocks
        Keys int32[b], neighbours int32[b, n] and scores float32[b, n], keys in the order of
        `sorted_by_key`.

    Returns
    -------
    Number of items written.
    """
    encoded = np.array([encode_id(id_) for id_ in catalog.ids.to_pylist()], object)
    written = 0
    with ExitStack() as stack:
        parquet_aside = stack.enter_context(replaced_file(parquet_path(text_path)))
        text_aside = stack.enter_context(replaced_file(text_path))
        text = stack.enter_context(text_aside.open("w", encoding="utf-8", newline="\n"))
        parquet = stack.enter_context(
            pq.ParquetWriter(parquet_aside, PARQUET_SCHEMA, compression="zstd")
        )
        for keys, neighbours, scores in blocks:
            lines = np.concatenate([keys[:, None], neighbours], axis=1)
            text.writelines(" ".join(row) + "\n" for row in encoded[lines].tolist())
            parquet.write_table(_as_table(keys, neighbours, scores, catalog))
            written += len(keys)
    return written


def _as_table(keys: Int32, neighbours: Int32, scores: Float32, catalog: Catalog) -> pa.Table:
    count, width = neighbours.shape
    items = pa.array(np.repeat(keys, width))
    others = pa.array(neighbours.ravel())
    return pa.table(
        [
            catalog.ids.take(items),
            pa.array(np.tile(np.arange(1, width + 1, dtype=np.int32), count)),
            catalog.ids.take(others),
            pa.array(scores.ravel(), pa.float32()),
            catalog.names.take(items),
            catalog.names.take(others),
        ],
        schema=PARQUET_SCHEMA,
    )


def read_similarity(text_path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield every key with its neighbours, nearest first, as decoded ids.

    Raises
    ------
    StorageError
        If there is no such file.
    """
    if not text_path.exists():
        raise StorageError(f"{text_path}: no similarity file there; run a refresh first")
    with text_path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            key, *neighbours = line.rstrip("\n").split(" ")
            yield decode_id(key), [decode_id(one) for one in neighbours]


def check_similarity_file(text_path: Path, neighbours: int) -> list[str]:
    """Return what is wrong with a text file, at most 20 violations; empty when it is sound."""
    violations: list[str] = []
    previous: bytes | None = None
    last = b"\n"
    with text_path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            last = line
            key, *rest = line.rstrip(b"\n").split(b" ")
            problems = []
            if len(rest) != neighbours:
                problems.append(f"{len(rest)} neighbours, expected {neighbours}")
            if len(set(rest)) != len(rest) or key in rest:
                problems.append("an item is its own neighbour, or is there twice")
            if not key or b"" in rest:
                problems.append("an empty id, or more than one space in a row")
            if previous is not None and key <= previous:
                problems.append("not sorted by key, or a key twice")
            if b"\r" in line or b"\t" in line:
                problems.append("a tab or a carriage return")
            violations += [f"line {number}: {problem}" for problem in problems]
            previous = key
            if len(violations) >= _MOST_VIOLATIONS:
                return violations[:_MOST_VIOLATIONS]
    if previous is None:
        violations.append("the file is empty")
    elif not last.endswith(b"\n"):
        violations.append("no newline at the end")
    return violations
