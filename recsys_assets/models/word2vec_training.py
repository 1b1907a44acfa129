"""Word2vec's compiled engine: CBOW on all cores, skip-gram on one, the same bits on any number.

Mikolov et al., Distributed representations of words and phrases (NIPS 2013), with gensim's meaning of
every hyperparameter. CBOW learns by batches: their gradients are computed side by side from the same
vectors, then added. The arithmetic is in `word2vec_cbow.py` and `word2vec_skipgram.py`; vocabulary,
ranking and files are the family's (`word2vec.py`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from recsys_assets.models import parallel
from recsys_assets.models.word2vec_cbow import ROW_LANES, STEPS, add_cbow, cbow_gradients
from recsys_assets.models.word2vec_draws import LARGEST, UInt32, UInt64, fill_alias_table
from recsys_assets.models.word2vec_products import MEMBERS, SHARE, TARGETS
from recsys_assets.models.word2vec_skipgram import learn_skipgram
from recsys_assets.models.word2vec_vectors import LANES
from recsys_assets.playlists import Float32, Float64, Int32, Int64, PlaylistSet

LEAST_RATE = 0.0001
"""What the learning rate falls to, as gensim's min_alpha."""

BATCHES = 100
"""An epoch has about so many batches at least: little data would learn from few, too coarse steps."""

LARGEST_BATCH = 2_048
"""Most tokens of a batch. Hit rates did not differ with 128, 512 and 8,192."""

THREADED = 256
"""Tokens of a batch from which on more than one thread works on it."""

LONGEST = 1_000
"""Playlists are cut into sentences of at most so many tokens; pairs across a cut are not learned."""


@dataclass(frozen=True)
class Schedule:
    """How to learn, see `Word2VecParameters`."""

    skipgram: bool
    window: int
    negative: int
    epochs: int
    alpha: float
    sample: float
    ns_exponent: float


def random_vectors(rows: int, size: int, *, seed: int) -> Float32:
    """Return float32[rows, size], evenly distributed up to 1 / size either way, as in gensim.

    Half of that, as in word2vec.c, cost CBOW 1 point of hit rate @100 on listening sessions.
    """
    random = np.random.default_rng(seed).random((rows, size), np.float32)
    return (random - np.float32(0.5)) * np.float32(2 / size)


def train(
    playlists: PlaylistSet,
    plays: Int64,
    inputs: Float32,
    contexts: Float32,
    schedule: Schedule,
    *,
    seed: int,
    after_epoch: Callable[[int], object],
) -> tuple[Float32, Float32]:
    """Return input and output vectors, float32[vocabulary, size] each, after `schedule.epochs`.

    Parameters
    ----------
    playlists
        Training playlists whose items are rows of the vectors.
    plays
        int64[vocabulary]: how often each row is in them.
    inputs, contexts
        Input and output vectors to start from; not changed.
    seed
        The same seed and input give the same bits, whatever the number of threads.
    after_epoch
        Called with the number of epochs done.
    """
    bounds = sentence_bounds(playlists)
    threads = parallel.thread_count()
    method = _Skipgram if schedule.skipgram else _Cbow
    trainer = method(bounds, playlists.items, inputs, contexts, plays, schedule, threads)
    random = np.random.default_rng(seed)
    tokens = len(playlists.items)
    total, done = schedule.epochs * tokens, 0
    with ThreadPoolExecutor(threads, thread_name_prefix="word2vec") as pool:
        for epoch in range(schedule.epochs):
            key = np.uint64(random.integers(2**63))
            order = random.permutation(len(bounds) - 1)
            for chosen, slots in _batches(order, np.diff(bounds), trainer.batch):
                rate = schedule.alpha - (schedule.alpha - LEAST_RATE) * done / total
                trainer.learn(pool, chosen, slots, np.float32(rate), key)
                done += int(slots[-1])
            after_epoch(epoch + 1)
    size = inputs.shape[1]
    rows = slice(len(inputs))
    return trainer.vectors[rows, :size].copy(), trainer.contexts[rows, :size].copy()


