"""What the second stage looks at: features of a candidate beside its query, apart from members' scores.

An index of the training playlists with what is fixed of an item, and the names of the features that
`two_stage_kernels.py` counts by it. Features by members are `two_stage_proposals.py`'s, versions of a
song `two_stage_songs.py`'s; the ranker is `two_stage_ranker.py`.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys_assets.models.topk import readonly
from recsys_assets.models.two_stage_kernels import (
    EDGE_BITS,
    LENGTH_DISCOUNT,
    NEAR,
    TAIL,
    UInt8,
    fill_joint,
)
from recsys_assets.models.two_stage_near_kernels import fill_near
from recsys_assets.playlists import MISSING, Float32, Float64, Int32, Int64, PlaylistSet

FIXED = (
    "plays",  # log(1 + plays in training)
    "artist_plays",  # log(1 + plays of the artist)
    "share_of_artist",  # plays over those of the artist
    "share_of_best",  # plays over those of the artist's most played item
    "mean_position",  # where it stands in playlists: 0 first, 1 last
    "tail_share",  # share of its plays among the last five of a playlist
    "mean_length",  # of the playlists that hold it
    "after_own_artist",  # share of its plays right after one of the same artist
)
"""Features of an item alone, in the order of `FeatureIndex.fixed`."""

OF_QUERY = (
    "query_length",
    "known_share",  # of the query's items
    "artists_share",  # distinct artists over items of known artist
    "run_mean",  # items in a row by one artist, on average
    "query_plays",  # mean log(1 + plays)
    "latest_plays",  # of the last five
    "sharing_playlists",  # log(1 + playlists that share anything with the query)
    "highest_overlap",  # the best overlap (below) of any playlist
)
JOINT = (
    "plays_gap",  # the candidate's log plays less those of the last five
    "artist_count",  # query items by the candidate's artist
    "artist_share",
    "artist_distance",  # places since the artist's last one; 999 if none
    "artist_run",  # length of the query's last run, if by this artist
    "album_count",
    "album_distance",
    "song_distance",  # places since a version of the same song; 999 if none
    "with_last",  # plays in playlists that hold the last item
    "next_of_last",  # right behind it
    "within_5_of_last",
    "gap_to_last",  # smallest distance, to either side
    "with_second",  # the same of the item before
    "within_3_of_second",
    "after_last_artist",  # plays right after an item of the last one's artist
    "shared_share",  # share of plays in playlists that share anything with the query
    "most_shared",  # most query items in one of its playlists
    "best_overlap",  # most recency- and rarity-weighted overlap of its playlists
    "mean_overlap",
    "share_of_highest",  # best overlap over the highest
    "share_of_overlap",  # the overlap of its playlists over that of all
    "near_mean",  # query items within 3 places of its plays, recency-weighted: mean and most
    "near_most",
    "near_artists_mean",  # the same of other artists of the query
    "near_artists_most",
)
FEATURES = (*FIXED, *OF_QUERY, *JOINT)


@dataclass(frozen=True, eq=False)
class FeatureIndex:
    """Training playlists, their inverted index, and what is fixed of every item.

    Attributes
    ----------
    offsets, items
        The training playlists.
    play_artists
        int32[total]; the artists of `items`.
    length_discounts
        float64[playlists]; what a playlist's overlap is divided by.
    play_offsets, plays
        int64[size + 1], int64[total]; where every item stands in `items`.
    play_owners, play_edges
        int32[total], uint8[total]; in the order of `plays`, the playlist of each, and how many
        places are near it in the playlist, before it and behind it (see `EDGE_BITS`).
    artists, albums, songs
        int32[size]; `MISSING` where not known (never a song's: an item is a song of its own then).
    fixed
        float32[size, len(FIXED)].
    """

    offsets: Int64
    items: Int32
    play_artists: Int32
    length_discounts: Float64
    play_offsets: Int64
    plays: Int64
    play_owners: Int32
    play_edges: UInt8
    artists: Int32
    albums: Int32
    songs: Int32
    fixed: Float32
    width: ClassVar[int] = len(FEATURES)
    """Number of features."""

    @classmethod
    def build(
        cls, train: PlaylistSet, artists: Int32, albums: Int32, songs: Int32
    ) -> "FeatureIndex":
        """Index `train`; the other arrays are int32[size]."""
        size = len(artists)
        items, lengths = train.items, train.lengths
        counts = np.bincount(items, minlength=size)
        owners = np.repeat(np.arange(len(train), dtype=np.int32), lengths)
        place = np.arange(len(items)) - np.repeat(train.offsets[:-1], lengths)
        own_lengths = np.repeat(lengths, lengths)
        same = np.zeros(len(items), bool)
        artist = artists[items]
        same[1:] = (artist[1:] == artist[:-1]) & (artist[1:] != MISSING) & (place[1:] > 0)

        def mean(values: np.ndarray) -> np.ndarray:
            return np.bincount(items, values, size) / np.maximum(counts, 1)

        known = artists != MISSING
        of_artist, best = np.zeros(size), np.zeros(size)
        groups = _groups(artists)
        sums = np.bincount(artists[known], counts[known], groups)
        most = np.zeros(groups)
        np.maximum.at(most, artists[known], counts[known])
        of_artist[known], best[known] = sums[artists[known]], most[artists[known]]
        fixed = np.stack(
            [
                np.log1p(counts),
                np.log1p(of_artist),
                counts / np.maximum(of_artist, 1),
                counts / np.maximum(best, 1),
                mean(place / np.maximum(own_lengths - 1, 1)),
                mean(own_lengths - place <= TAIL),
                mean(own_lengths),
                mean(same),
            ],
            axis=1,
        ).astype(np.float32)
        plays = np.argsort(items, kind="stable")
        edges = np.minimum(place, NEAR) + (np.minimum(own_lengths - 1 - place, NEAR) << EDGE_BITS)
        edges = edges.astype(np.uint8)
        return cls(
            train.offsets,
            items,
            artist,
            np.maximum(lengths, 1.0) ** LENGTH_DISCOUNT,
            np.concatenate([[0], np.cumsum(counts)]),
            plays,
            owners[plays],
            edges[plays],
            artists,
            albums,
            songs,
            fixed,
        )

    def features(
        self, queries: PlaylistSet, pool_offsets: Int64, pool_items: Int32, *, before: int = 0
    ) -> Float32:
        """Return float32[rows, before + width] of the candidates of each query.

        The first `before` columns are zeros, for others to fill.
        """
        rows = np.zeros((len(pool_items), before + self.width), np.float32)
        self._fill(queries, pool_offsets, pool_items, rows, before)
        return rows

    def _fill(
        self, queries: PlaylistSet, pool_offsets: Int64, pool_items: Int32, out: Float32, at: int
    ) -> None:
        """Fill the columns of `out` from `at` on."""
        fill_joint(
            readonly(queries.offsets), readonly(queries.items), readonly(pool_offsets),
            readonly(pool_items), self.length_discounts, readonly(self.play_artists),
            readonly(self.play_offsets), readonly(self.plays), self.play_owners,
            self.play_edges, readonly(self.artists), readonly(self.albums),
            readonly(self.songs), readonly(self.fixed), _groups(self.artists),
            _groups(self.albums), _groups(self.songs), out, at,
        )  # fmt: skip
        fill_near(
            readonly(queries.offsets), readonly(queries.items), readonly(pool_offsets),
            readonly(pool_items), readonly(self.items), readonly(self.play_offsets),
            readonly(self.plays), self.play_edges, out, at + FEATURES.index("near_mean"),
        )  # fmt: skip


def _groups(numbers: Int32) -> int:
    return int(numbers.max(initial=-1)) + 1
