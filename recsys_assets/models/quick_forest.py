# ruff: noqa: ANN401  (numba and llvmlite have no types)
"""Many rows scored by a forest at once, without walking its trees.

Lucchese et al., QuickScorer: a fast algorithm to rank documents with additive ensembles of regression
trees (SIGIR 2015), and its form for vector units (Lucchese et al., SIGIR 2016). Learning trees belongs
in `two_stage_ranker.py`, and so does walking those that are too large for this.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from recsys_assets.models import word2vec_vectors
from recsys_assets.models.kernels import kernel
from recsys_assets.models.topk import readonly
from recsys_assets.models.word2vec_vectors import INT32, LANES, address, spread
from recsys_assets.playlists import Float32, Float64, Int32

UInt32 = npt.NDArray[np.uint32]
MOST_LEAVES = 32
"""Of a tree: those that a row may still reach are the bits of a word."""
_ALL = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True, eq=False)
class QuickForest:
    """Splits by feature instead of by tree.

    Attributes
    ----------
    starts
        int32[features + 1]: where each feature's splits begin.
    thresholds
        float32[splits], rising within a feature: a row goes right where its value is greater.
    trees
        int32[splits], the tree of each.
    masks
        uint32[splits]: the leaves that a row that goes right can still reach, the leftmost is bit 0.
    leaf_starts
        int32[trees + 1]: where each tree's leaves begin.
    leaves
        float64[leaves], from left to right.
    """

    starts: Int32
    thresholds: Float32
    trees: Int32
    masks: UInt32
    leaf_starts: Int32
    leaves: Float64

    @classmethod
    def of(
        cls,
        roots: Int32,
        features: Int32,
        thresholds: Float64,
        left: Int32,
        right: Int32,
        leaves: Float64,
    ) -> "QuickForest | None":
        """Return the forest of these arrays (see `Trees`); None where a tree has too many leaves."""
        begin, end, tree = np.zeros((3, len(features)), np.int32)
        leaf_starts, order = np.zeros(len(roots) + 1, np.int32), np.empty(len(leaves), np.int32)
        _order_leaves(
            readonly(roots), readonly(left), readonly(right), begin, end, tree, leaf_starts, order
        )
        if np.diff(leaf_starts).max(initial=0) > MOST_LEAVES:
            return None
        one, width, place = np.uint64(1), (end - begin).astype(np.uint64), begin.astype(np.uint64)
        gone = ((one << width) - one) << place
        with np.errstate(over="ignore"):  # beyond float32: infinity, whose next one below is finite
            lower = thresholds.astype(np.float32)
            below = np.nextafter(lower, np.float32(-np.inf))
        lower = np.where(lower > thresholds, below, lower)  # what was rounded up
        by_feature = np.lexsort((thresholds, features))
        counts = np.bincount(features)
        starts = np.zeros(len(counts) + 1, np.int32)
        np.cumsum(counts, out=starts[1:])
        return cls(
            starts,
            lower[by_feature],
            tree[by_feature],
            ~gone.astype(np.uint32)[by_feature],
            leaf_starts,
            leaves[order],
        )

    def score(self, rows: Float32) -> Float64:
        """Return float64[n], the scores of finite float32[n, features]: to the bit those of walking."""
        scores = np.empty(len(rows))
        _score_rows(
            readonly(rows), readonly(self.starts), readonly(self.thresholds), readonly(self.trees),
            readonly(self.masks), readonly(self.leaf_starts), readonly(self.leaves), scores,
        )  # fmt: skip
        return scores


_kernel = partial(kernel, helpers=(word2vec_vectors,))


def _keep(typing: Any, reached: Any, tree: Any, values: Any, threshold: Any, mask: Any) -> Any:
    """Leave of reached[tree] what is in `mask`, in every lane whose value is above the threshold."""
    del typing
    words = ir.VectorType(INT32, LANES)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        row = address(context, builder, kinds[0], args[0], args[1], kinds[1])
        row = builder.bitcast(row, words.as_pointer())
        first = ir.Constant(ir.IntType(64), 0)
        value = builder.load(
            address(context, builder, kinds[2], args[2], first, types.int64), align=4
        )
        limit = spread(builder, context.cast(builder, args[3], kinds[3], types.float32))
        some = context.cast(builder, args[4], kinds[4], types.uint32)
        some = builder.bitcast(spread(builder, builder.bitcast(some, ir.FloatType())), words)
        every = ir.Constant(words, [-1] * LANES)
        kept = builder.select(builder.fcmp_ordered(">", value, limit), some, every)
        builder.store(builder.and_(builder.load(row, align=4), kept), row, align=4)
        return context.get_dummy_value()

    return types.void(reached, tree, values, threshold, mask), emit


keep = cast(Callable[..., None], intrinsic(_keep))
"""keep(reached, tree, values, threshold, mask): `mask` is all that stays of reached[tree, lane] where
values[0, lane] is above the threshold."""


def _lowest(typing: Any, places: Any, reached: Any, tree: Any) -> Any:
    """Set row places[0] to the numbers of the lowest bits that are set in row reached[tree]."""
    del typing
    words = ir.VectorType(INT32, LANES)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        row = address(context, builder, kinds[1], args[1], args[2], kinds[2])
        word = builder.load(builder.bitcast(row, words.as_pointer()), align=4)
        first = ir.Constant(ir.IntType(64), 0)
        to = address(context, builder, kinds[0], args[0], first, types.int64)
        counted = builder.module.declare_intrinsic(
            f"llvm.cttz.v{LANES}i32", (), ir.FunctionType(words, [words, ir.IntType(1)])
        )
        numbers = builder.call(counted, [word, ir.Constant(ir.IntType(1), 1)])
        builder.store(numbers, builder.bitcast(to, words.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(places, reached, tree), emit


lowest = cast(Callable[..., None], intrinsic(_lowest))
"""lowest(places, reached, tree): fill places[0] with the numbers of reached[tree]'s lowest bits."""


