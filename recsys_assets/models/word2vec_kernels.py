# ruff: noqa: PLR0912  (numba takes flat, positional arguments)
"""Word2vec's steps, compiled by numba: random draws, CBOW's gradients and adding them, skip-gram.

Every gradient of a CBOW batch is computed from the vectors as they were before it, and added in a
fixed order, row by row: what the threads are given decides nothing. Skip-gram goes sentence after
sentence. The caller (`word2vec_training.py`) owns all arrays and threads; nothing here allocates, holds
the GIL or checks bounds.
"""

import numpy as np
import numpy.typing as npt

from recsys_assets.models.word2vec_vectors import LANES, Width, combine, dot, fast_kernel
from recsys_assets.playlists import Float32, Float64, Int32, Int64

UInt32 = npt.NDArray[np.uint32]
UInt64 = npt.NDArray[np.uint64]
LARGEST = 6.0
"""As in word2vec.c and gensim: pairs whose product is beyond are not learned from."""
STEPS = 1024
"""Entries of the table of the sigmoid over -LARGEST to LARGEST."""

ROW_LANES = 256
"""Rows are dealt to so many lanes, and lanes to threads, so that two never add to the same row."""

ONE, ZERO = np.float32(1.0), np.float32(0.0)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


# --- random numbers -------------------------------------------------------------------------------
@fast_kernel
def _mixed(state: np.uint64) -> np.uint64:
    """Return the output of splitmix64 (Steele et al., OOPSLA 2014) for a state."""
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@fast_kernel
def _below(limit: int, number: np.uint64) -> int:
    """Return a whole number in [0, limit) for 64 random bits."""
    return int(np.int64(((number >> np.uint64(32)) * np.uint64(limit)) >> np.uint64(32)))


@fast_kernel
def _drawn(noise: UInt64, number: np.uint64) -> int:
    """Return a row of an alias table (see `fill_alias_table`) for 64 random bits."""
    row = _below(len(noise), number)
    entry = noise[row]
    if (number & np.uint64(0xFFFFFFFF)) < (entry >> np.uint64(32)):
        return row
    return int(np.int64(entry & np.uint64(0xFFFFFFFF)))


@fast_kernel
def fill_alias_table(shares: Float64, order: Int64, table: UInt64) -> None:
    """Fill an alias table (Walker 1977, Vose 1991), so that a draw costs one look-up.

    Entry `r` has, in its upper 32 bits, how many of 2**32 draws of column `r` mean row `r`, and in
    its lower 32 the row that the others mean. `shares` float64[n] are the rows' probabilities times
    n, used up here; `order` is int64[n] scratch.
    """
    n = len(shares)
    low, high = 0, n  # columns to be filled stand before `low`, those with a surplus from `high`
    for row in range(n):
        if shares[row] < 1.0:
            order[low] = row
            low += 1
        else:
            high -= 1
            order[high] = row
    while low > 0 and high < n:
        small, large = order[low - 1], order[high]
        part = np.uint64(min(shares[small] * 4294967296.0, 4294967295.0))
        table[small] = (part << np.uint64(32)) | np.uint64(large)
        shares[large] -= 1.0 - shares[small]
        low -= 1
        if shares[large] < 1.0:
            high += 1
            order[low] = large
            low += 1
    for at in range(low):
        table[order[at]] = (np.uint64(0xFFFFFFFF) << np.uint64(32)) | np.uint64(order[at])
    for at in range(high, n):
        table[order[at]] = (np.uint64(0xFFFFFFFF) << np.uint64(32)) | np.uint64(order[at])


# --- what of a playlist is learned ----------------------------------------------------------------
@fast_kernel
def _thinned(tokens: Int32, keep: UInt32, key: np.uint64, rows: Int32) -> int:
    """Copy the tokens that subsampling keeps to the head of `rows`, -1 behind; return their number.

    A token stays if 32 random bits are at most ``keep[token]``.
    """
    state, count = key, 0
    for at in range(len(tokens)):
        state += GOLDEN
        if (_mixed(state) >> np.uint64(32)) <= np.uint64(keep[tokens[at]]):
            rows[count] = tokens[at]
            count += 1
    for at in range(count, len(tokens)):
        rows[at] = -1
    return count


@fast_kernel
def _slope(product: np.float32, label: np.float32, sigmoid: Float32) -> np.float32:
    """Return label minus sigmoid(product), 0 where the product is beyond the table, or no number."""
    if not -LARGEST < product < LARGEST:
        return np.float32(0.0)
    # Of the largest number below LARGEST, rounding makes STEPS itself, which is beyond the table.
    step = int((product + np.float32(LARGEST)) * np.float32(STEPS / (2 * LARGEST)))
    return np.float32(label - sigmoid[min(step, STEPS - 1)])


