# ruff: noqa: PLR0912, PLR0915  (numba takes flat, positional arguments and inlines no closures)
"""Kernels that look at a candidate beside its query, in the index of the training playlists.

Each fills columns of its own in the rows that the second stage's trees look at; what they mean is said
where their names are, `two_stage_features.py` and `two_stage_latest.py`. What members say of a
candidate, and its place among others, is `two_stage_pool_kernels.py`'s. None calls one of another file.
"""

from functools import partial

import numpy as np
import numpy.typing as npt

from recsys_assets.models import word2vec_vectors
from recsys_assets.models.kernels import kernel
from recsys_assets.models.word2vec_vectors import prefetch_to_read
from recsys_assets.playlists import MISSING, Float32, Float64, Int32, Int64

UInt8 = npt.NDArray[np.uint8]

NEVER = 999.0
MOST_OCCURRENCES, MOST_WINDOWS = 2000, 25
"""Plays of one candidate that are looked at; of more, evenly spaced ones that count several times."""
TAIL = 5
RECENCY, LENGTH_DISCOUNT = 0.8, 0.4
"""Exponents of the overlap: of the places from the query's end, and of the playlist's length."""
OVERLAP, SHARED, LAST, SECOND = range(4)
"""Of a playlist that shares items with the query: their weights, how many they are, and one more than
where it first holds the query's last item and the one before it."""
NEAR, ARTIST_RECENCY = 3, 0.5
"""Places to either side that are near, and the exponent of a near artist's distance in the query."""
EDGE_BITS = 4
EDGE = 2**EDGE_BITS - 1
"""A play's edges: the near places before it in the playlist, and above these bits those behind it."""
MARKS = 2**14
"""Bytes of a table that the core's nearest cache holds."""


