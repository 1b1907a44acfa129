"""Word2vec's random draws, compiled by numba: which tokens stay, how far a window reaches, noise.

All from one key and a sentence's number, so that neither threads nor order decide anything. Learning
stands in `word2vec_cbow.py` and `word2vec_skipgram.py`.
"""

import numpy as np
import numpy.typing as npt

from recsys_assets.models.word2vec_vectors import fast_kernel
from recsys_assets.playlists import Float64, Int32, Int64

UInt32 = npt.NDArray[np.uint32]
UInt64 = npt.NDArray[np.uint64]
LARGEST = 6.0
"""As in word2vec.c and gensim: pairs whose product is beyond are not learned from."""

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@fast_kernel
def mixed(state: np.uint64) -> np.uint64:
    """Return the output of splitmix64 (Steele et al., OOPSLA 2014) for a state."""
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@fast_kernel
def below(limit: int, number: np.uint64) -> int:
    """Return a whole number in [0, limit) for 64 random bits."""
    return int(np.int64(((number >> np.uint64(32)) * np.uint64(limit)) >> np.uint64(32)))


@fast_kernel
def drawn(noise: UInt64, number: np.uint64) -> int:
    """Return a row of an alias table (see `fill_alias_table`) for 64 random bits."""
    row = below(len(noise), number)
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
    low, high = (
        0,
        n,
    )  # columns to be filled stand before `low`, those with a surplus from `high`
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


@fast_kernel
def thinned(tokens: Int32, keep: UInt32, key: np.uint64, rows: Int32) -> int:
    """Copy the tokens that subsampling keeps to the head of `rows`, -1 behind; return their number.

    A token stays if 32 random bits are at most ``keep[token]``.
    """
    state, count = key, 0
    for at in range(len(tokens)):
        state += GOLDEN
        if (mixed(state) >> np.uint64(32)) <= np.uint64(keep[tokens[at]]):
            rows[count] = tokens[at]
            count += 1
    for at in range(count, len(tokens)):
        rows[at] = -1
    return count