def sentence_bounds(playlists: PlaylistSet) -> Int64:
    """Return where sentences begin, and the end: playlists cut after every LONGEST items."""
    pieces = -(-playlists.lengths // LONGEST)
    owner = np.repeat(np.arange(len(playlists)), pieces)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return np.append(playlists.offsets[owner] + nth * LONGEST, len(playlists.items))


def _batches(order: Int64, lengths: Int64, batch: int) -> Iterator[tuple[Int64, Int64]]:
    """Yield sentences of at most `batch` tokens together, and where each starts among them."""
    ends = np.cumsum(lengths[order])
    first = 0
    while first < len(order):
        start = ends[first - 1] if first else 0
        last = max(int(np.searchsorted(ends, start + batch, side="right")), first + 1)
        yield order[first:last], np.concatenate([[0], ends[first:last] - start])
        first = last


def _padded(vectors: Float32) -> Float32:
    """Return a copy with columns of zeros up to whole blocks, every row at a multiple of 64 bytes."""
    rows, size = vectors.shape
    blocks = -(-size // LANES)
    room = np.zeros(rows * blocks * LANES + LANES, np.float32)
    skip = -(room.ctypes.data // 4) % LANES
    aligned = room[skip : skip + rows * blocks * LANES].reshape(rows, blocks * LANES)
    aligned[:, :size] = vectors
    return aligned


def _kept(plays: Int64, sample: float) -> UInt32:
    """Return, of 2**32, how often subsampling keeps a token of each row."""
    if sample == 0:
        return np.full(len(plays), 2**32 - 1, np.uint32)
    threshold = sample * plays.sum()
    share = (np.sqrt(plays / threshold) + 1) * threshold / plays
    kept: UInt32 = (np.minimum(share, 1.0) * (2**32 - 1)).astype(np.uint32)
    return kept


def _noise(plays: Int64, exponent: float) -> UInt64:
    """Return the alias table of rows by plays to the power of `exponent`."""
    weights: Float64 = plays.astype(np.float64) ** exponent
    table = np.empty(len(plays), np.uint64)
    fill_alias_table(weights * (len(plays) / weights.sum()), np.empty(len(plays), np.int64), table)
    return table


def _sigmoid() -> Float32:
    """Return float32[STEPS]: the sigmoid in the middle of each step from -LARGEST to LARGEST."""
    x = (np.arange(STEPS) + 0.5) * (2 * LARGEST / STEPS) - LARGEST
    table: Float32 = (1 / (1 + np.exp(-x))).astype(np.float32)
    return table


class _Trainer(ABC):
    """The vectors, and what learning a batch of sentences takes beside them."""

    def __init__(
        self,
        bounds: Int64,
        tokens: Int32,
        inputs: Float32,
        contexts: Float32,
        plays: Int64,
        schedule: Schedule,
        threads: int,
    ) -> None:
        self.width = (0,) * -(-inputs.shape[1] // LANES)
        self.vectors, self.contexts = _padded(inputs), _padded(contexts)
        self.bounds, self.tokens, self.window = bounds, tokens, schedule.window
        self.keep, self.noise = _kept(plays, schedule.sample), _noise(plays, schedule.ns_exponent)
        self.sigmoid = _sigmoid()
        self.batch = min(max(len(tokens) // BATCHES, 1), LARGEST_BATCH)
        self._prepare(schedule.negative, threads)

    @abstractmethod
    def _prepare(self, negative: int, threads: int) -> None:
        """Make the scratch arrays."""

    @abstractmethod
    def learn(
        self,
        pool: ThreadPoolExecutor,
        chosen: Int64,
        slots: Int64,
        rate: np.float32,
        key: np.uint64,
    ) -> None:
        """Learn sentences `chosen`, the `i`-th of which starts at token ``slots[i]`` of the batch."""


class _Skipgram(_Trainer):
    """One sentence after the other, four items of a window at a time.

    Gradients of a batch computed side by side, as for CBOW, cost 0.6 points of hit rate @100 on 4,938
    playlists, and 2.7 on listening sessions.
    """

    def _prepare(self, negative: int, threads: int) -> None:
        del threads
        d = self.vectors.shape[1]
        blocks = -(-(1 + negative) // TARGETS)
        self.group = (0,) * -(-(1 + negative) // blocks)
        self.vectors = _padded(np.vstack([self.vectors, np.zeros((1, d), np.float32)]))
        self.rows = np.empty(LONGEST, np.int32)
        self.drawn = np.empty((LONGEST, negative), np.int32)
        self.pool = np.zeros((blocks * len(self.group), d), np.float32)
        self.targets = np.empty(len(self.pool), np.int32)
        self.members = np.empty(MEMBERS, np.int32)
        self.factors = np.zeros((MEMBERS * SHARE // LANES, LANES), np.float32)
        self.labels = np.zeros((blocks, LANES), np.float32)
        self.labels[0, ::SHARE] = 1
        self.rates = np.zeros_like(self.labels)

    def learn(
        self,
        pool: ThreadPoolExecutor,
        chosen: Int64,
        slots: Int64,
        rate: np.float32,
        key: np.uint64,
    ) -> None:
        del pool, slots
        learn_skipgram(
            self.width, self.group, chosen, self.bounds, self.tokens, self.keep, self.noise,
            self.vectors, self.contexts, self.window, rate, key, self.rows, self.drawn,
            self.targets, self.pool, self.members, self.factors, self.labels, self.rates,
        )  # fmt: skip


class _Cbow(_Trainer):
    """Two passes over a batch: gradients by sentence, then adding them by row."""

    def _prepare(self, negative: int, threads: int) -> None:
        # Two passes of a small batch take less than handing them to threads, about 0.1 ms each.
        self.threads = threads if self.batch >= THREADED else 1
        slots, d = max(self.batch, LONGEST), self.vectors.shape[1]
        self.rows = np.empty(slots, np.int32)
        self.reaches = np.empty(slots, np.int32)
        self.targets = np.empty((slots, 1 + negative), np.int32)
        self.mine = np.empty((self.threads, self.targets.size), np.int32)
        self.slopes = np.empty(self.targets.shape, np.float32)
        self.hidden = np.empty((slots, d), np.float32)
        self.deltas = np.empty((slots, d), np.float32)
        self.scratch = np.empty((self.threads, 2, LONGEST + 1, d), np.float32)

    def learn(
        self,
        pool: ThreadPoolExecutor,
        chosen: Int64,
        slots: Int64,
        rate: np.float32,
        key: np.uint64,
    ) -> None:
        total = int(slots[-1])
        parts = np.searchsorted(slots[:-1], total * np.arange(self.threads + 1) // self.threads)

        def gradients(thread: int) -> None:
            sums, changes = self.scratch[thread]
            cbow_gradients(
                self.width, chosen, self.bounds, slots, self.tokens, self.keep, self.noise,
                self.sigmoid, self.vectors, self.contexts, self.window, rate, key, sums, changes,
                self.rows, self.reaches, self.targets, self.slopes, self.hidden, self.deltas,
                int(parts[thread]), int(parts[thread + 1]),
            )  # fmt: skip

        def add(thread: int) -> None:
            low, high = (ROW_LANES * end // self.threads for end in (thread, thread + 1))
            add_cbow(
                self.width, self.rows[:total], self.targets[:total], self.slopes, self.hidden,
                self.deltas, self.vectors, self.contexts, low, high, self.mine[thread],
            )  # fmt: skip

        for work in (gradients, add):
            others = [pool.submit(work, thread) for thread in range(1, self.threads)]
            work(0)
            for other in others:
                other.result()
