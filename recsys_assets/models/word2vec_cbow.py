# ruff: noqa: PLR0912  (numba takes flat, positional arguments)
"""CBOW compiled by numba: the gradients of a batch, and adding them.

Every gradient is computed from the vectors as they were before the batch, and added in a fixed
order, row by row: what the threads are given decides nothing. The caller (`word2vec_training.py`)
owns all arrays and threads; nothing here allocates, holds the GIL or checks bounds.
"""

from functools import partial

import numpy as np

from recsys_assets.models import word2vec_draws, word2vec_vectors
from recsys_assets.models.word2vec_draws import (
    GOLDEN,
    LARGEST,
    UInt32,
    UInt64,
    below,
    drawn,
    mixed,
    thinned,
)
from recsys_assets.models.word2vec_vectors import LANES, Width, combine, dot, fast_kernel, prefetch
from recsys_assets.playlists import Float32, Int32, Int64

STEPS = 1024
"""Entries of the table of the sigmoid over -LARGEST to LARGEST."""

ROW_LANES = 256
"""Rows are dealt to so many lanes, and lanes to threads, so that two never add to the same row."""

AHEAD = 8
"""So many additions before it is needed a row is fetched: without, CBOW waited for memory."""

ONE, ZERO = np.float32(1.0), np.float32(0.0)


_kernel = partial(fast_kernel, helpers=(word2vec_draws, word2vec_vectors))


@_kernel
def _slope(product: np.float32, label: np.float32, sigmoid: Float32) -> np.float32:
    """Return label minus sigmoid(product), 0 where the product is beyond the table, or no number."""
    if not -LARGEST < product < LARGEST:
        return np.float32(0.0)
    # Of the largest number below LARGEST, rounding makes STEPS itself, which is beyond the table.
    step = int((product + np.float32(LARGEST)) * np.float32(STEPS / (2 * LARGEST)))
    return np.float32(label - sigmoid[min(step, STEPS - 1)])


@_kernel
def cbow_gradients(
    width: Width,
    chosen: Int64,
    bounds: Int64,
    slots: Int64,
    tokens: Int32,
    keep: UInt32,
    noise: UInt64,
    sigmoid: Float32,
    inputs: Float32,
    outputs: Float32,
    window: int,
    rate: np.float32,
    seed: np.uint64,
    sums: Float32,
    changes: Float32,
    rows: Int32,
    reaches: Int32,
    targets: Int32,
    slopes: Float32,
    hidden: Float32,
    deltas: Float32,
    low: int,
    high: int,
) -> None:
    """CBOW with negative sampling: the gradients of sentences ``chosen[low:high]``.

    The mean of a window's input vectors predicts the item in its middle. Sums over windows are
    differences of running sums, and gradients go back to a window as a change at either end: a
    token costs the same whatever the window.

    Parameters
    ----------
    chosen, bounds, slots
        Sentences; sentence `s` is ``tokens[bounds[s]:bounds[s + 1]]``; of the batch's `i`-th the
        results start at ``slots[i]``.
    keep, noise, sigmoid
        Of `thinned`, `drawn` and `_slope`.
    inputs, outputs
        float32[vocabulary, 16 * len(width)], only read.
    window, rate, seed
        Largest distance, learning rate, and what the draws depend on beside the sentence.
    sums, changes
        float32[longest + 1, d] scratch of this call's own.
    reaches
        int32 scratch by slot.
    rows, targets, slopes, hidden, deltas
        Results by slot: the input row int32 (-1: none, nor anything else of this slot), the output
        rows int32[:, 1 + negative] (-1: none), the factor of `hidden` that is to be added to each,
        the window's mean, and what is to be added to the input row.
    """
    d = len(width) * LANES
    count = targets.shape[1]
    for index in range(low, high):
        sentence, slot = chosen[index], slots[index]
        first, last = bounds[sentence], bounds[sentence + 1]
        state = mixed(seed ^ mixed(np.uint64(sentence) * GOLDEN + GOLDEN))
        size = thinned(tokens[first:last], keep, state, rows[slot:])
        state += GOLDEN * np.uint64(last - first)
        for c in range(d):
            sums[0, c] = 0.0
            changes[0, c] = 0.0
        for at in range(size):
            prefetch(width, inputs, rows[slot + at])
            prefetch(width, outputs, rows[slot + at])
            state += GOLDEN
            reaches[slot + at] = 1 + below(window, mixed(state))
            for k in range(1, count):
                state += GOLDEN
                targets[slot + at, k] = drawn(noise, mixed(state))
                prefetch(width, outputs, targets[slot + at, k])
        for at in range(size):
            row = rows[slot + at]
            combine(width, sums, at + 1, ONE, sums, at, ONE, inputs, row)
            for c in range(d):
                changes[at + 1, c] = 0.0
        for at in range(size):
            place = slot + at
            start, stop = max(at - reaches[place], 0), min(at + reaches[place] + 1, size)
            if stop - start == 1:
                for k in range(count):
                    targets[place, k] = -1
                for c in range(d):
                    deltas[place, c] = 0.0
                continue
            scale = np.float32(1.0 / (stop - start - 1))
            row = rows[place]
            combine(width, hidden, place, scale, sums, stop, -scale, sums, start)
            combine(width, hidden, place, ONE, hidden, place, -scale, inputs, row)
            for c in range(d):
                deltas[place, c] = 0.0
            for k in range(count):
                target = int(row)
                if k > 0:
                    target = int(targets[place, k])
                    if target == row:
                        targets[place, k] = -1
                        continue
                product = dot(width, hidden, place, outputs, target)
                slope = rate * _slope(product, np.float32(1.0 if k == 0 else 0.0), sigmoid)
                targets[place, k] = target
                slopes[place, k] = slope
                combine(width, deltas, place, ONE, deltas, place, -slope, outputs, target)
            combine(width, changes, start, ONE, changes, start, -ONE, deltas, place)
            combine(width, changes, stop, ONE, changes, stop, ONE, deltas, place)
        for at in range(size):
            if at > 0:
                combine(width, changes, at, ONE, changes, at, ONE, changes, at - 1)
            combine(width, deltas, slot + at, ONE, deltas, slot + at, ONE, changes, at)


