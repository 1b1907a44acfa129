# ruff: noqa: ANN401  (numba and llvmlite have no types)
"""Skip-gram's arithmetic on blocks: four items of a window against up to six output rows at once.

Products, slopes and updates of a block stay in registers: learned pair by pair, skip-gram was bound by
loads and stores and took two to three times as long. Single rows are `word2vec_vectors.py`'s; no loop
over playlists is here.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from recsys_assets.models.word2vec_vectors import FUSED, INT32, LANES, address, load, spread

MEMBERS = 4
"""Items that learn together; with six output rows their products fill 24 registers of 32."""
TARGETS = 6
"""Most output rows of a block."""
SHARE = 8
"""Lanes of a member in a vector of slopes, of which the first `TARGETS` are used."""

FLOATS = ir.VectorType(ir.FloatType(), LANES)
INTEGERS = ir.VectorType(INT32, LANES)
EXP2 = (0.0013333558, 0.0096181291, 0.0555041087, 0.2402265070, 0.6931471806, 1.0)
"""2**x for x in [-0.5, 0.5] as a polynomial, highest power first (the Taylor series' terms)."""


def _everywhere(number: float) -> Any:
    """Return a constant vector of one number."""
    return ir.Constant(FLOATS, [float(np.float32(number))] * LANES)


def _folded(builder: Any, sums: list[Any]) -> Any:
    """Emit a vector whose lane `g` is the sum of the lanes of ``sums[g]``, of LANES vectors."""

    def added(left: Any, right: Any, order: list[int], step: int) -> Any:
        first, second = (
            builder.shuffle_vector(left, right, ir.Constant(INTEGERS, [at + by for at in order]))
            for by in (0, step)
        )
        return builder.fadd(first, second)

    # Within 128 bits: (a0 b0 a1 b1) + (a2 b2 a3 b3), then (a b c d) of two of these; then across.
    steps = (
        ([at + by for at in range(0, LANES, 4) for by in (0, LANES, 1, LANES + 1)], 2),
        ([at + by for at in range(0, LANES, 4) for by in (0, 1, LANES, LANES + 1)], 2),
        ([at + by for by in (0, LANES) for at in range(8)], 8),
        ([at + by for by in (0, 8, LANES, LANES + 8) for at in range(4)], 4),
    )
    for order, step in steps:
        sums = [added(sums[at], sums[at + 1], order, step) for at in range(0, len(sums), 2)]
    return sums[0]


def _sigmoid(builder: Any, x: Any) -> Any:
    """Emit the sigmoid of numbers between -80 and 80, within 1e-6."""
    scaled = builder.fmul(x, _everywhere(-np.log2(np.e)))
    nearest = builder.module.declare_intrinsic(
        f"llvm.rint.v{LANES}f32", (), ir.FunctionType(FLOATS, [FLOATS])
    )
    whole = builder.call(nearest, [scaled])
    rest = builder.fsub(scaled, whole)
    power = _everywhere(EXP2[0])
    for term in EXP2[1:]:
        power = builder.fadd(builder.fmul(power, rest, FUSED), _everywhere(term), FUSED)
    exponent = builder.shl(builder.fptosi(whole, INTEGERS), ir.Constant(INTEGERS, [23] * LANES))
    power = builder.bitcast(builder.add(builder.bitcast(power, INTEGERS), exponent), FLOATS)
    return builder.fdiv(_everywhere(1.0), builder.fadd(_everywhere(1.0), power))


def _member_rows(context: Any, builder: Any, kinds: Any, args: Any, array: int) -> list[Any]:
    """Emit the addresses of rows of argument `array` that the next argument lists."""
    listed = context.make_array(kinds[array + 1])(context, builder, args[array + 1]).data
    return [
        address(
            context, builder, kinds[array], args[array],
            builder.load(builder.gep(listed, [ir.Constant(INT32, t)])), kinds[array + 1].dtype,
        )
        for t in range(MEMBERS)
    ]  # fmt: skip


def _slopes(
    typing: Any, width: Any, group: Any, out: Any, limit: Any, a: Any, members: Any, b: Any, j: Any,
    labels: Any, rates: Any, n: Any,
) -> Any:  # fmt: skip
    """Emit rate * (label - sigmoid(product)), 0 where the product is not within the limit."""
    del typing

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        to = address(context, builder, kinds[2], args[2], ir.Constant(INT32, 0), types.int32)
        highest = spread(builder, args[3])
        lefts = _member_rows(context, builder, kinds, args, 4)
        right = address(context, builder, kinds[6], args[6], args[7], kinds[7])
        wanted, rate = (
            load(builder, address(context, builder, kinds[at], args[at], args[10], kinds[10]), 0)
            for at in (8, 9)
        )
        zeros, blocks, count = _everywhere(0.0), len(width), len(group)
        sums = [[zeros] * SHARE for _ in range(MEMBERS)]
        for block in range(blocks):
            targets = [load(builder, right, g * blocks + block) for g in range(count)]
            for t, left in enumerate(lefts):
                x = load(builder, left, block)
                for g in range(count):
                    product = builder.fmul(x, targets[g], FUSED)
                    sums[t][g] = builder.fadd(sums[t][g], product, FUSED) if block else product
        for half in range(MEMBERS * SHARE // LANES):
            products = _folded(builder, sums[2 * half] + sums[2 * half + 1])
            slope = builder.fmul(rate, builder.fsub(wanted, _sigmoid(builder, products)))
            inside = builder.and_(
                builder.fcmp_ordered(">", products, builder.fneg(highest)),
                builder.fcmp_ordered("<", products, highest),
            )
            at = builder.gep(to, [ir.Constant(INT32, half)])
            builder.store(builder.select(inside, slope, zeros), at, align=4)
        return context.get_dummy_value()

    return types.void(
        width, group, out, types.float32, a, members, b, j, labels, rates, n
    ), emit  # fmt: skip


slopes = cast(Callable[..., None], intrinsic(_slopes))
"""slopes(width, group, out, limit, a, members, b, j, labels, rates, n): how far pairs are off.

`out` float32[MEMBERS * SHARE // LANES, LANES] holds SHARE lanes by member; its lane `g` is
rates[n, g] * (labels[n, g] - sigmoid(a[members[t]] . b[j + g])), 0 where that product is not between
-limit and limit. `labels` and `rates` are float32[:, LANES], with lanes as `out`.
"""


def _learn(
    typing: Any, width: Any, group: Any, factors: Any, a: Any, members: Any, b: Any, j: Any
) -> Any:
    """Emit both sides' steps from the vectors as they were before."""
    del typing

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        numbers = builder.bitcast(
            address(context, builder, kinds[2], args[2], ir.Constant(INT32, 0), types.int32),
            ir.FloatType().as_pointer(),
        )
        lefts = _member_rows(context, builder, kinds, args, 3)
        right = address(context, builder, kinds[5], args[5], args[6], kinds[6])
        blocks, count = len(width), len(group)

        def factor(t: int, g: int) -> Any:
            return builder.load(builder.gep(numbers, [ir.Constant(INT32, t * SHARE + g)]))

        factor_of = [[spread(builder, factor(t, g)) for g in range(count)] for t in range(MEMBERS)]
        for block in range(blocks):
            xs = [load(builder, left, block) for left in lefts]
            changes = [_everywhere(0.0)] * MEMBERS
            for g in range(count):
                at = builder.gep(right, [ir.Constant(INT32, g * blocks + block)])
                y = builder.load(at, align=4)
                new = y
                for t in range(MEMBERS):
                    change = builder.fmul(factor_of[t][g], y, FUSED)
                    changes[t] = builder.fadd(changes[t], change, FUSED) if g else change
                    new = builder.fadd(new, builder.fmul(factor_of[t][g], xs[t], FUSED), FUSED)
                builder.store(new, at, align=4)
            for left, change in zip(lefts, changes, strict=True):
                # Read again: an item that is a member twice gets both changes.
                at = builder.gep(left, [ir.Constant(INT32, block)])
                builder.store(builder.fadd(builder.load(at, align=4), change), at, align=4)
        return context.get_dummy_value()

    return types.void(width, group, factors, a, members, b, j), emit


learn = cast(Callable[..., None], intrinsic(_learn))
"""learn(width, group, factors, a, members, b, j): add to a[members[t]] the rows b[j + g], to these
the rows a[members[t]], each by its factor, laid out as `slopes` does."""
