"""Similarity files: the text that serving stacks load, and a parquet of the same with names.

Text: one line per item, `key neighbour1 neighbour2 …`, nearest first, single spaces, LF, no header,
sorted by key in byte order, final newline; ids are percent-encoded as in `encoding.py`. Finding the
neighbours belongs in `nearest.py`.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys_assets import columns as c
from recsys_assets.errors import DataError, StorageError
from recsys_assets.files import replaced_file
from recsys_assets.playlists import Catalog, Float32, Int32, Int64
from recsys_assets.similarity.encoding import UNSAFE, decode_id, encode_ids

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
TEXT_DIGEST = b"text_blake2b"
"""Key in the parquet's footer of the hash of the text that belongs to it."""

_MOST_VIOLATIONS = 20
_CONTROL = bytes(code for code in (*range(0x20), 0x7F) if code != ord("\n"))
_STRAY_PERCENT = re.compile(rb"%(?![0-9A-F]{2})")

_REPEATED = [c.ITEM, c.RANK, c.ITEM_NAME]
"""Columns in which a block repeats few values; dictionaries of neighbours made files 25 % larger."""
_BLOCK_SCHEMA = pa.schema(
    [
        pa.field(field.name, pa.dictionary(pa.int32(), pa.string()))
        if field.name in {c.ITEM, c.ITEM_NAME}
        else field
        for field in PARQUET_SCHEMA
    ]
)


def parquet_path(text_path: Path) -> Path:
    """Return where the parquet beside a text file is."""
    return text_path.with_suffix(".parquet")


def _text_digest() -> "hashlib.blake2b":
    """Return the hash that ties a parquet to its text, without content yet."""
    return hashlib.blake2b(digest_size=16)


def sorted_by_key(items: Int32, catalog: Catalog) -> Int32:
    """Return `items` in the byte order of their encoded ids, which is the files' order."""
    order: Int64 = pc.sort_indices(encode_ids(catalog.ids.take(pa.array(items)))).to_numpy()
    return items[order]


def write_similarity(
    text_path: Path,
    blocks: Iterable[tuple[Int32, Int32, Float32]],
    catalog: Catalog,
) -> int:
    """Write the text file and the parquet beside it, aside, and move both into place.

    Two files cannot be replaced in one step. The parquet is moved last and its footer holds the
    text's hash: after a kill between the two, `check_similarity_file` says that they do not belong
    together, and the next run writes both again.

    Parameters
    ----------
    text_path
        The text file; the parquet has the same name with suffix ``.parquet``.
    blocks
        Keys int32[b], neighbours int32[b, n] and scores float32[b, n], keys in the order of
        `sorted_by_key`. A block at a time is in memory.
    catalog
        Gives ids and names.

    Returns
    -------
    Number of items written.

    Raises
    ------
    DataError
        If the catalogue holds an empty id, which a line cannot.
    """
    empty = pc.index(catalog.ids, "").as_py()
    if empty >= 0:
        raise DataError(
            f"{text_path}: item {empty} has an empty id, expected at least one character"
        )
    encoded = encode_ids(catalog.ids)
    written, digest = 0, _text_digest()
    with ExitStack() as stack:
        parquet_aside = stack.enter_context(replaced_file(parquet_path(text_path)))
        text_aside = stack.enter_context(replaced_file(text_path))
        text = stack.enter_context(text_aside.open("wb"))
        # Without Arrow's schema in the file, readers see plain strings in all columns.
        parquet = stack.enter_context(
            pq.ParquetWriter(
                parquet_aside,
                _BLOCK_SCHEMA,
                compression="zstd",
                use_dictionary=_REPEATED,
                store_schema=False,
            )
        )
        for keys, neighbours, scores in blocks:
            lines = _as_lines(keys, neighbours, encoded)
            for part in (lines, b"\n"):
                text.write(part)
                digest.update(part)
            parquet.write_table(_as_table(keys, neighbours, scores, catalog))
            written += len(keys)
        parquet.add_key_value_metadata({TEXT_DIGEST: digest.hexdigest()})
    return written


def _as_lines(keys: Int32, neighbours: Int32, encoded: pa.StringArray) -> pa.Buffer:
    """Return the block's text, without its last newline, as Arrow's own memory."""
    # Joined by Arrow: 0.9 s of text for 700,000 lines where Python strings took 3 to 7.
    rows = np.column_stack([keys, neighbours])
    starts = pa.array(np.arange(0, rows.size + 1, rows.shape[1]), pa.int32())
    words = pa.ListArray.from_arrays(starts, encoded.take(pa.array(rows.ravel())))
    lines = pc.binary_join(words, " ")
    together = pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines)
    return pc.binary_join(together, "\n")[0].as_buffer()


