"""Kernels that rank by sums of weighted rows: of a query's items, or of what stands for them.

The rules are those of `kernels.py`: score descending, then index ascending; independent rows; no
GIL; no bounds checked, callers validate. Sums are made as `slot_kernels.py` says. What the weights
are belongs to the families; neither allocation by size of the catalogue nor threads belong here.
"""

from functools import partial

import numpy as np

from recsys_assets.models import selection_kernels, slot_kernels
from recsys_assets.models.kernels import kernel
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
from recsys_assets.playlists import MISSING, Bool, Float32, Float64, Int32, Int64

HELPERS = (selection_kernels, slot_kernels)


@partial(kernel, helpers=HELPERS)
def _best_of_rows(
    query: Int32,
    asked: Int32,
    factors: Float64,
    row_offsets: Int64,
    row_items: Int32,
    row_weights: Float32,
    shift: int,
    holders: Int32,
    table: Float64,
    held: Int32,
    crowded: Bool,
    sums: Float64,
    touched: Int32,
    values: Float32,
    best_items: Int32,
    best_scores: Float32,
) -> int:
    """Write the best items by the sum of the rows of `asked` times `factors`, without `query`'s own.

    MISSING ones in `asked` are left out. The table (`holders` to `crowded`) and `sums` are given back
    empty. Returns how many items there are.
    """
    scale = np.empty(0)
    count = hold_back(query, shift, holders, table, held)
    for at in range(len(asked)):
        if asked[at] == MISSING:
            continue
        for entry in range(row_offsets[asked[at]], row_offsets[asked[at] + 1]):
            value = factors[at] * row_weights[entry]
            count = add(row_items[entry], value, shift, holders, table, held, count)
    found = score_holders(holders, table, held, count, scale, values, touched)
    found, any_crowded = keep_crowded(
        table, held, count, values, touched, found, len(best_items), crowded
    )
    if any_crowded:
        hold_back_crowded(query, -np.inf, sums)
        last = found
        for at in range(len(asked)):
            if asked[at] == MISSING:
                continue
            for entry in range(row_offsets[asked[at]], row_offsets[asked[at] + 1]):
                if is_crowded(row_items[entry], shift, holders, crowded):
                    value = factors[at] * row_weights[entry]
                    last = add_crowded(row_items[entry], value, sums, touched, last)
        found = take_crowded(found, last, scale, sums, values, touched)
        hold_back_crowded(query, 0.0, sums)
    clear(holders, table, held, crowded, count)
    return take_best(values, touched, found, best_items, best_scores)


@partial(kernel, helpers=HELPERS)
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
    shift: int,
    sums: Float64,
    touched: Int32,
    values: Float32,
    out_items: Int32,
    out_scores: Float32,
) -> None:
    """Rank queries `low` to `high` by the weighted sum of the rows of their keys.

    Query `q` has ``keys[key_offsets[q]:key_offsets[q + 1]]``, MISSING among them ignored, with
    weights of 0 or more, as the rows' are. `shift` is `slot_shift`'s; `sums` is zeroed float64[size]
    scratch, given back zeroed, `touched` and `values` scratch of as many entries.
    """
    holders, table, held, crowded = empty_slots(shift)
    for query in range(low, high):
        first, last = key_offsets[query], key_offsets[query + 1]
        _best_of_rows(
            query_items[query_offsets[query] : query_offsets[query + 1]], keys[first:last],
            key_weights[first:last], row_offsets, row_items, row_weights, shift, holders, table,
            held, crowded, sums, touched, values, out_items[query], out_scores[query],
        )  # fmt: skip


@partial(kernel, helpers=HELPERS)
def rank_by_rows(
    low: int,
    high: int,
    query_offsets: Int64,
    query_items: Int32,
    row_offsets: Int64,
    row_items: Int32,
    row_weights: Float32,
    recency: Float64,
    two_hop: float,
    breadth: int,
    shift: int,
    sums: Float64,
    touched: Int32,
    values: Float32,
    out_items: Int32,
    out_scores: Float32,
) -> None:
    """Rank queries `low` to `high` by the weighted mean of their latest items' rows.

    The n-th latest item that is not MISSING weighs ``recency[n]``. Then `two_hop` times the mean of
    the rows of the best `breadth`, weighted by their scores, is added. Weights are positive; scratch
    as of `rank_by_keys`.
    """
    holders, table, held, crowded = empty_slots(shift)
    # The query's latest items, and behind them the best of what their rows hold.
    used = len(recency)
    asked, factors = np.empty(used + breadth, np.int32), np.empty(used + breadth)
    hop_scores = np.empty(breadth, np.float32)
    for query in range(low, high):
        items = query_items[query_offsets[query] : query_offsets[query + 1]]
        total, size = 0.0, 0
        for at in range(len(items) - 1, -1, -1):
            if size < used and items[at] != MISSING:
                asked[size] = items[at]
                total += recency[size]
                size += 1
        for at in range(size):
            factors[at] = recency[at] / total
        if two_hop > 0.0:
            hops = _best_of_rows(
                items, asked[:size], factors, row_offsets, row_items, row_weights, shift, holders,
                table, held, crowded, sums, touched, values, asked[size : size + breadth], hop_scores,
            )  # fmt: skip
            total = 0.0
            for at in range(hops):
                total += hop_scores[at]
            for at in range(hops):
                factors[size + at] = two_hop * hop_scores[at] / total
            size += hops
        _best_of_rows(
            items, asked[:size], factors, row_offsets, row_items, row_weights, shift, holders, table,
            held, crowded, sums, touched, values, out_items[query], out_scores[query],
        )  # fmt: skip
