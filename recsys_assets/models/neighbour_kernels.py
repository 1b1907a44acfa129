# ruff: noqa: PLR0912, PLR0915  (numba takes flat, positional arguments and inlines no closures)
"""Kernels of the neighbour families: similar playlists, weighted rows by key, pairs in playlists.

A file of its own with every helper that its kernels call, because numba's cache does not notice a
change in another file. The rules are those of `kernels.py`: score descending, then index ascending;
independent rows; no GIL; no bounds checked, callers validate. Neither allocation by size of the
catalogue nor threads belong here.
"""

import numpy as np

from recsys_assets.models.kernels import kernel
from recsys_assets.playlists import MISSING, Bool, Float32, Float64, Int32, Int64


@kernel
def _keep_best(values: Float32, entries: Int32, size: int, room: int) -> int:
    """Move the best `room` of `[:size]` to the front, in no order; return how many there are."""
    if size <= room or room == 0:
        return min(size, room)
    cut = np.partition(values[:size], size - room)[size - room]
    better, level = 0, 0
    ties = np.empty(size, np.int32)
    for at in range(size):
        if values[at] > cut:
            values[better], entries[better] = values[at], entries[at]
            better += 1
        elif values[at] == cut:
            ties[level] = entries[at]
            level += 1
    wanted = room - better
    # Only as many of the worst as there is room for: of 100,000 titles most are alike.
    if level > wanted:
        ties = np.partition(ties[:level], wanted - 1)
    for at in range(wanted):
        values[better + at], entries[better + at] = cut, ties[at]
    return room


@kernel
def _take_best(
    values: Float32, entries: Int32, size: int, out_entries: Int32, out_values: Float32
) -> int:
    """Write the best of `[:size]`, best first, fill up with MISSING; return how many there are."""
    room = len(out_entries)
    found = _keep_best(values, entries, size, room)
    by_index = np.argsort(entries[:found])
    order = by_index[np.argsort(-values[:found][by_index], kind="mergesort")]
    for at in range(found):
        out_entries[at], out_values[at] = entries[order[at]], values[order[at]]
    for at in range(found, room):
        out_entries[at], out_values[at] = MISSING, -np.inf
    return found


@kernel
def _block_query(start: int, stop: int, query_items: Int32, sums: Float64, touched: Int32) -> int:
    """Put -1 into `sums` at the query's items; return how many entries were touched."""
    count = 0
    for at in range(start, stop):
        item = query_items[at]
        if item != MISSING and sums[item] == 0.0:
            sums[item] = -1.0
            touched[count] = item
            count += 1
    return count


@kernel
def _take_sums(
    count: int,
    sums: Float64,
    touched: Int32,
    values: Float32,
    out_items: Int32,
    out_scores: Float32,
) -> None:
    """Rank the touched items of positive sum into one row; zero `sums`."""
    found = 0
    for at in range(count):
        item = touched[at]
        if sums[item] > 0.0:
            values[found] = np.float32(sums[item])
            touched[found] = item
            found += 1
        sums[item] = 0.0
    _take_best(values, touched, found, out_items, out_scores)


@kernel
def _heaviest_keys(
    keys: Int32,
    key_weights: Float64,
    posting_offsets: Int64,
    recency: Float64,
    most: int,
    used: Bool,
) -> None:
    """Unset in `used`, all set on entry, the places of a query whose postings exceed `most`.

    Places are taken by weight, ties the later first; one that does not fit any more is left out and
    the next tried. The heaviest is always used.
    """
    size = len(keys)
    weights, counts = np.zeros(size), np.zeros(size, np.int64)
    for at in range(size):
        if keys[at] != MISSING:
            weights[at] = recency[size - 1 - at] * key_weights[keys[at]]
            counts[at] = posting_offsets[keys[at] + 1] - posting_offsets[keys[at]]
    if counts.sum() <= most:
        return
    total = 0
    for at in np.argsort(-weights[::-1], kind="mergesort"):
        place = size - 1 - at
        if total > 0 and total + counts[place] > most:
            used[place] = False
        else:
            total += counts[place]


