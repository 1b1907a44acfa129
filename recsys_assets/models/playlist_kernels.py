# ruff: noqa: PLR0912, PLR0915  (numba takes flat, positional arguments and inlines no closures)
"""The kernel of session nearest neighbours: similar playlists, and the sum of what they hold.

A file of its own with every helper that its kernels call, because numba's cache does not notice a
change in another file. The rules are those of `kernels.py`: score descending, then index ascending;
independent rows; no GIL; no bounds checked, callers validate. Neither allocation by size of the
catalogue nor threads belong here.
"""

import numpy as np

from recsys_assets.models.kernels import kernel
from recsys_assets.playlists import MISSING, Bool, Float32, Float64, Int32, Int64

EMPTY = -1
LEADING_BITS, LEADING_VALUES = 20, 2048
"""A positive float32 without its last 20 bits is one of so many numbers, in the same order."""


# --- the best of many scores ----------------------------------------------------------------------
@kernel
def _least_of_best(values: Float32, size: int, room: int) -> np.float32:
    """Return the `room`-th largest of `[:size]`, none below 0 nor -0, ``0 < room <= size``.

    Two passes narrow it down to the scores with the same leading bits: 38,000 scores take a third
    of the time of a partition.
    """
    bits = values[:size].view(np.int32)
    counts = np.zeros(LEADING_VALUES, np.int64)
    for at in range(size):
        counts[bits[at] >> LEADING_BITS] += 1
    left, leading = room, LEADING_VALUES - 1
    while counts[leading] < left:
        left -= counts[leading]
        leading -= 1
    near = np.empty(counts[leading], np.float32)
    found = 0
    for at in range(size):
        if bits[at] >> LEADING_BITS == leading:
            near[found] = values[at]
            found += 1
    return np.float32(np.partition(near, found - left)[found - left])


@kernel
def _take_best(
    values: Float32, entries: Int32, size: int, out_entries: Int32, out_values: Float32
) -> int:
    """Write the best of `[:size]`, best first, fill up with MISSING; return how many there are.

    Values are 0 or more, and never -0, whose bits sort below; entries are 0 or more. Both are
    overwritten.
    """
    room = min(len(out_entries), size)
    kept = 0
    if room > 0:
        least = _least_of_best(values, size, room)
        for at in range(size):
            if values[at] >= least:
                values[kept], entries[kept] = values[at], entries[at]
                kept += 1
    # One number that sorts by value, then by falling entry: both are below 2 ** 31.
    keys = values[:kept].view(np.int32).astype(np.int64) << 31
    for at in range(kept):
        keys[at] += 0x7FFFFFFF - entries[at]
    order = np.argsort(keys)
    for at in range(room):
        best = order[kept - 1 - at]
        out_entries[at], out_values[at] = entries[best], values[best]
    for at in range(room, len(out_entries)):
        out_entries[at], out_values[at] = MISSING, -np.inf
    return room


# --- similar playlists ----------------------------------------------------------------------------
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
def _meet(
    keys: Int32,
    used: Bool,
    key_weights: Float64,
    posting_offsets: Int64,
    postings: Int64,
    owners: Int32,
    recency: Float64,
    repeats: float,
    sims: Float64,
    latest: Int64,
    depth: Int64,
    near: Int32,
) -> int:
    """Add up in `sims` what playlists share with a query of these keys; return how many do.

    They are listed in `near`. `latest` is where a playlist last holds the latest of their common
    keys, `depth` how far from the query's end that key is.
    """
    found = 0
    for at in range(len(keys) - 1, -1, -1):
        key = keys[at]
        if key == MISSING or not used[at]:
            continue
        weight = recency[len(keys) - 1 - at] * key_weights[key]
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
                depth[owner] = len(keys) - 1 - at
            sims[owner] += weight if after == first + 1 else weight * (after - first) ** repeats
            first = after
    return found


# --- the sum of what they hold --------------------------------------------------------------------
@kernel
def _slot(item: int, shift: int) -> int:
    """Return where an item belongs in a table of ``2 ** (32 - shift)`` slots (Knuth, 6.4)."""
    return ((item * 2654435769) & 0xFFFFFFFF) >> shift


@kernel
def _add_playlist(
    items: Int32,
    middle: int,
    similarity: float,
    position: Float64,
    shift: int,
    holders: Int32,
    own: Float64,
    others: Float64,
    held: Int32,
    count: int,
) -> int:
    """Add a playlist's items to the table; return how many slots are taken.

    The first item that meets a slot holds it, and has its sum in `own`; whatever else meets it adds
    to `others`.
    """
    for here in range(len(items)):
        item = items[here]
        value = similarity * position[abs(here - middle)]
        slot = _slot(item, shift)
        holder = holders[slot]
        if holder == item:
            own[slot] += value
        elif holder == EMPTY:
            holders[slot], own[slot] = item, value
            held[count] = slot
            count += 1
        else:
            others[slot] += value
    return count