@_kernel
def _lane(row: int) -> int:
    """Return the lane, in [0, ROW_LANES), that a row belongs to; frequent rows are in all."""
    # Bits 24 to 31 of a multiplicative hash (Knuth).
    return int(
        np.int64(
            ((np.uint64(row) * np.uint64(2654435761)) >> np.uint64(24)) & np.uint64(ROW_LANES - 1)
        )
    )


@_kernel
def add_cbow(
    width: Width,
    rows: Int32,
    targets: Int32,
    slopes: Float32,
    hidden: Float32,
    deltas: Float32,
    inputs: Float32,
    outputs: Float32,
    low: int,
    high: int,
    mine: Int32,
) -> None:
    """Add a batch's gradients, in slot order, to the rows of lanes `low` to `high`.

    What is to be added is listed in `mine`, int32[targets.size] scratch, before: without branches
    that nobody could predict, and so that rows can be fetched ahead.
    """
    size, count = targets.shape[1], 0
    lanes = np.uint64(high - low)
    for slot in range(len(rows)):
        mine[count] = slot
        count += int((rows[slot] >= 0) & (np.uint64(_lane(rows[slot]) - low) < lanes))
    for at in range(count):
        if at + AHEAD < count:
            prefetch(width, inputs, rows[mine[at + AHEAD]])
        slot = mine[at]
        combine(width, inputs, rows[slot], ONE, inputs, rows[slot], ONE, deltas, slot)
    count = 0
    for slot in range(len(rows)):
        if rows[slot] >= 0:
            for k in range(size):
                target = targets[slot, k]
                mine[count] = slot * size + k
                count += int((target >= 0) & (np.uint64(_lane(target) - low) < lanes))
    for at in range(count):
        if at + AHEAD < count:
            soon = mine[at + AHEAD]
            prefetch(width, outputs, targets[soon // size, soon % size])
        slot, k = mine[at] // size, mine[at] % size
        target = targets[slot, k]
        combine(width, outputs, target, ONE, outputs, target, slopes[slot, k], hidden, slot)