@kernel
def rank_by_playlists(
    low: int,
    high: int,
    query_offsets: Int64,
    query_items: Int32,
    query_keys: Int32,
    key_weights: Float64,
    posting_offsets: Int64,
    postings: Int64,
    owners: Int32,
    offsets: Int64,
    items: Int32,
    recency: Float64,
    match: Float64,
    position: Float64,
    length_scale: Float64,
    item_scale: Float64,
    repeats: float,
    power: float,
    neighbours: int,
    most_postings: int,
    sims: Float64,
    latest: Int64,
    depth: Int64,
    near: Int32,
    near_values: Float32,
    sums: Float64,
    touched: Int32,
    values: Float32,
    out_items: Int32,
    out_scores: Float32,
) -> None:
    """Rank queries `low` to `high` by the tracks of the playlists that share keys with them.

    A key stands for an item (itself, or its artist); `postings` are positions in `items`, by key,
    ascending, and `owners` their playlists. `sims` float64[playlists] and `sums` float64[size] are
    zeroed scratch, given back zeroed; the other scratch arrays are as long as one of the two.
    `neighbours` 0 takes all, and so does `most_postings` 0; else the heaviest keys are looked up
    whose postings are so many together.
    """
    for query in range(low, high):
        start, stop = query_offsets[query], query_offsets[query + 1]
        used = np.ones(stop - start, np.bool_)
        if most_postings > 0:
            _heaviest_keys(
                query_keys[start:stop], key_weights, posting_offsets, recency, most_postings, used
            )
        found = 0
        for at in range(stop - 1, start - 1, -1):
            key = query_keys[at]
            if key == MISSING or not used[at - start]:
                continue
            weight = recency[stop - 1 - at] * key_weights[key]
            if weight == 0.0:
                continue
            first, last = posting_offsets[key], posting_offsets[key + 1]
            while first < last:
                owner = owners[first]
                after = first + 1
                while after < last and owners[after] == owner:
                    after += 1
                if sims[owner] == 0.0:
                    near[found] = owner
                    found += 1
                    latest[owner] = postings[after - 1]
                    depth[owner] = stop - 1 - at
                sims[owner] += weight if after == first + 1 else weight * (after - first) ** repeats
                first = after
        best = 0.0
        for at in range(found):
            owner = near[at]
            sims[owner] *= length_scale[owner] * match[depth[owner]]
            best = max(best, sims[owner])
        chosen = found
        if 0 < neighbours < found:
            for at in range(found):
                near_values[at] = np.float32(sims[near[at]])
            kept_values = np.empty(neighbours, np.float32)
            kept = np.empty(neighbours, np.int32)
            all_near = near[:found].copy()
            chosen = _take_best(near_values, all_near, found, kept, kept_values)
        count = _block_query(start, stop, query_items, sums, touched)
        for at in range(chosen):
            owner = kept[at] if 0 < neighbours < found else near[at]
            if sims[owner] == 0.0:
                continue
            # Relative to the best: a high power neither overflows nor vanishes.
            similarity = sims[owner] / best
            if power != 1.0:
                similarity **= power
            for here in range(offsets[owner], offsets[owner + 1]):
                item = items[here]
                if sums[item] < 0.0:
                    continue
                value = similarity * position[abs(here - latest[owner])]
                if value == 0.0:
                    continue
                if sums[item] == 0.0:
                    touched[count] = item
                    count += 1
                sums[item] += value
        for at in range(found):
            sims[near[at]] = 0.0
        # Once for each item that was met, not at each meeting: 22 MB of scales do not fit a cache.
        for at in range(count):
            if sums[touched[at]] > 0.0:
                sums[touched[at]] *= item_scale[touched[at]]
        _take_sums(count, sums, touched, values, out_items[query], out_scores[query])


