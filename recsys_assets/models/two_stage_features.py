"""What the second stage looks at: features of a candidate beside its query, apart from members' scores.

An index of the training playlists with what is fixed of an item, and the kernel that fills the features
of a pool's rows. Features by members (scores, ranks) are `two_stage.py`'s, versions of a song
`two_stage_songs.py`'s; the ranker is `two_stage_ranker.py`. The kernel calls none of another file.
"""

from dataclasses import dataclass

import numpy as np

from recsys_assets.models.kernels import kernel
from recsys_assets.models.topk import readonly
from recsys_assets.playlists import MISSING, Float32, Int32, Int64, PlaylistSet

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

NEVER = 999.0
MOST_OCCURRENCES = 2000
"""Plays of one candidate that are looked at; of more, evenly spaced ones that count several times."""
TAIL = 5
RECENCY, LENGTH_DISCOUNT = 0.8, 0.4
"""Exponents of the overlap: of the places from the query's end, and of the playlist's length."""
NEAR, NEAR_RECENCY = 3, 0.5
"""Places to either side that are near, and the exponent of a near item's distance in the query."""


@dataclass(frozen=True, eq=False)
class FeatureIndex:
    """Training playlists, their inverted index, and what is fixed of every item.

    Attributes
    ----------
    offsets, items
        The training playlists.
    owners
        int32[total]; the playlist of every play.
    play_offsets, plays
        int64[size + 1], int64[total]; where every item stands in `items`.
    artists, albums, songs
        int32[size]; `MISSING` where not known (never a song's: an item is a song of its own then).
    fixed
        float32[size, len(FIXED)].
    """

    offsets: Int64
    items: Int32
    owners: Int32
    play_offsets: Int64
    plays: Int64
    artists: Int32
    albums: Int32
    songs: Int32
    fixed: Float32

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
        return cls(
            train.offsets,
            items,
            owners,
            np.concatenate([[0], np.cumsum(counts)]),
            np.argsort(items, kind="stable"),
            artists,
            albums,
            songs,
            fixed,
        )

    def features(self, queries: PlaylistSet, pool_offsets: Int64, pool_items: Int32) -> Float32:
        """Return float32[rows, len(FEATURES)] of the candidates of each query."""
        out = np.zeros((len(pool_items), len(FEATURES)), np.float32)
        _fill(
            readonly(queries.offsets), readonly(queries.items), readonly(pool_offsets),
            readonly(pool_items), readonly(self.offsets), readonly(self.items),
            readonly(self.owners), readonly(self.play_offsets), readonly(self.plays),
            readonly(self.artists), readonly(self.albums), readonly(self.songs),
            readonly(self.fixed), _groups(self.artists), _groups(self.albums), _groups(self.songs),
            out,
        )  # fmt: skip
        return out


def _groups(numbers: Int32) -> int:
    return int(numbers.max(initial=-1)) + 1


