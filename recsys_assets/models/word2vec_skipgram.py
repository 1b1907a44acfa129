# ruff: noqa: PLR0912  (numba takes flat, positional arguments)
"""Skip-gram compiled by numba: one sentence after the other, four items of a window at a time.

The arithmetic of the fours is in `word2vec_products.py`. The caller (`word2vec_training.py`) owns all
arrays; nothing here allocates, holds the GIL or checks bounds.
"""

from functools import partial

import numpy as np

from recsys_assets.models import word2vec_draws, word2vec_products, word2vec_vectors
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
from recsys_assets.models.word2vec_products import SHARE, learn, slopes
from recsys_assets.models.word2vec_vectors import LANES, Width, combine, fast_kernel, prefetch
from recsys_assets.playlists import Float32, Int32, Int64

ONE, ZERO = np.float32(1.0), np.float32(0.0)


_kernel = partial(fast_kernel, helpers=(word2vec_draws, word2vec_products, word2vec_vectors))


@_kernel
def learn_skipgram(
    width: Width,
    group: Width,
    chosen: Int64,
    bounds: Int64,
    tokens: Int32,
    keep: UInt32,
    noise: UInt64,
    inputs: Float32,
    outputs: Float32,
    window: int,
    rate: np.float32,
    seed: np.uint64,
    rows: Int32,
    noises: Int32,
    targets: Int32,
    pool: Float32,
    members: Int32,
    factors: Float32,
    labels: Float32,
    rates: Float32,
) -> None:
    """Skip-gram with negative sampling, sentence after sentence; `inputs` and `outputs` learn.

    Every item of a window predicts the one in its middle, against noise that is drawn once for the
    window (Ji et al., Parallelizing word2vec in shared and distributed memory, 2016), so that
    the output rows stay in the first cache. Items learn by fours from the vectors as they were
    before them. An item never predicts itself: a playlist of one track on repeat would make its
    vector grow without end.

    Parameters
    ----------
    group
        As long as a block has output rows. More rows than that learn block after block.
    inputs
        float32[vocabulary + 1, 16 * len(width)]; the last row is 0 and stays so: it stands in where
        fewer than four learn.
    rows, noises
        int32[longest] and int32[longest, negative] scratch: a sentence's items, and their noise.
    targets, pool
        int32 and float32[:, d] scratch, whole blocks: a window's output rows.
    members, factors, labels, rates
        Of `learn` and `slopes`; `labels` is 1 for the first target, the others are scratch.
    """
    negatives, together = noises.shape[1], len(members)
    nobody = np.int32(len(inputs) - 1)
    for index in range(len(chosen)):
        sentence = chosen[index]
        first, last = bounds[sentence], bounds[sentence + 1]
        state = mixed(seed ^ mixed(np.uint64(sentence) * GOLDEN + GOLDEN))
        size = thinned(tokens[first:last], keep, state, rows)
        state += GOLDEN * np.uint64(last - first)
        for at in range(size):
            prefetch(width, inputs, rows[at])
            for k in range(negatives):
                state += GOLDEN
                noises[at, k] = drawn(noise, mixed(state))
        for at in range(size):
            if at + 1 < size:
                prefetch(width, outputs, rows[at + 1])
                for k in range(negatives):
                    prefetch(width, outputs, noises[at + 1, k])
            state += GOLDEN
            reach = 1 + below(window, mixed(state))
            there, stop = max(at - reach, 0), min(at + reach + 1, size)
            if stop - there == 1:
                continue
            targets[0] = rows[at]
            count = 1
            for k in range(negatives):
                twice = False
                for other in range(count):
                    twice = twice or targets[other] == noises[at, k]
                if not twice:
                    targets[count] = noises[at, k]
                    count += 1
            for k in range(len(pool)):
                if k < count:
                    combine(width, pool, k, ONE, outputs, targets[k], ZERO, outputs, targets[k])
                else:
                    for c in range(pool.shape[1]):
                        pool[k, c] = 0.0
                for lane in range(k % len(group), LANES, SHARE):
                    rates[k // len(group), lane] = rate if k < count else ZERO
            while there < stop:
                filled = 0
                while filled < together and there < stop:
                    if rows[there] != rows[at]:
                        members[filled] = rows[there]
                        filled += 1
                    there += 1
                for t in range(filled, together):
                    members[t] = nobody
                for block in range(len(rates)):
                    low = block * len(group)
                    slopes(
                        width, group, factors, np.float32(LARGEST), inputs, members, pool, low,
                        labels, rates, block,
                    )  # fmt: skip
                    for t in range(filled, together):
                        for g in range(len(group)):
                            factors[t * SHARE // LANES, t * SHARE % LANES + g] = 0.0
                    learn(width, group, factors, inputs, members, pool, low)
            for k in range(count):
                combine(width, outputs, targets[k], ONE, pool, k, ZERO, pool, k)