@kernel
def rank_by_keys(
    low: int,
    high: int,
    query_offsets: Int64,
    query_items: Int32,
    key_offsets: Int64,
    keys: Int32,
    key_weights: Float64,
    row_offsets: Int64,
    row_items: Int32,
    row_weights: Float32,
    sums: Float64,
    touched: Int32,
    values: Float32,
    out_items: Int32,
    out_scores: Float32,
) -> None:
    """Rank queries `low` to `high` by the weighted sum of the rows of their keys.

    Query `q` has ``keys[key_offsets[q]:key_offsets[q + 1]]``, MISSING among them ignored, with
    weights above 0. `sums` is zeroed float64[size] scratch, given back zeroed.
    """
    for query in range(low, high):
        count = _block_query(
            query_offsets[query], query_offsets[query + 1], query_items, sums, touched
        )
        for at in range(key_offsets[query], key_offsets[query + 1]):
            key = keys[at]
            if key == MISSING:
                continue
            for entry in range(row_offsets[key], row_offsets[key + 1]):
                item = row_items[entry]
                value = key_weights[at] * row_weights[entry]
                if sums[item] < 0.0 or value == 0.0:
                    continue
                if sums[item] == 0.0:
                    touched[count] = item
                    count += 1
                sums[item] += value
        _take_sums(count, sums, touched, values, out_items[query], out_scores[query])


@kernel
def pair_rows(
    low: int,
    high: int,
    offsets: Int64,
    items: Int32,
    posting_offsets: Int64,
    owners: Int32,
    share: bool,
    threshold: float,
    sums: Int64,
    touched: Int32,
    values: Float32,
    counts: Int64,
    out_items: Int32,
    out_weights: Float32,
) -> int:
    """Count, for items `low` to `high`, the playlists shared with every other item.

    Playlists hold an item once. Rows hold the best pairs at or above `threshold`, in no order, as
    many as `counts[item]` says on entry at most, and does exactly on return; returns the entries
    written. `sums` is zeroed int64[size] scratch, given back zeroed.
    """
    written = 0
    for item in range(low, high):
        neighbours = 0
        total = posting_offsets[item + 1] - posting_offsets[item]
        for at in range(posting_offsets[item], posting_offsets[item + 1]):
            owner = owners[at]
            for there in range(offsets[owner], offsets[owner + 1]):
                other = items[there]
                if other == item:
                    continue
                if sums[other] == 0:
                    touched[neighbours] = other
                    neighbours += 1
                sums[other] += 1
        kept = 0
        for at in range(neighbours):
            other = touched[at]
            value = float(sums[other])
            if share:
                value /= total + posting_offsets[other + 1] - posting_offsets[other]
            sums[other] = 0
            if value >= threshold:
                values[kept], touched[kept] = np.float32(value), other
                kept += 1
        room = _keep_best(values, touched, kept, counts[item])
        out_items[written : written + room] = touched[:room]
        out_weights[written : written + room] = values[:room]
        counts[item] = room
        written += room
    return written


@kernel
def cooccurrence_rows(
    low: int,
    high: int,
    offsets: Int64,
    items: Int32,
    owners: Int32,
    occurrence_offsets: Int64,
    occurrences: Int64,
    forward: Float64,
    backward: Float64,
    playlist_scale: Float64,
    row_scale: Float64,
    column_scale: Float64,
    sums: Float64,
    touched: Int32,
    values: Float32,
    counts: Int64,
    out_items: Int32,
    out_weights: Float32,
) -> int:
    """Accumulate the rows of items `low` to `high`; return how many entries were written.

    Each item's occurrences are walked in order and each window from left to right, so every sum has
    one order. `forward[d]` and `backward[d]` weigh a neighbour `d` positions later or earlier; a
    playlist's pairs all weigh `playlist_scale`. Rows hold the best, in no order, as many as
    `counts[item]` says on entry at most, and does exactly on return.
    """
    window = len(forward) - 1
    written = 0
    for item in range(low, high):
        neighbours = 0
        for at in range(occurrence_offsets[item], occurrence_offsets[item + 1]):
            here = occurrences[at]
            owner = owners[here]
            start = max(offsets[owner], here - window)
            stop = min(offsets[owner + 1], here + window + 1)
            for there in range(start, stop):
                other = items[there]
                weight = forward[there - here] if there > here else backward[here - there]
                weight *= playlist_scale[owner]
                if other == item or weight == 0.0:
                    continue
                if sums[other] == 0.0:
                    touched[neighbours] = other
                    neighbours += 1
                sums[other] += weight
        for at in range(neighbours):
            other = touched[at]
            values[at] = np.float32(sums[other] * row_scale[item] * column_scale[other])
            sums[other] = 0.0
        room = _keep_best(values, touched, neighbours, counts[item])
        out_items[written : written + room] = touched[:room]
        out_weights[written : written + room] = values[:room]
        counts[item] = room
        written += room
    return written