def _as_table(keys: Int32, neighbours: Int32, scores: Float32, catalog: Catalog) -> pa.Table:
    count, width = neighbours.shape
    row = np.repeat(np.arange(count, dtype=np.int32), width)
    items, others = pa.array(keys), pa.array(neighbours.ravel())
    # Distinct values only, and a missing name as a null index: given a dictionary in which a value
    # stands twice, pyarrow 25 writes a dictionary page that ends in uninitialised memory, so that
    # equal tables gave files of other bytes, and then falls back to plain strings.
    names = catalog.names.take(items).dictionary_encode()
    return pa.table(
        [
            pa.DictionaryArray.from_arrays(pa.array(row), catalog.ids.take(items)),
            pa.array(np.tile(np.arange(1, width + 1, dtype=np.int32), count)),
            catalog.ids.take(others),
            pa.array(scores.ravel(), pa.float32()),
            names.take(pa.array(row)),
            catalog.names.take(others),
        ],
        schema=_BLOCK_SCHEMA,
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
            key, *neighbours = line.removesuffix("\n").split(" ")
            yield decode_id(key), [decode_id(one) for one in neighbours]


def check_similarity_file(text_path: Path, neighbours: int) -> list[str]:
    """Return what is wrong with a similarity file, at most 20 violations; empty when it is sound.

    Parameters
    ----------
    text_path
        The text file. The parquet beside it must hold the same number of rows and the text's hash.
    neighbours
        Neighbours that every key must have.
    """
    if not text_path.exists():
        return [f"{text_path}: not there; materialise the asset first"]
    violations: list[str] = []
    digest, previous, number, line = _text_digest(), b"", 0, b""
    with text_path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            digest.update(line)
            words = line.removesuffix(b"\n").split(b" ")
            distinct = set(words)
            if (
                len(words) != neighbours + 1
                or len(distinct) != len(words)
                or b"" in distinct
                or words[0] <= previous
                or not _is_clean(line)
            ):
                violations += [
                    f"line {number}: {problem}"
                    for problem in _problems(line, words, previous, neighbours)
                ]
                if len(violations) >= _MOST_VIOLATIONS:
                    return violations[:_MOST_VIOLATIONS]
            previous = words[0]
    if number == 0:
        violations.append("the file is empty")
    elif not line.endswith(b"\n"):
        violations.append(f"line {number}: no newline at the end of the file")
    return violations + _parquet_problems(
        parquet_path(text_path), rows=number * neighbours, digest=digest.hexdigest()
    )


def _is_clean(line: bytes) -> bool:
    if len(line.translate(None, _CONTROL)) != len(line) or _STRAY_PERCENT.search(line):
        return False
    return line.isascii() or _is_clean_utf8(line)


def _is_clean_utf8(line: bytes) -> bool:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return False
    return all(match.group() in "%\n " for match in UNSAFE.finditer(text))


def _problems(line: bytes, words: list[bytes], previous: bytes, neighbours: int) -> list[str]:
    key, rest = words[0], words[1:]
    rules = (
        (len(rest) != neighbours, f"{len(rest)} neighbours, expected {neighbours}"),
        (key in rest, "the item is its own neighbour"),
        (len(set(rest)) != len(rest), "a neighbour is there twice"),
        (b"" in words, "an empty id, or more than one space in a row"),
        (key == previous, "the key of the line before, again"),
        (key < previous, "not sorted: its key comes before that of the line before"),
        (not _is_clean(line), "not UTF-8, or white space, a control character or % not encoded"),
    )
    return [text for broken, text in rules if broken]


def _parquet_problems(path: Path, *, rows: int, digest: str) -> list[str]:
    if not path.exists():
        return [f"{path.name}: not there; materialise the asset again"]
    try:
        footer = pq.read_metadata(path)
    except pa.ArrowInvalid as error:
        return [f"{path.name}: not a parquet file ({error}); materialise the asset again"]
    problems = []
    if footer.num_rows != rows:
        problems.append(f"{path.name}: {footer.num_rows} rows, expected {rows} as in the text")
    if (footer.metadata or {}).get(TEXT_DIGEST) != digest.encode():
        problems.append(
            f"{path.name}: made with another text than the one beside it, as after a kill between "
            "the two; materialise the asset again"
        )
    return problems
