"""The kernel of session nearest neighbours: similar playlists, and the sum of what they hold.

The rules are those of `kernels.py`: score descending, then index ascending; independent rows; no
GIL; no bounds checked, callers validate. Sums are made as `slot_kernels.py` says. Neither
allocation by size of the catalogue nor threads belong here.
"""

from functools import partial

import numpy as np

from recsys_assets.models import postings, selection_kernels, slot_kernels, word2vec_vectors
from recsys_assets.models.kernels import kernel
from recsys_assets.models.postings import PLACE, PLAYLIST, TIMES
from recsys_assets.models.selection_kernels import take_best
from recsys_assets.models.slot_kernels import (
    add,
    add_crowded,
    clear,
    empty_slots,
    hold_back,
    hold_back_crowded,
    is_crowded,
    keep_crowded,
    score_holders,
    take_crowded,
)
from recsys_assets.models.word2vec_vectors import prefetch_to_read
from recsys_assets.playlists import MISSING, Bool, Float32, Float64, Int32, Int64

HELPERS = (postings, selection_kernels, slot_kernels, word2vec_vectors)
SIMILARITY, LATEST = 0, 1
"""Of a playlist that shares keys with the query: how similar it is, and where it last holds the
latest of them."""
POWERS = 64
"""How often a playlist holds a key, at most, where the power of that is looked up."""
AHEAD = 8
"""So many keys, and playlists of a key, before they are needed they are fetched into the caches."""
LINE = 16
"""Items in a line of the cache."""
LINES = 8
"""Of a playlist so many lines are fetched ahead; what is behind them the processor guesses."""


# --- similar playlists ----------------------------------------------------------------------------
@kernel
def _heaviest_keys(
    keys: Int32,
    key_weights: Float64,
    key_plays: Int64,
    recency: Float64,
    most: int,
    used: Bool,
) -> None:
    """Unset in `used`, all set on entry, the places of a query whose keys' plays exceed `most`.

    Places are taken by weight, ties the later first; one that does not fit any more is left out and
    the next tried. The heaviest is always used.
    """
    size = len(keys)
    weights, counts = np.zeros(size), np.zeros(size, np.int64)
    for at in range(size):
        if keys[at] != MISSING:
            weights[at] = recency[size - 1 - at] * key_weights[keys[at]]
            counts[at] = key_plays[keys[at]]
    if counts.sum() <= most:
        return
    total = 0
    for at in np.argsort(-weights[::-1], kind="mergesort"):
        place = size - 1 - at
        if total > 0 and total + counts[place] > most:
            used[place] = False
        else:
            total += counts[place]


@partial(kernel, helpers=HELPERS)
def _fetch_playlists(key: int, run_offsets: Int64, runs: Int32, met: Float64) -> None:
    """Have what is known of a key's first playlists fetched."""
    first = run_offsets[key]
    for at in range(first, min(first + AHEAD, run_offsets[key + 1])):
        prefetch_to_read(met, runs[at, PLAYLIST])


