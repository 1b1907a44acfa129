"""Features of a candidate beside the query's last items: shares of their plays, steps between artists.

Built on the features of `two_stage_features.py`, whose counts they put in proportion. The kernel is in
`two_stage_kernels.py`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from recsys_assets.models.topk import readonly
from recsys_assets.models.two_stage_features import FEATURES, FeatureIndex
from recsys_assets.models.two_stage_kernels import fill_latest
from recsys_assets.playlists import MISSING, Float32, Int32, Int64, PlaylistSet

LATEST = (
    "last_plays",  # log(1 + plays of the query's last item)
    "with_last_share",  # counts over the plays of the last item
    "next_of_last_share",
    "with_second_share",  # over those of the item before
    "artist_step_share",  # times its artist follows the last one's, over the plays of the last one's
    "artist_steps",  # log(1 + those times)
    "artist_steps_back",  # the same with the candidate's artist first
)
ALL_FEATURES = (*FEATURES, *LATEST)


@dataclass(frozen=True, eq=False)
class Steps:
    """Steps between artists, by one of the two.

    Attributes
    ----------
    offsets
        int64[artists + 1]; artist `a` has the entries ``offsets[a]:offsets[a + 1]``.
    artists, counts
        int32, int64 [entries]: the other one, and how often.
    """

    offsets: Int64
    artists: Int32
    counts: Int64

    @classmethod
    def of(cls, artists: Int64, others: Int64, counts: Int64, size: int) -> "Steps":
        """Index steps that are sorted by ``int64[entries]`` `artists`, numbers below `size`."""
        offsets = np.searchsorted(artists, np.arange(size + 1)).astype(np.int64)
        return cls(offsets, others.astype(np.int32), counts)


@dataclass(frozen=True, eq=False)
class LatestIndex(FeatureIndex):
    """The index of training playlists with the steps from artist to artist."""

    width: ClassVar[int] = len(ALL_FEATURES)

    def __post_init__(self) -> None:
        # Now, and once: from Python 3.12 on, every thread that asks first would count all of it.
        for name in ("_after", "_before", "_artist_plays"):
            getattr(self, name)

    @cached_property
    def _after(self) -> Steps:
        """By artist, those whose items directly follow its own."""
        artists = self.play_artists
        before, after = artists[:-1], artists[1:]
        step = (before != MISSING) & (after != MISSING)
        starts = self.offsets[1:-1]
        step[starts[(starts > 0) & (starts < len(artists))] - 1] = False  # into another playlist
        keys = before[step].astype(np.int64) * self._artist_count + after[step]
        keys, counts = np.unique(keys, return_counts=True)
        return Steps.of(*np.divmod(keys, self._artist_count), counts, self._artist_count)

    @cached_property
    def _before(self) -> Steps:
        """By artist, those whose items its own directly follow."""
        after = self._after
        artists = np.repeat(np.arange(self._artist_count), np.diff(after.offsets))
        order = np.argsort(after.artists, kind="stable")
        return Steps.of(
            after.artists[order].astype(np.int64),
            artists[order],
            after.counts[order],
            self._artist_count,
        )

    @property
    def _artist_count(self) -> int:
        return int(self.artists.max(initial=0)) + 1

    @cached_property
    def _artist_plays(self) -> Int64:
        artists = self.play_artists
        return np.bincount(artists[artists != MISSING], minlength=self._artist_count)

    def _fill(
        self, queries: PlaylistSet, pool_offsets: Int64, pool_items: Int32, out: Float32, at: int
    ) -> None:
        super()._fill(queries, pool_offsets, pool_items, out, at)
        after, before = self._after, self._before
        fill_latest(
            readonly(pool_offsets), readonly(pool_items), _from_end(queries, 1),
            _from_end(queries, 2), readonly(self.play_offsets), readonly(self.artists),
            self._artist_plays, after.offsets, after.artists, after.counts, before.offsets,
            before.artists, before.counts, at + FEATURES.index("with_last"), out, at + len(FEATURES),
        )  # fmt: skip


def _from_end(queries: PlaylistSet, place: int) -> Int32:
    """Return int32[n]: the item so many places from each query's end, `MISSING` if there is none."""
    items = np.full(len(queries), MISSING, np.int32)
    long = queries.lengths >= place
    items[long] = queries.items[queries.offsets[1:][long] - place]
    return items
