"""Word2vec's other engine: gensim, which trains with one thread or without the same bits again.

Feeds gensim lists of item indices and carries errors out of its threads. Vocabulary, ranking and files
are the family's (`word2vec.py`); gensim is imported here and only when training.
"""

import itertools
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from recsys_assets.playlists import Float32, Int64, PlaylistSet
from recsys_assets.progress import Progress

if TYPE_CHECKING:
    from recsys_assets.models.word2vec import Word2VecParameters

LONGEST_SENTENCE = 10_000
"""gensim drops, silently, what a sentence holds beyond this (MAX_WORDS_IN_BATCH)."""


class _Sentences:
    """Playlists as lists of items, long ones cut."""

    def __init__(self, playlists: PlaylistSet) -> None:
        self._items = playlists.items
        longest = LONGEST_SENTENCE
        self._bounds = [
            (start, min(start + longest, int(stop)))
            for first, stop in itertools.pairwise(playlists.offsets)
            for start in range(int(first), int(stop), longest)
        ]

    def __len__(self) -> int:
        return len(self._bounds)

    def __iter__(self) -> Iterator[list[int]]:
        # Lists, never arrays: on an array gensim's thread dies and its train() never returns.
        for start, stop in self._bounds:
            yield self._items[start:stop].tolist()


class _Guard:
    """Carries the first error out of gensim's threads.

    An exception in one of them ends that thread only, and gensim's main thread waits for it for
    ever. As a context manager around their work it stores the exception for `check` to raise.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is not None and self.error is None:
            self.error = error
        return True

    def check(self) -> None:
        """Raise the stored error, if any."""
        if self.error is not None:
            raise self.error


def train(
    playlists: PlaylistSet,
    plays: Int64,
    p: "Word2VecParameters",
    *,
    seed: int,
    progress: Progress,
) -> Float32:
    """Return gensim's vectors, float32[len(plays), vector_size].

    Parameters
    ----------
    playlists
        Training playlists whose items are rows of the vectors.
    plays
        int64[vocabulary]: how often each row is in them, falling.
    """
    from gensim.models import Word2Vec as Gensim  # noqa: PLC0415  (1.7 s, and not needed to rank)
    from gensim.models.callbacks import CallbackAny2Vec  # noqa: PLC0415

    sentences = _Sentences(playlists)
    guard = _Guard()

    class Guarded(Gensim):  # type: ignore[misc]
        def _do_train_job(self, *args: Any) -> tuple[int, int]:  # noqa: ANN401
            if guard.error is None:
                with guard:
                    return super()._do_train_job(*args)  # type: ignore[no-any-return]
            return 0, 0

    class Corpus:
        def __iter__(self) -> Iterator[list[int]]:
            with guard:
                yield from sentences

    class Epochs(CallbackAny2Vec):  # type: ignore[misc]
        done = 0

        def on_epoch_end(self, model: Gensim) -> None:
            guard.check()
            self.done += 1
            progress(f"word2vec: epoch {self.done} of {p.epochs}")

    model = Guarded(
        vector_size=p.vector_size, window=p.window, min_count=p.min_count, sg=p.sg, hs=0,
        negative=p.negative, ns_exponent=p.ns_exponent, alpha=p.alpha, sample=p.sample,
        workers=p.workers, seed=seed, sorted_vocab=0,
    )  # fmt: skip
    model.build_vocab_from_freq(dict(enumerate(plays.tolist())))
    model.train(Corpus(), total_examples=len(sentences), epochs=p.epochs, callbacks=[Epochs()])
    guard.check()
    vectors: Float32 = model.wv.vectors
    return vectors
