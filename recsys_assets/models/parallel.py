"""Threads over independent blocks of work.

The kernels release the GIL, so plain Python threads use every core. Numba's own `prange` is not
used: its layers abort the process on use after a fork (GNU OpenMP) or on two calls at once
(workqueue), and a served model sees both. No kernel and no model belongs here.
"""

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Generic, TypeVar

import numba

Block = TypeVar("Block")
Result = TypeVar("Result")

_blas_lock = threading.Lock()
_blas_users = 0
_blas_limits = ExitStack()


def thread_count() -> int:
    """Return the number of threads: NUMBA_NUM_THREADS, or the cores that this process may use."""
    return int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


def map_blocks(work: Callable[[Block], Result], blocks: Sequence[Block]) -> list[Result]:
    """Return ``[work(block) for block in blocks]``, computed by up to `thread_count` threads.

    `work` must release the GIL to gain from it, and must not depend on other blocks: the result
    then does not depend on the number of threads. Of errors, the first block's is raised.
    """
    threads = min(thread_count(), len(blocks))
    if threads <= 1:
        return [work(block) for block in blocks]
    with ThreadPoolExecutor(threads, thread_name_prefix="recsys") as pool:
        return list(pool.map(work, blocks))


class Scratch(Generic[Result]):
    """Scratch that one block hands on to the next: never more of it than threads.

    Arrays by size of the catalogue, made anew for each block of a few hundred queries, were zeroed
    and given back to the system as often.
    """

    def __init__(self, make: Callable[[], Result]) -> None:
        self._make = make
        self._free: list[Result] = []

    @contextmanager
    def lent(self) -> Iterator[Result]:
        """Lend what nobody uses; its user gives it back as it was."""
        try:
            one = self._free.pop()
        except IndexError:
            one = self._make()
        yield one
        self._free.append(one)


def row_blocks(rows: int, *, per_thread: int = 1, smallest: int = 16) -> list[tuple[int, int]]:
    """Cut ``range(rows)`` into near-equal (first, last) blocks, `last` exclusive.

    Parameters
    ----------
    rows
        Number of rows, 0 or more.
    per_thread
        Blocks for each thread; more even out rows of unequal cost.
    smallest
        Rows below which a block is not worth a thread of its own.
    """
    count = max(1, min(thread_count() * per_thread, rows // smallest))
    edges = [rows * i // count for i in range(count + 1)]
    return list(itertools.pairwise(edges))


def query_blocks(queries: int) -> list[tuple[int, int]]:
    """Cut so many queries, of unequal cost, into blocks for the threads; no answer depends on them."""
    return row_blocks(queries, per_thread=4, smallest=8)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread, so that threads of ours can each call it: its own would queue up.

    The limit is the whole process's. It ends when the last of those who asked for it is done: taken
    back by the first, whom another found in it, it would stay for good.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  (few queries need it)

    global _blas_users  # noqa: PLW0603  (so is BLAS's own number)
    with _blas_lock:
        if _blas_users == 0:
            _blas_limits.enter_context(threadpool_limits(1, user_api="blas"))
        _blas_users += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users -= 1
            if _blas_users == 0:
                _blas_limits.close()