@kernel
def _add_crowded(
    items: Int32,
    middle: int,
    similarity: float,
    position: Float64,
    shift: int,
    holders: Int32,
    others: Float64,
    sums: Float64,
    touched: Int32,
    count: int,
) -> int:
    """Add to `sums` the items of a playlist that share a slot of positive `others`, without holding it.

    They are listed in `touched`; returns how many entries it has.
    """
    for here in range(len(items)):
        item = items[here]
        slot = _slot(item, shift)
        if others[slot] > 0.0 and holders[slot] != item:
            value = similarity * position[abs(here - middle)]
            if sums[item] == 0.0 and value > 0.0:
                touched[count] = item
                count += 1
            sums[item] += value
    return count


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
    shift: int,
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
    whose postings are so many together. `item_scale` float64[size], none above 1, or empty for
    ones.

    Items are added up in a table of ``2 ** (32 - shift)`` slots that stays in the core's cache, where
    `sums`, 23 MB of a large catalogue, would not: an item holds its slot, or adds to the sum of all
    that do not. Only where that sum reaches the worst answer are its items added up one by one.
    """
    slots, k = 1 << (32 - shift), out_items.shape[1]
    holders, held = np.full(slots, EMPTY, np.int32), np.empty(slots, np.int32)
    own, others = np.zeros(slots), np.zeros(slots)
    chosen, chosen_values = np.empty(neighbours, np.int32), np.empty(neighbours, np.float32)
    scaled = len(item_scale) > 0
    for query in range(low, high):
        start, stop = query_offsets[query], query_offsets[query + 1]
        used = np.ones(stop - start, np.bool_)
        if most_postings > 0:
            _heaviest_keys(
                query_keys[start:stop], key_weights, posting_offsets, recency, most_postings, used
            )
        found = _meet(
            query_keys[start:stop], used, key_weights, posting_offsets, postings, owners, recency,
            repeats, sims, latest, depth, near,
        )  # fmt: skip
        best = 0.0
        for at in range(found):
            owner = near[at]
            sims[owner] *= length_scale[owner] * match[depth[owner]]
            best = max(best, sims[owner])
        nearest = near[:found]
        if 0 < neighbours < found:
            for at in range(found):
                near_values[at] = np.float32(sims[near[at]])
            _take_best(near_values, near[:found].copy(), found, chosen, chosen_values)
            nearest = chosen

        count = 0
        for at in range(start, stop):
            slot = _slot(query_items[at], shift)
            if query_items[at] != MISSING and holders[slot] == EMPTY:
                holders[slot], own[slot] = query_items[at], -np.inf
                held[count] = slot
                count += 1
        for owner in nearest:
            if sims[owner] > 0.0:
                # Relative to the best: a high power neither overflows nor vanishes.
                sims[owner] /= best
                if power != 1.0:
                    sims[owner] **= power
                first = offsets[owner]
                count = _add_playlist(
                    items[first : offsets[owner + 1]], latest[owner] - first, sims[owner], position,
                    shift, holders, own, others, held, count,
                )  # fmt: skip
        ranked = 0
        for at in range(count):
            slot = held[at]
            if own[slot] > 0.0:
                factor = item_scale[holders[slot]] if scaled else 1.0
                values[ranked], touched[ranked] = np.float32(own[slot] * factor), holders[slot]
                ranked += 1
        least = _least_of_best(values, ranked, k) if ranked >= k else np.float32(0.0)
        crowded = False
        for at in range(count):
            # Float sums of positive numbers never fall when more are added: a true bound.
            if others[held[at]] > 0.0 and np.float32(others[held[at]]) >= least:
                crowded = True
            else:
                others[held[at]] = 0.0
        if crowded:
            for at in range(start, stop):
                if query_items[at] != MISSING:
                    sums[query_items[at]] = -np.inf
            before = ranked
            for owner in nearest:
                if sims[owner] > 0.0:
                    first = offsets[owner]
                    ranked = _add_crowded(
                        items[first : offsets[owner + 1]], latest[owner] - first, sims[owner],
                        position, shift, holders, others, sums, touched, ranked,
                    )  # fmt: skip
            last, ranked = ranked, before
            for at in range(before, last):
                item = touched[at]
                if sums[item] > 0.0:
                    factor = item_scale[item] if scaled else 1.0
                    values[ranked], touched[ranked] = np.float32(sums[item] * factor), item
                    ranked += 1
                sums[item] = 0.0
            for at in range(start, stop):
                if query_items[at] != MISSING:
                    sums[query_items[at]] = 0.0
        for at in range(count):
            holders[held[at]], own[held[at]], others[held[at]] = EMPTY, 0.0, 0.0
        for at in range(found):
            sims[near[at]] = 0.0
        _take_best(values, touched, ranked, out_items[query], out_scores[query])