@kernel
def _fill(  # noqa: PLR0912, PLR0915  (numba inlines no closures)
    query_offsets: Int64,
    query_items: Int32,
    pool_offsets: Int64,
    pool_items: Int32,
    offsets: Int64,
    items: Int32,
    owners: Int32,
    play_offsets: Int64,
    plays: Int64,
    artists: Int32,
    albums: Int32,
    songs: Int32,
    fixed: Float32,
    artist_groups: int,
    album_groups: int,
    song_groups: int,
    out: Float32,
) -> None:
    """Fill `out`, the features of every row of a pool. Arrays by group are zeroed after each query."""
    playlists = len(offsets) - 1
    overlap = np.zeros(playlists)
    shared = np.zeros(playlists, np.int32)
    last_at = np.full((2, playlists), -1, np.int64)
    touched = np.empty(playlists, np.int32)
    artist_counts = np.zeros(artist_groups, np.int32)
    artist_distances = np.zeros(artist_groups, np.int32)
    album_counts = np.zeros(album_groups, np.int32)
    album_distances = np.zeros(album_groups, np.int32)
    song_distances = np.zeros(song_groups, np.int32)
    item_distances = np.zeros(fixed.shape[0], np.int32)
    columns = fixed.shape[1]
    for query in range(len(query_offsets) - 1):
        start, stop = query_offsets[query], query_offsets[query + 1]
        length = stop - start
        known = 0
        with_artist = 0
        distinct = 0
        runs = 0
        plays_sum = 0.0
        latest_sum = 0.0
        latest = 0
        touched_count = 0
        highest = 0.0
        overlap_sum = 0.0
        last_artist = MISSING
        run = 0
        in_run = True
        before = -2
        for distance in range(1, length + 1):
            item = query_items[stop - distance]
            artist = MISSING if item == MISSING else artists[item]
            if distance == 1:
                last_artist = artist
            in_run = in_run and artist == last_artist
            run += in_run
            runs += artist != before or artist == MISSING
            before = artist
            if item == MISSING:
                continue
            if item_distances[item] == 0:
                item_distances[item] = distance
            if artist != MISSING:
                with_artist += 1
                if artist_counts[artist] == 0:
                    distinct += 1
                    artist_distances[artist] = distance
                artist_counts[artist] += 1
            album = albums[item]
            if album != MISSING:
                if album_counts[album] == 0:
                    album_distances[album] = distance
                album_counts[album] += 1
            if song_distances[songs[item]] == 0:
                song_distances[songs[item]] = distance
            low, high = play_offsets[item], play_offsets[item + 1]
            known += high > low
            plays_sum += fixed[item, 0]
            if distance <= 5:
                latest_sum += fixed[item, 0]
                latest += 1
            rarity = np.log((playlists + 1.0) / (high - low + 1.0))
            weight = distance**-RECENCY * max(rarity, 0.0)
            for at in range(low, high):
                place = plays[at]
                owner = owners[place]
                if shared[owner] == 0:
                    touched[touched_count] = owner
                    touched_count += 1
                shared[owner] += 1
                overlap[owner] += weight
                if distance <= 2 and last_at[distance - 1, owner] < 0:
                    last_at[distance - 1, owner] = place
        for at in range(touched_count):
            owner = touched[at]
            overlap[owner] /= (offsets[owner + 1] - offsets[owner]) ** LENGTH_DISCOUNT
            highest = max(highest, overlap[owner])
            overlap_sum += overlap[owner]
        latest_plays = latest_sum / max(latest, 1)
        for row in range(pool_offsets[query], pool_offsets[query + 1]):
            item = pool_items[row]
            artist, album = artists[item], albums[item]
            low, high = play_offsets[item], play_offsets[item + 1]
            step = max(1, -(-(high - low) // MOST_OCCURRENCES))
            looked = 0
            with_last = 0
            next_of_last = 0
            within_5 = 0
            gap = NEVER
            with_second = 0
            within_3 = 0
            after_artist = 0
            sharing = 0
            most_shared = 0
            best_overlap = 0.0
            sum_overlap = 0.0
            near_sum = 0.0
            near_most = 0.0
            artists_sum = 0.0
            artists_most = 0.0
            for at in range(low, high, step):
                place = plays[at]
                owner = owners[place]
                looked += 1
                near = 0.0
                near_artists = 0.0
                first = max(offsets[owner], place - NEAR)
                end = min(offsets[owner + 1], place + NEAR + 1)
                for beside in range(first, end):
                    neighbour = items[beside]
                    other_artist = artists[neighbour]
                    if beside != place and item_distances[neighbour] > 0:
                        near += item_distances[neighbour] ** -NEAR_RECENCY
                    if (
                        other_artist >= 0
                        and other_artist != artist
                        and artist_distances[other_artist] > 0
                    ):
                        near_artists += artist_distances[other_artist] ** -NEAR_RECENCY
                near_sum += near
                near_most = max(near_most, near)
                artists_sum += near_artists
                artists_most = max(artists_most, near_artists)
                if (
                    last_artist != MISSING
                    and place > offsets[owner]
                    and artists[items[place - 1]] == last_artist
                ):
                    after_artist += 1
                if shared[owner] == 0:
                    continue
                sharing += 1
                most_shared = max(most_shared, shared[owner])
                best_overlap = max(best_overlap, overlap[owner])
                sum_overlap += overlap[owner]
                other = last_at[0, owner]
                if other >= 0:
                    with_last += 1
                    next_of_last += place == other + 1
                    within_5 += other < place <= other + 5
                    gap = min(gap, float(abs(place - other)))
                other = last_at[1, owner]
                if other >= 0:
                    with_second += 1
                    within_3 += other < place <= other + 3
            for column in range(columns):
                out[row, column] = fixed[item, column]
            at = columns
            out[row, at] = length
            out[row, at + 1] = known / max(length, 1)
            out[row, at + 2] = distinct / max(with_artist, 1)
            out[row, at + 3] = length / max(runs, 1)
            out[row, at + 4] = plays_sum / max(known, 1)
            out[row, at + 5] = latest_plays
            out[row, at + 6] = np.log1p(touched_count)
            out[row, at + 7] = highest
            at += 8
            out[row, at] = fixed[item, 0] - latest_plays
            out[row, at + 3] = NEVER
            out[row, at + 6] = NEVER
            if artist != MISSING:
                out[row, at + 1] = artist_counts[artist]
                out[row, at + 2] = artist_counts[artist] / max(with_artist, 1)
                if artist_counts[artist] > 0:
                    out[row, at + 3] = artist_distances[artist]
                if artist == last_artist:
                    out[row, at + 4] = run
            if album != MISSING and album_counts[album] > 0:
                out[row, at + 5] = album_counts[album]
                out[row, at + 6] = album_distances[album]
            distance = song_distances[songs[item]]
            out[row, at + 7] = distance if distance > 0 else NEVER
            out[row, at + 8] = with_last * step
            out[row, at + 9] = next_of_last * step
            out[row, at + 10] = within_5 * step
            out[row, at + 11] = gap
            out[row, at + 12] = with_second * step
            out[row, at + 13] = within_3 * step
            out[row, at + 14] = after_artist * step
            out[row, at + 15] = sharing / max(looked, 1)
            out[row, at + 16] = most_shared
            out[row, at + 17] = best_overlap
            out[row, at + 18] = sum_overlap / max(looked, 1)
            if overlap_sum > 0.0:
                out[row, at + 19] = best_overlap / highest
                out[row, at + 20] = sum_overlap * step / overlap_sum
            out[row, at + 21] = near_sum / max(looked, 1)
            out[row, at + 22] = near_most
            out[row, at + 23] = artists_sum / max(looked, 1)
            out[row, at + 24] = artists_most
        for at in range(touched_count):
            owner = touched[at]
            overlap[owner] = 0.0
            shared[owner] = 0
            last_at[0, owner] = -1
            last_at[1, owner] = -1
        for at in range(start, stop):
            item = query_items[at]
            if item == MISSING:
                continue
            item_distances[item] = 0
            if artists[item] != MISSING:
                artist_counts[artists[item]] = 0
                artist_distances[artists[item]] = 0
            if albums[item] != MISSING:
                album_counts[albums[item]] = 0
            song_distances[songs[item]] = 0