@partial(kernel, helpers=(word2vec_vectors,))
def fill_joint(
    query_offsets: Int64,
    query_items: Int32,
    pool_offsets: Int64,
    pool_items: Int32,
    length_discounts: Float64,
    play_artists: Int32,
    play_offsets: Int64,
    plays: Int64,
    play_owners: Int32,
    play_edges: UInt8,
    artists: Int32,
    albums: Int32,
    songs: Int32,
    fixed: Float32,
    artist_groups: int,
    album_groups: int,
    song_groups: int,
    out: Float32,
    before: int,
) -> None:
    """Fill the columns from `before` on with `two_stage_features.FEATURES`, but for `fill_near`'s.

    The index's arrays are `two_stage_features.FeatureIndex`'s. Arrays by group are zeroed after each
    query. What is looked up for every play of every candidate stands in its order or in a small table:
    with 12.9 million rows, reading of memory at random was nine tenths of the time.
    """
    playlists = len(length_discounts)
    is_shared = np.zeros(playlists, np.uint8)
    # What is known of a playlist that shares anything stands in one line of the cache.
    met = np.zeros((playlists, 4))
    touched = np.empty(playlists, np.int32)
    shared = np.empty(MOST_OCCURRENCES, np.int64)
    artist_counts = np.zeros(artist_groups, np.int32)
    artist_distances = np.zeros(artist_groups, np.int32)
    album_counts = np.zeros(album_groups, np.int32)
    album_distances = np.zeros(album_groups, np.int32)
    song_distances = np.zeros(song_groups, np.int32)
    # How near, by distance: as many powers as the query is long, not one for each neighbour.
    artist_near = np.zeros(artist_groups)
    # 0 where no artist with these low bits is in the query, which holds for nearly all.
    artist_marks = np.zeros(MARKS, np.uint8)
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
        other = -2
        for distance in range(1, length + 1):
            item = query_items[stop - distance]
            artist = MISSING if item == MISSING else artists[item]
            if distance == 1:
                last_artist = artist
            in_run = in_run and artist == last_artist
            run += in_run
            runs += artist != other or artist == MISSING
            other = artist
            if item == MISSING:
                continue
            if artist != MISSING:
                with_artist += 1
                if artist_counts[artist] == 0:
                    distinct += 1
                    artist_distances[artist] = distance
                    artist_near[artist] = distance**-ARTIST_RECENCY
                    artist_marks[artist & (MARKS - 1)] = 1
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
                owner = play_owners[at]
                if is_shared[owner] == 0:
                    is_shared[owner] = 1
                    touched[touched_count] = owner
                    touched_count += 1
                met[owner, SHARED] += 1.0
                met[owner, OVERLAP] += weight
                if distance == 1 and met[owner, LAST] == 0.0:
                    met[owner, LAST] = plays[at] + 1
                if distance == 2 and met[owner, SECOND] == 0.0:
                    met[owner, SECOND] = plays[at] + 1
        for at in range(touched_count):
            owner = touched[at]
            met[owner, OVERLAP] /= length_discounts[owner]
            highest = max(highest, met[owner, OVERLAP])
            overlap_sum += met[owner, OVERLAP]
        latest_plays = latest_sum / max(latest, 1)
        end = pool_offsets[query + 1]
        for row in range(pool_offsets[query], end):
            # What the rows to come look at, each a wait for the memory, is fetched meanwhile.
            if row + 6 < end:
                item = pool_items[row + 6]
                prefetch_to_read(play_offsets, item)
                prefetch_to_read(fixed, item)
                prefetch_to_read(artists, item)
                prefetch_to_read(albums, item)
                prefetch_to_read(songs, item)
            if row + 3 < end:
                low = play_offsets[pool_items[row + 3]]
                prefetch_to_read(plays, low)
                prefetch_to_read(play_edges, low)
                prefetch_to_read(play_owners, low)
            if row + 1 < end:
                item = pool_items[row + 1]
                low, high = play_offsets[item], play_offsets[item + 1]
                for at in range(low, high, max(1, -(-(high - low) // MOST_WINDOWS))):
                    # Two of five windows begin in one cache line and end in the next.
                    place = plays[at]
                    prefetch_to_read(play_artists, place - (play_edges[at] & EDGE))
                    prefetch_to_read(play_artists, place + (play_edges[at] >> EDGE_BITS))
            item = pool_items[row]
            artist, album = artists[item], albums[item]
            low, high = play_offsets[item], play_offsets[item + 1]
            step = max(1, -(-(high - low) // MOST_OCCURRENCES))
            looked = -(-(high - low) // step)
            with_last = 0
            next_of_last = 0
            within_5 = 0
            gap = NEVER
            with_second = 0
            within_3 = 0
            after_artist = 0
            sharing = 0
            most_shared = 0.0
            best_overlap = 0.0
            sum_overlap = 0.0
            artists_sum = 0.0
            artists_most = 0.0
            window_step = max(1, -(-(high - low) // MOST_WINDOWS))
            windows = -(-(high - low) // window_step)
            for at in range(low, high, window_step):
                place = plays[at]
                near_artists = 0.0
                first = place - (play_edges[at] & EDGE)
                for other in range(first, place + (play_edges[at] >> EDGE_BITS) + 1):
                    near_artist = play_artists[other]
                    if (
                        artist_marks[near_artist & (MARKS - 1)] != 0
                        and near_artist != artist
                        and near_artist >= 0
                    ):
                        near_artists += artist_near[near_artist]
                artists_sum += near_artists
                artists_most = max(artists_most, near_artists)
                if last_artist != MISSING and place > first:
                    after_artist += play_artists[place - 1] == last_artist
            # Found without a branch: no processor predicts which one in eleven it is.
            for at in range(low, high, step):
                shared[sharing] = at
                sharing += is_shared[play_owners[at]]
            for nth in range(sharing):
                at = shared[nth]
                owner = play_owners[at]
                place = plays[at]
                most_shared = max(most_shared, met[owner, SHARED])
                best_overlap = max(best_overlap, met[owner, OVERLAP])
                sum_overlap += met[owner, OVERLAP]
                other = int(met[owner, LAST]) - 1
                if other >= 0:
                    with_last += 1
                    next_of_last += place == other + 1
                    within_5 += other < place <= other + 5
                    gap = min(gap, float(abs(place - other)))
                other = int(met[owner, SECOND]) - 1
                if other >= 0:
                    with_second += 1
                    within_3 += other < place <= other + 3
            for column in range(columns):
                out[row, before + column] = fixed[item, column]
            at = before + columns
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
            out[row, at + 14] = after_artist * window_step
            out[row, at + 15] = sharing / max(looked, 1)
            out[row, at + 16] = most_shared
            out[row, at + 17] = best_overlap
            out[row, at + 18] = sum_overlap / max(looked, 1)
            if overlap_sum > 0.0:
                out[row, at + 19] = best_overlap / highest
                out[row, at + 20] = sum_overlap * step / overlap_sum
            out[row, at + 23] = artists_sum / max(windows, 1)
            out[row, at + 24] = artists_most
        for at in range(touched_count):
            owner = touched[at]
            is_shared[owner] = 0
            met[owner, OVERLAP] = met[owner, SHARED] = met[owner, LAST] = met[owner, SECOND] = 0.0
        for at in range(start, stop):
            item = query_items[at]
            if item == MISSING:
                continue
            if artists[item] != MISSING:
                artist_counts[artists[item]] = 0
                artist_distances[artists[item]] = 0
                artist_near[artists[item]] = 0.0
                artist_marks[artists[item] & (MARKS - 1)] = 0
            if albums[item] != MISSING:
                album_counts[albums[item]] = 0
            song_distances[songs[item]] = 0


@kernel
def fill_latest(
    pool_offsets: Int64,
    pool_items: Int32,
    last: Int32,
    second: Int32,
    play_offsets: Int64,
    artists: Int32,
    artist_plays: Int64,
    after_offsets: Int64,
    after_artists: Int32,
    after_counts: Int64,
    before_offsets: Int64,
    before_artists: Int32,
    before_counts: Int64,
    with_last: int,
    out: Float32,
    at: int,
) -> None:
    """Fill the columns from `at` on with `two_stage_latest.LATEST`.

    Parameters
    ----------
    last, second
        int32[queries]: the last item and the one before it.
    after_offsets, after_artists, after_counts
        By artist, those that directly follow it and how often; `before_*` those that it follows.
    with_last
        The filled column of `with_last`; `next_of_last` and `with_second` stand one and four behind.
    """
    groups = len(after_offsets) - 1
    after = np.zeros(groups, np.int64)
    before = np.zeros(groups, np.int64)
    for query in range(len(pool_offsets) - 1):
        artist = MISSING
        last_plays = 0
        second_plays = 0
        artist_total = 0
        if last[query] != MISSING:
            artist = artists[last[query]]
            last_plays = play_offsets[last[query] + 1] - play_offsets[last[query]]
        if second[query] != MISSING:
            second_plays = play_offsets[second[query] + 1] - play_offsets[second[query]]
        if artist != MISSING:
            artist_total = artist_plays[artist]
            for step in range(after_offsets[artist], after_offsets[artist + 1]):
                after[after_artists[step]] = after_counts[step]
            for step in range(before_offsets[artist], before_offsets[artist + 1]):
                before[before_artists[step]] = before_counts[step]
        for row in range(pool_offsets[query], pool_offsets[query + 1]):
            candidate = artists[pool_items[row]]
            steps = 0
            steps_back = 0
            if candidate != MISSING:
                steps = after[candidate]
                steps_back = before[candidate]
            out[row, at] = np.log1p(last_plays)
            out[row, at + 1] = out[row, with_last] / max(last_plays, 1)
            out[row, at + 2] = out[row, with_last + 1] / max(last_plays, 1)
            out[row, at + 3] = out[row, with_last + 4] / max(second_plays, 1)
            out[row, at + 4] = steps / max(artist_total, 1)
            out[row, at + 5] = np.log1p(steps)
            out[row, at + 6] = np.log1p(steps_back)
        if artist != MISSING:
            for step in range(after_offsets[artist], after_offsets[artist + 1]):
                after[after_artists[step]] = 0
            for step in range(before_offsets[artist], before_offsets[artist + 1]):
                before[before_artists[step]] = 0