@fast_kernel
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
        Of `_thinned`, `_drawn` and `_slope`.
    inputs, outputs
        float32[vocabulary, 16 * len(width)], only read.
    window, rate, seed
        Largest distance, learning rate, and what the draws depend on beside the sentence.
    sums, changes
        float32[longest + 1, d] scratch of this call's own.
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
        state = _mixed(seed ^ _mixed(np.uint64(sentence) * GOLDEN + GOLDEN))
        size = _thinned(tokens[first:last], keep, state, rows[slot:])
        state += GOLDEN * np.uint64(last - first)
        for c in range(d):
            sums[0, c] = 0.0
            changes[0, c] = 0.0
        for at in range(size):
            row = rows[slot + at]
            combine(width, sums, at + 1, ONE, sums, at, ONE, inputs, row)
            for c in range(d):
                changes[at + 1, c] = 0.0
        for at in range(size):
            place = slot + at
            state += GOLDEN
            reach = 1 + _below(window, _mixed(state))
            start, stop = max(at - reach, 0), min(at + reach + 1, size)
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
                    state += GOLDEN
                    target = _drawn(noise, _mixed(state))
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


@fast_kernel
def _lane(row: int) -> int:
    """Return the lane, in [0, ROW_LANES), that a row belongs to; frequent rows are in all."""
    # Bits 24 to 31 of a multiplicative hash (Knuth).
    return int(
        np.int64(
            ((np.uint64(row) * np.uint64(2654435761)) >> np.uint64(24)) & np.uint64(ROW_LANES - 1)
        )
    )


@fast_kernel
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
) -> None:
    """Add a batch's gradients, in slot order, to the rows of lanes `low` to `high`."""
    for slot in range(len(rows)):
        row = rows[slot]
        if row < 0:
            continue
        if low <= _lane(row) < high:
            combine(width, inputs, row, ONE, inputs, row, ONE, deltas, slot)
        for k in range(targets.shape[1]):
            target = targets[slot, k]
            if target >= 0 and low <= _lane(target) < high:
                combine(width, outputs, target, ONE, outputs, target, slopes[slot, k], hidden, slot)


# --- skip-gram ------------------------------------------------------------------------------------
@fast_kernel
def learn_skipgram(
    width: Width,
    chosen: Int64,
    bounds: Int64,
    tokens: Int32,
    keep: UInt32,
    noise: UInt64,
    sigmoid: Float32,
    inputs: Float32,
    outputs: Float32,
    window: int,
    rate: np.float32,
    seed: np.uint64,
    rows: Int32,
    drawn: Int32,
    pool: Float32,
    change: Float32,
) -> None:
    """Skip-gram with negative sampling, sentence after sentence; `inputs` and `outputs` learn.

    Every item of a window predicts the one in its middle, against noise that is drawn once for the
    window (Ji et al., Parallelizing word2vec in shared and distributed memory, 2016), so that
    the output rows stay in the first cache. They are updated pair by pair. An item never predicts
    itself: a playlist of one track on repeat would make its vector grow without end.

    Parameters
    ----------
    rows
        int32[longest] scratch.
    drawn, pool
        int32[1 + negative] and float32[1 + negative, d] scratch: a window's output rows.
    change
        float32[1, d] scratch.
    """
    for index in range(len(chosen)):
        sentence = chosen[index]
        first, last = bounds[sentence], bounds[sentence + 1]
        state = _mixed(seed ^ _mixed(np.uint64(sentence) * GOLDEN + GOLDEN))
        size = _thinned(tokens[first:last], keep, state, rows)
        state += GOLDEN * np.uint64(last - first)
        for at in range(size):
            state += GOLDEN
            reach = 1 + _below(window, _mixed(state))
            start, stop = max(at - reach, 0), min(at + reach + 1, size)
            if stop - start == 1:
                continue
            count = 0
            for k in range(len(drawn)):
                row = int(rows[at])
                if k > 0:
                    state += GOLDEN
                    row = _drawn(noise, _mixed(state))
                twice = False
                for other in range(count):
                    twice = twice or drawn[other] == row
                if twice:
                    continue
                drawn[count] = row
                combine(width, pool, count, ONE, outputs, row, ZERO, outputs, row)
                count += 1
            for there in range(start, stop):
                row = int(rows[there])
                if row == drawn[0]:
                    continue
                for c in range(change.shape[1]):
                    change[0, c] = 0.0
                for k in range(count):
                    product = dot(width, inputs, row, pool, k)
                    slope = rate * _slope(product, np.float32(1.0 if k == 0 else 0.0), sigmoid)
                    combine(width, change, 0, ONE, change, 0, slope, pool, k)
                    combine(width, pool, k, ONE, pool, k, slope, inputs, row)
                combine(width, inputs, row, ONE, inputs, row, ONE, change, 0)
            for k in range(count):
                row = int(drawn[k])
                combine(width, outputs, row, ONE, pool, k, ZERO, pool, k)
