"""Features of a candidate beside the query's last items: shares of their plays, steps between artists.

Built on the features of `two_stage_features.py`, whose counts they put in proportion. No kernel:
all of it is array arithmetic.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsys_assets.models.two_stage_features import FEATURES, FeatureIndex
from recsys_assets.playlists import MISSING, Float32, Float64, Int32, Int64, PlaylistSet

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
class LatestIndex(FeatureIndex):
    """The index of training playlists with the steps from artist to artist."""

    def __post_init__(self) -> None:
        # Now, and once: from Python 3.12 on, every thread that asks first would count all of it.
        for name in ("_steps", "_artist_count", "_artist_plays"):
            getattr(self, name)

    @cached_property
    def _steps(self) -> tuple[Int64, Int64]:
        """Keys ``before * groups + after`` of neighbouring items' artists, sorted, and how often."""
        artists = self.artists[self.items].astype(np.int64)
        before, after = artists[:-1], artists[1:]
        step = (self.owners[1:] == self.owners[:-1]) & (before != MISSING) & (after != MISSING)
        return np.unique(before[step] * self._artist_count + after[step], return_counts=True)

    @cached_property
    def _artist_count(self) -> int:
        return int(self.artists.max(initial=0)) + 1

    @cached_property
    def _artist_plays(self) -> Int64:
        artists = self.artists[self.items]
        return np.bincount(artists[artists != MISSING], minlength=self._artist_count)

    def _times(self, before: Int64, after: Int64) -> Int64:
        """Return int64[rows]: how often artist `after` directly follows `before`."""
        keys, counts = self._steps
        times = np.zeros(len(before), np.int64)
        if len(keys):
            wanted = before * self._artist_count + after
            place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            found = (before != MISSING) & (after != MISSING) & (keys[place] == wanted)
            times[found] = counts[place[found]]
        return times

    def features(self, queries: PlaylistSet, pool_offsets: Int64, pool_items: Int32) -> Float32:
        """Return float32[rows, len(ALL_FEATURES)] of the candidates of each query."""
        rows = super().features(queries, pool_offsets, pool_items)
        owners = np.repeat(np.arange(len(queries)), np.diff(pool_offsets))
        last, second = _from_end(queries, 1)[owners], _from_end(queries, 2)[owners]
        artist = np.where(last == MISSING, MISSING, self.artists[last]).astype(np.int64)
        candidate = self.artists[pool_items].astype(np.int64)
        steps = self._times(artist, candidate)
        plays_of_artist = np.where(artist == MISSING, 0, self._artist_plays[artist])
        latest = [
            np.log1p(self._plays(last)),
            rows[:, FEATURES.index("with_last")] / np.maximum(self._plays(last), 1),
            rows[:, FEATURES.index("next_of_last")] / np.maximum(self._plays(last), 1),
            rows[:, FEATURES.index("with_second")] / np.maximum(self._plays(second), 1),
            steps / np.maximum(plays_of_artist, 1),
            np.log1p(steps),
            np.log1p(self._times(candidate, artist)),
        ]
        return np.concatenate([rows, np.stack(latest, axis=1).astype(np.float32)], axis=1)

    def _plays(self, items: Int32) -> Float64:
        plays = self.play_offsets[items + 1] - self.play_offsets[items]
        return np.where(items == MISSING, 0, plays).astype(np.float64)


def _from_end(queries: PlaylistSet, place: int) -> Int32:
    """Return int32[n]: the item so many places from each query's end, `MISSING` if there is none."""
    items = np.full(len(queries), MISSING, np.int32)
    long = queries.lengths >= place
    items[long] = queries.items[queries.offsets[1:][long] - place]
    return items