@partial(kernel, helpers=HELPERS)
def _meet(
    keys: Int32,
    used: Bool,
    key_weights: Float64,
    run_offsets: Int64,
    runs: Int32,
    recency: Float64,
    repeats: float,
    powers: Float64,
    length_scale: Float64,
    met: Float64,
    depth: Int64,
    near: Int32,
) -> int:
    """Add up in `met` what playlists share with a query of these keys; return how many do.

    They are listed in `near`, with how far from the query's end the latest of their common keys is
    beside them, in `depth`. `powers` are those of 1, 2, ... to `repeats`, by number.
    """
    found, size = 0, len(keys)
    for back in range(-AHEAD, size):
        soon = size - 1 - back - AHEAD
        if soon >= 0 and keys[soon] != MISSING and used[soon]:
            prefetch_to_read(runs, run_offsets[keys[soon]])
            prefetch_to_read(runs, run_offsets[keys[soon]] + LINE // 3)
        soon = size - 2 - back
        if 0 <= soon < size and keys[soon] != MISSING and used[soon]:
            _fetch_playlists(keys[soon], run_offsets, runs, met)
        if back < 0:
            continue
        key = keys[size - 1 - back]
        if key == MISSING or not used[size - 1 - back]:
            continue
        weight = recency[back] * key_weights[key]
        if weight == 0.0:
            continue
        first, last = run_offsets[key], run_offsets[key + 1]
        for at in range(first, last):
            if at + AHEAD < last:
                prefetch_to_read(met, runs[at + AHEAD, PLAYLIST])
            prefetch_to_read(length_scale, runs[at, PLAYLIST])
            owner, times = runs[at, PLAYLIST], runs[at, TIMES]
            similarity = met[owner, SIMILARITY]
            # Listed always and counted where new: that could not be predicted.
            near[found], depth[found] = owner, back
            new = similarity == 0.0
            found += int(new)
            met[owner, LATEST] = float(runs[at, PLACE]) if new else met[owner, LATEST]
            value = weight * (powers[times] if times < POWERS else float(times) ** repeats)
            met[owner, SIMILARITY] = similarity + value
    return found


# --- the sum of what they hold --------------------------------------------------------------------
@partial(kernel, helpers=HELPERS)
def _add_playlist(
    items: Int32,
    middle: int,
    similarity: float,
    position: Float64,
    shift: int,
    holders: Int32,
    table: Float64,
    held: Int32,
    count: int,
) -> int:
    """Add a playlist's items to the table; return how many slots are taken."""
    for here in range(len(items)):
        value = similarity * position[abs(here - middle)]
        count = add(items[here], value, shift, holders, table, held, count)
    return count


@partial(kernel, helpers=HELPERS)
def _fetch_items(nearest: Int32, at: int, offsets: Int64, items: Int32, met: Float64) -> None:
    """Have the items of the neighbour after next fetched, and where those of a later one are."""
    if at + AHEAD < len(nearest):
        prefetch_to_read(met, nearest[at + AHEAD])
        prefetch_to_read(offsets, nearest[at + AHEAD])
    if at + 2 < len(nearest):
        first = offsets[nearest[at + 2]]
        last = min(offsets[nearest[at + 2] + 1], first + LINES * LINE)
        for line in range(first, last, LINE):
            prefetch_to_read(items, line)


@partial(kernel, helpers=HELPERS)
def _add_crowded_playlist(
    items: Int32,
    middle: int,
    similarity: float,
    position: Float64,
    shift: int,
    holders: Int32,
    crowded: Bool,
    sums: Float64,
    entries: Int32,
    count: int,
) -> int:
    """Add the same to `sums`, where an item does not hold its slot; return how many there are."""
    for here in range(len(items)):
        if is_crowded(items[here], shift, holders, crowded):
            value = similarity * position[abs(here - middle)]
            count = add_crowded(items[here], value, sums, entries, count)
    return count


@partial(kernel, helpers=HELPERS)
def rank_by_playlists(
    low: int,
    high: int,
    query_offsets: Int64,
    query_items: Int32,
    query_keys: Int32,
    key_weights: Float64,
    key_plays: Int64,
    run_offsets: Int64,
    runs: Int32,
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
    met: Float64,
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

    A key stands for an item (itself, or its artist); `key_plays`, `run_offsets` and `runs` are
    `Runs`'. `met` float64[playlists, 2], of which `SIMILARITY` counts, and `sums` float64[size] are
    zeroed scratch, given back zeroed; the other scratch arrays are as long as one of the two, of
    playlists one entry longer. `neighbours` 0 takes all, and so does `most_postings` 0; else the
    heaviest keys are looked up whose plays are so many together. `item_scale` float64[size], none
    above 1, or empty for ones. `shift` is `slot_shift`'s.
    """
    holders, table, held, crowded = empty_slots(shift)
    k = out_items.shape[1]
    powers = np.empty(POWERS)
    for times in range(1, POWERS):
        powers[times] = times**repeats
    chosen, chosen_values = np.empty(neighbours, np.int32), np.empty(neighbours, np.float32)
    for query in range(low, high):
        start, stop = query_offsets[query], query_offsets[query + 1]
        used = np.ones(stop - start, np.bool_)
        if most_postings > 0:
            _heaviest_keys(
                query_keys[start:stop], key_weights, key_plays, recency, most_postings, used
            )
        found = _meet(
            query_keys[start:stop], used, key_weights, run_offsets, runs, recency, repeats, powers,
            length_scale, met, depth, near,
        )  # fmt: skip
        best = 0.0
        for at in range(found):
            owner = near[at]
            met[owner, SIMILARITY] *= length_scale[owner] * match[depth[at]]
            near_values[at] = np.float32(met[owner, SIMILARITY])
            best = max(best, met[owner, SIMILARITY])
        nearest = near[:found]
        if 0 < neighbours < found:
            take_best(near_values, near[:found].copy(), found, chosen, chosen_values)
            nearest = chosen

        asked = query_items[start:stop]
        count = hold_back(asked, shift, holders, table, held)
        for at, owner in enumerate(nearest):
            _fetch_items(nearest, at, offsets, items, met)
            if met[owner, SIMILARITY] > 0.0:
                # Relative to the best: a high power neither overflows nor vanishes.
                met[owner, SIMILARITY] /= best
                if power != 1.0:
                    met[owner, SIMILARITY] **= power
                first = offsets[owner]
                count = _add_playlist(
                    items[first : offsets[owner + 1]], int(met[owner, LATEST]),
                    met[owner, SIMILARITY], position, shift, holders, table, held, count,
                )  # fmt: skip
        ranked = score_holders(holders, table, held, count, item_scale, values, touched)
        ranked, again = keep_crowded(table, held, count, values, touched, ranked, k, crowded)
        if again:
            hold_back_crowded(asked, -np.inf, sums)
            last = ranked
            for owner in nearest:
                if met[owner, SIMILARITY] > 0.0:
                    first = offsets[owner]
                    last = _add_crowded_playlist(
                        items[first : offsets[owner + 1]], int(met[owner, LATEST]),
                        met[owner, SIMILARITY], position, shift, holders, crowded, sums, touched,
                        last,
                    )  # fmt: skip
            ranked = take_crowded(ranked, last, item_scale, sums, values, touched)
            hold_back_crowded(asked, 0.0, sums)
        clear(holders, table, held, crowded, count)
        for at in range(found):
            met[near[at], SIMILARITY] = 0.0
        take_best(values, touched, ranked, out_items[query], out_scores[query])
