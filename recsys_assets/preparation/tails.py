"""Texts held as the ends of others: titles of tracks, which their ids mostly end with.

Of 2.8 million titles (57 MiB) remains a length each; what is no such end is held as it is. Which ids
and titles there are is said in `sources/coded.py`; reading whole columns belongs in `coded_rows.py`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys_assets.playlists import Int32
from recsys_assets.preparation import kernels
from recsys_assets.preparation.coded_rows import Strings, TextRoom, groups, text_bytes


@dataclass(frozen=True)
class Tails:
    """A column of texts, most of them the ends of another column's.

    Attributes
    ----------
    whole
        The other column.
    lengths
        int32[rows], in bytes; -1 - n for the text number n of `others`.
    others
        Texts that are no ends of the other column's, and nulls.
    """

    whole: Strings
    lengths: Int32
    others: Strings

    def take(self, rows: Int32) -> pa.LargeStringArray:
        """Return the texts of rows int32[n], as Arrow's `take` does."""
        lengths = self.lengths[rows]
        others, other_places = text_bytes(self.others)
        whole, places = text_bytes(self.whole)
        offsets = np.zeros(len(rows) + 1, np.int64)
        kernels.tail_offsets(lengths, other_places, offsets)
        data = np.empty(offsets[-1], np.uint8)
        kernels.take_tails(rows, lengths, whole, places, others, other_places, offsets, data)
        mask = None
        if self.others.null_count:
            valid = np.ones(len(rows), np.bool_)
            is_other = lengths < 0
            found = self.others.is_valid().take(pa.array(-1 - lengths[is_other]))
            valid[is_other] = found.to_numpy(zero_copy_only=False)
            mask = pa.py_buffer(np.packbits(valid, bitorder="little"))
        return pa.LargeStringArray.from_buffers(
            len(rows), pa.py_buffer(offsets), pa.py_buffer(data), mask
        )


def read_tails(path: Path, column: str, whole: Strings) -> Tails:
    """Read a column of strings of a parquet file, those that are ends of `whole` as such.

    Parameters
    ----------
    whole
        Another column, as long, without nulls.
    """
    lengths = np.empty(pq.read_metadata(path).num_rows, np.int32)
    of_whole, places = text_bytes(whole)
    others, done = TextRoom.of(path, column), 0
    for rows in groups(path, [column]):
        texts = pc.cast(rows.column(0), pa.large_string())
        data, offsets = text_bytes(texts)
        part = lengths[done : done + len(texts)]
        kernels.find_tails(data, offsets, of_whole, places[done : done + len(texts) + 1], part)
        is_other = part < 0
        if texts.null_count:
            is_other |= texts.is_null().to_numpy(zero_copy_only=False)
        if is_other.any():
            part[is_other] = -1 - np.arange(others.rows, others.rows + is_other.sum())
            others.add(texts.filter(pa.array(is_other)))
        done += len(texts)
    return Tails(whole, lengths, others.filled())
