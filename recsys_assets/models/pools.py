"""Pools of candidates: the union of what several recommenders propose for each query.

Merging the members' ranked lists, scores and ranks of every candidate by member, and cutting a scored
pool to the best `k`. Which recommenders propose is `members.py`; how candidates are scored is the
families' own business (`blend.py`, `two_stage.py`). Heaps are `kernels.py`'s.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from recsys_assets.models import kernels
from recsys_assets.models.kernels import _push, _sort_best_first, kernel
from recsys_assets.models.topk import readonly
from recsys_assets.playlists import MISSING, Bool, Float32, Float64, Int32, Int64


@dataclass(frozen=True, eq=False)
class Pool:
    """Candidates of `n` queries, in the order in which the members proposed them.

    Attributes
    ----------
    offsets
        int64[n + 1]; query `q` has the rows ``offsets[q]:offsets[q + 1]`` of the other arrays.
    items
        int32[rows]; distinct within a query.
    relative
        float32[rows, members]; a member's score over its best score for the query, at least 0;
        0 where the item is not in the member's list.
    ranks
        int32[rows, members]; 1 for a member's best, 0 where the item is not in its list.
    best
        float32[n, members]; the best score of each member's list, at least 0; 0 of an empty one.
    """

    offsets: Int64
    items: Int32
    relative: Float32
    ranks: Int32
    best: Float32

    @property
    def owners(self) -> Int64:
        """int64[rows]: the query of each row."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def reciprocal_ranks(self, constant: float) -> Float64:
        """float64[rows, members]: ``1 / (constant + rank)``, 0 where not in the list.

        Reciprocal rank fusion (Cormack, Clarke & Buettcher, SIGIR 2009).
        """
        return np.where(self.ranks > 0, 1.0 / (constant + self.ranks), 0.0)

    def part(self, low: int, high: int) -> "Pool":
        """Return the candidates of queries `low` to `high` (exclusive), without copying them."""
        rows = slice(self.offsets[low], self.offsets[high])
        return Pool(
            self.offsets[low : high + 1] - self.offsets[low],
            self.items[rows],
            self.relative[rows],
            self.ranks[rows],
            self.best[low:high],
        )

    def where(self, keep: Bool) -> "Pool":
        """Return the rows that `keep` (bool[rows]) marks."""
        kept = np.concatenate([[0], np.cumsum(keep)])
        return Pool(
            kept[self.offsets],
            self.items[keep],
            self.relative[keep],
            self.ranks[keep],
            self.best,
        )


def merge(
    items: Int32,
    scores: Float32,
    size: int,
    proposed: int,
    *,
    low: int = 0,
    high: int | None = None,
) -> Pool:
    """Merge the members' lists of queries `low` to `high` (exclusive), all of them if not said.

    Parameters
    ----------
    items : int32[members, n, depth]
        Ranked items, best first; `MISSING` ends a list.
    scores : float32[members, n, depth]
    size
        Number of items of the catalogue.
    proposed
        The first so many of each list are candidates; those behind only give a candidate of
        another member its score and rank.
    """
    members = len(items)
    high = items.shape[1] if high is None else high
    room = int(np.count_nonzero(items[:, low:high, :proposed] != MISSING))
    pool = Pool(
        np.zeros(high - low + 1, np.int64),
        np.empty(room, np.int32),
        np.zeros((room, members), np.float32),
        np.zeros((room, members), np.int32),
        # In one layout whatever part of the queries it is of, or kernels are compiled for each.
        np.ascontiguousarray(np.maximum(scores[:, low:high, 0], 0.0).T),
    )
    slots = np.full(size, -1, np.int32)
    rows = _merge_rows(
        items, scores, low, high, proposed, slots, pool.offsets, pool.items, pool.relative,
        pool.ranks,
    )  # fmt: skip
    return Pool(pool.offsets, pool.items[:rows], pool.relative[:rows], pool.ranks[:rows], pool.best)


@kernel
def _merge_rows(
    items: Int32,
    scores: Float32,
    low: int,
    high: int,
    proposed: int,
    slots: Int32,
    out_offsets: Int64,
    out_items: Int32,
    out_relative: Float32,
    out_ranks: Int32,
) -> int:
    """Fill a pool and return its rows; `slots` is int32[size] scratch of -1, given back as such."""
    members, _, depth = items.shape
    written = 0
    for query in range(low, high):
        first = written
        for member in range(members):
            for at in range(min(proposed, depth)):
                item = items[member, query, at]
                if item == MISSING:
                    break
                if slots[item] < 0:
                    slots[item] = written
                    out_items[written] = item
                    written += 1
        for member in range(members):
            best = scores[member, query, 0]
            for at in range(depth):
                item = items[member, query, at]
                if item == MISSING:
                    break
                row = slots[item]
                if row < 0:
                    continue
                score = scores[member, query, at]
                out_ranks[row, member] = at + 1
                if score > 0.0:
                    out_relative[row, member] = score / best
        for row in range(first, written):
            slots[out_items[row]] = -1
        out_offsets[query - low + 1] = written
    return written


def best_rows(pool: Pool, values: Float32, k: int) -> tuple[Int32, Float32]:
    """Return the `k` best candidates of each query under the total order.

    Parameters
    ----------
    values : float32[rows]
        Finite scores of the pool's rows.

    Returns
    -------
    items : int32[n, k]
        Best first, ties by the smaller index, `MISSING` where the pool is exhausted.
    scores : float32[n, k]
        ``-inf`` beside `MISSING`.
    """
    n = len(pool.offsets) - 1
    items = np.full((n, k), MISSING, np.int32)
    scores = np.full((n, k), -np.inf, np.float32)
    _rank_rows(readonly(pool.offsets), readonly(pool.items), readonly(values), items, scores)
    return items, scores


@partial(kernel, helpers=(kernels,))
def _rank_rows(
    offsets: Int64, pool_items: Int32, values: Float32, items: Int32, scores: Float32
) -> None:
    for query in range(len(offsets) - 1):
        found = 0
        for row in range(offsets[query], offsets[query + 1]):
            found = _push(scores[query], items[query], found, values[row], pool_items[row])
        _sort_best_first(scores[query], items[query], found)
