"""Playlists in memory: a flat pair of arrays, and the catalogue that gives their integers a meaning.

Holds the two value types that preparation, models, evaluation and serving exchange, and the queries
of the evaluation protocol. No SQL, no files, no model. Needs numpy and pyarrow only, because the
registered model carries it.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Int8 = npt.NDArray[np.int8]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

MISSING = -1
"""Index of a missing artist or album, and of a recommendation that the catalogue could not fill."""


@dataclass(frozen=True, eq=False)
class PlaylistSet:
    """An ordered set of playlists as a flat pair of arrays.

    Attributes
    ----------
    offsets
        int64[n + 1]; playlist `p` holds ``items[offsets[p]:offsets[p + 1]]``, in order.
    items
        int32[total]; dense indices into a catalogue. In queries, `MISSING` stands for an item that
        the catalogue does not know.
    titles
        string[n] or None: the playlists' names, null where a playlist has none.
    """

    offsets: Int64
    items: Int32
    titles: pa.StringArray | None = None

    def __post_init__(self) -> None:
        if self.offsets.dtype != np.int64 or self.items.dtype != np.int32:
            raise TypeError(
                f"expected int64 offsets and int32 items, found {self.offsets.dtype} "
                f"and {self.items.dtype}"
            )
        if len(self.offsets) == 0 or self.offsets[0] != 0 or self.offsets[-1] != len(self.items):
            raise ValueError("offsets must start at 0 and end at the number of items")
        if self.titles is not None and len(self.titles) != len(self):
            raise ValueError(f"{len(self.titles)} titles for {len(self)} playlists")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> Int64:
        """int64[n]: items in each playlist."""
        return np.diff(self.offsets)

    @classmethod
    def from_lists(
        cls, lists: list[list[int]], titles: list[str | None] | None = None
    ) -> "PlaylistSet":
        """Build from Python lists (for tests and for single served requests)."""
        offsets = np.zeros(len(lists) + 1, np.int64)
        np.cumsum([len(one) for one in lists], out=offsets[1:])
        items = np.array([item for one in lists for item in one], np.int32)
        return cls(offsets, items, None if titles is None else pa.array(titles, pa.string()))

    @classmethod
    def from_arrow(
        cls, sequences: pa.ChunkedArray | pa.ListArray, titles: pa.ChunkedArray | None = None
    ) -> "PlaylistSet":
        """Take a list<int32> Arrow column without building Python lists."""
        column = sequences.combine_chunks() if isinstance(sequences, pa.ChunkedArray) else sequences
        if isinstance(column, pa.ChunkedArray):  # combine_chunks() of an empty column stays chunked
            column = pa.array([], pa.list_(pa.int32()))
        if column.null_count or column.values.null_count:
            raise ValueError("sequences must hold no nulls")
        offsets = column.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
        items = column.values.to_numpy(zero_copy_only=False)[offsets[0] : offsets[-1]]
        names = None
        if titles is not None:
            names = (
                pa.concat_arrays(titles.chunks) if titles.num_chunks else pa.array([], pa.string())
            )
        return cls(offsets - offsets[0], np.ascontiguousarray(items, np.int32), names)

    def take(self, index: npt.NDArray[np.integer]) -> "PlaylistSet":
        """Return the playlists at `index`, in that order."""
        lengths = self.lengths[index]
        offsets = np.zeros(len(index) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        source = np.repeat(self.offsets[index] - offsets[:-1], lengths) + np.arange(offsets[-1])
        titles = None if self.titles is None else self.titles.take(pa.array(index))
        return PlaylistSet(offsets, self.items[source], titles)

    def slice(self, start: int, stop: int) -> "PlaylistSet":
        """Return playlists `start` to `stop` (exclusive) without copying their items."""
        stop = min(stop, len(self))
        low, high = self.offsets[start], self.offsets[stop]
        titles = None if self.titles is None else self.titles.slice(start, stop - start)
        return PlaylistSet(self.offsets[start : stop + 1] - low, self.items[low:high], titles)

    def concat(self, other: "PlaylistSet") -> "PlaylistSet":
        """Return these playlists followed by `other`'s."""
        titles = None
        if self.titles is not None and other.titles is not None:
            titles = pa.concat_arrays([self.titles, other.titles])
        return PlaylistSet(
            np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]]),
            np.concatenate([self.items, other.items]),
            titles,
        )

    def leave_last_out(self) -> "tuple[PlaylistSet, Int32]":
        """Split into the protocol's queries (all but the last item) and targets (the last item).

        Returns
        -------
        queries : PlaylistSet
            n playlists, each one shorter than before.
        targets : int32[n]

        Raises
        ------
        ValueError
            If a playlist is empty.
        """
        if len(self) and self.lengths.min() < 1:
            raise ValueError("an empty playlist has no last item")
        keep = np.ones(len(self.items), bool)
        keep[self.offsets[1:] - 1] = False
        queries = PlaylistSet(
            self.offsets - np.arange(len(self) + 1), self.items[keep], self.titles
        )
        return queries, self.items[self.offsets[1:] - 1]

    def fingerprint(self) -> str:
        """Sixteen hex digits of a hash of the content (offsets, items and titles)."""
        digest = hashlib.blake2b(digest_size=8)
        digest.update(self.offsets.tobytes())
        digest.update(self.items.tobytes())
        if self.titles is not None:
            for title in self.titles.to_pylist():
                digest.update(b"\0" if title is None else b"\1" + title.encode() + b"\0")
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Catalog:
    """What is known of every item, by dense index.

    Attributes
    ----------
    ids
        string[n]: stable ids; index `i` of every playlist and model means ``ids[i]``.
    names
        string[n]: display names, null where the source has none.
    artist_index
        int32[n]: index into the artist catalogue, `MISSING` where the artist is not known.
    album_index
        int32[n]: dense album number, `MISSING` where not known.
    """

    ids: pa.StringArray
    names: pa.StringArray
    artist_index: Int32
    album_index: Int32 = field(default_factory=lambda: np.empty(0, np.int32))

    def __post_init__(self) -> None:
        if len(self.album_index) == 0 and len(self.ids):
            object.__setattr__(self, "album_index", np.full(len(self.ids), MISSING, np.int32))
        lengths = {len(self.ids), len(self.names), len(self.artist_index), len(self.album_index)}
        if len(lengths) != 1:
            raise ValueError(f"catalogue columns differ in length: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def anonymous(cls, size: int) -> "Catalog":
        """Return a catalogue of `size` items named by their index, without artists (for tests)."""
        ids = pa.array([str(i) for i in range(size)], pa.string())
        return cls(ids, ids, np.full(size, MISSING, np.int32))

    def fingerprint(self) -> str:
        """Sixteen hex digits of a hash of ids, names, artists and albums."""
        digest = hashlib.blake2b(digest_size=8)
        # Lengths and joined text, not the Arrow buffers: those differ between slices and copies.
        for column in (self.ids, self.names):
            lengths = pc.fill_null(pc.binary_length(column), -1)  # missing is not empty
            digest.update(lengths.to_numpy(zero_copy_only=False).tobytes())
            digest.update(_joined(pc.fill_null(column, "")))
        digest.update(self.artist_index.tobytes())
        digest.update(self.album_index.tobytes())
        return digest.hexdigest()


def _joined(texts: pa.StringArray) -> memoryview:
    """Return the UTF-8 of texts without nulls, one after the other, without making Python strings.

    A fingerprint of 2.8 million ids and names takes 0.2 s so; joining Python strings, 1.0.
    """
    _, ends, data = texts.buffers()
    bounds = np.frombuffer(ends, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    if len(texts) == 0 or data is None:
        return memoryview(b"")
    return memoryview(data)[int(bounds[0]) : int(bounds[-1])]