@kernel
def _order_leaves(
    roots: Int32,
    left: Int32,
    right: Int32,
    begin: Int32,
    end: Int32,
    tree: Int32,
    leaf_starts: Int32,
    order: Int32,
) -> None:
    """Put every tree's leaves in order from left to right.

    Parameters
    ----------
    begin, end, tree
        To be filled, by split: the places, in the tree's order, of the leaves to its left, and its
        tree.
    leaf_starts, order
        To be filled: where each tree's leaves begin, and the leaves.
    """
    stack = np.empty(len(left) + 2, np.int64)
    met = np.zeros(len(left), np.bool_)
    written = 0
    for number in range(len(roots)):
        stack[0] = roots[number]
        top = 1
        while top > 0:
            top -= 1
            node = stack[top]
            if node < 0:
                order[written] = -1 - node
                written += 1
                continue
            place = written - leaf_starts[number]
            if met[node]:
                end[node] = place
                stack[top] = right[node]
                top += 1
            else:
                met[node] = True
                begin[node], tree[node] = place, number
                stack[top], stack[top + 1] = node, left[node]
                top += 2
        leaf_starts[number + 1] = written


@_kernel
def _score_rows(
    rows: Float32,
    starts: Int32,
    thresholds: Float32,
    trees: Int32,
    masks: UInt32,
    leaf_starts: Int32,
    leaves: Float64,
    out: Float64,
) -> None:
    reached = np.empty((len(leaf_starts) - 1, LANES), np.uint32)
    values = np.empty((1, LANES), np.float32)
    places = np.empty((1, LANES), np.int32)
    totals = np.empty(LANES)
    for first in range(0, len(rows), LANES):
        size = min(LANES, len(rows) - first)
        reached[:] = _ALL
        for feature in range(len(starts) - 1):
            if starts[feature] == starts[feature + 1]:
                continue
            highest = np.float32(-np.inf)
            for lane in range(LANES):
                value = rows[first + min(lane, size - 1), feature]
                values[0, lane] = value
                highest = max(highest, value)
            for at in range(starts[feature], starts[feature + 1]):
                if highest <= thresholds[at]:
                    break
                keep(reached, trees[at], values, thresholds[at], masks[at])
        totals[:] = 0.0
        for tree in range(len(leaf_starts) - 1):
            lowest(places, reached, tree)
            for lane in range(LANES):
                totals[lane] += leaves[leaf_starts[tree] + places[0, lane]]
        for lane in range(size):
            out[first + lane] = totals[lane]
