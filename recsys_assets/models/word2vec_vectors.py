# ruff: noqa: ANN401  (numba and llvmlite have no types)
"""Vector instructions inside numba's kernels, for rows of 4-byte values; fetching ahead, for any array.

Written out, because LLVM unrolls loops over so few numbers before it could vectorise them, and cannot
prove that two rows do not overlap: CBOW learned half as fast. No method of learning belongs here.
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from recsys_assets.models.kernels import Function, kernel

Width = tuple[int, ...]
"""As long as a row has blocks of LANES floats: numba knows a tuple's length when it compiles."""

INT32 = ir.IntType(32)
LANES = 16
"""Rows are padded with zeros to multiples of 64 bytes: a cache line, and a register of AVX-512."""


def fast_kernel(function: Function, *, helpers: Sequence[ModuleType] = ()) -> Function:
    """Compile as `kernels.kernel` does, but let sums be taken in any order: that vectorises them.

    The order is fixed when compiled: the same machine gives the same bits.
    """
    return kernel(function, fastmath={"reassoc", "contract", "nsz"}, helpers=helpers)


FUSED = ("contract",)
"""A product and a sum may become one instruction."""


def address(context: Any, builder: Any, kind: Any, array: Any, index: Any, index_kind: Any) -> Any:
    """Emit the address of a row of a C-contiguous array, as one of float vectors."""
    view = context.make_array(kind)(context, builder, array)
    stride = builder.extract_value(view.strides, 0)
    place = context.cast(builder, index, index_kind, types.int64)
    start = builder.add(builder.ptrtoint(view.data, ir.IntType(64)), builder.mul(place, stride))
    return builder.inttoptr(start, ir.VectorType(ir.FloatType(), LANES).as_pointer())


def load(builder: Any, row: Any, block: int) -> Any:
    """Emit one vector of a row."""
    at = builder.gep(row, [ir.Constant(INT32, block)])
    return builder.load(at, align=4)


def spread(builder: Any, number: Any) -> Any:
    """Emit a vector of one number."""
    lanes = ir.VectorType(ir.FloatType(), LANES)
    first = builder.insert_element(ir.Constant(lanes, ir.Undefined), number, ir.Constant(INT32, 0))
    zeros = ir.Constant(ir.VectorType(INT32, LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(lanes, ir.Undefined), zeros)


def _dot(typing: Any, width: Any, a: Any, i: Any, b: Any, j: Any) -> Any:
    """Return the product of rows a[i] and b[j], summed in one order on every machine."""
    del typing

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        left = address(context, builder, kinds[1], args[1], args[2], kinds[2])
        right = address(context, builder, kinds[3], args[3], args[4], kinds[4])
        total: Any = None
        for block in range(len(width)):
            x, y = load(builder, left, block), load(builder, right, block)
            product = builder.fmul(x, y, FUSED)
            total = product if total is None else builder.fadd(total, product, FUSED)
        half = LANES // 2
        while half:
            upper = [half + at if at < half else 0 for at in range(LANES)]
            order = ir.Constant(ir.VectorType(INT32, LANES), upper)
            moved = builder.shuffle_vector(total, ir.Constant(total.type, ir.Undefined), order)
            total = builder.fadd(total, moved)
            half //= 2
        return builder.extract_element(total, ir.Constant(INT32, 0))

    return types.float32(width, a, i, b, j), emit


dot = cast(Callable[..., np.float32], intrinsic(_dot))
"""dot(width, a, i, b, j): the product of rows a[i] and b[j]."""


def _combine(
    typing: Any, width: Any, out: Any, k: Any, p: Any, a: Any, i: Any, q: Any, b: Any, j: Any
) -> Any:
    """Set row out[k] to p * a[i] + q * b[j]."""
    del typing

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        to = address(context, builder, kinds[1], args[1], args[2], kinds[2])
        left = address(context, builder, kinds[4], args[4], args[5], kinds[5])
        right = address(context, builder, kinds[7], args[7], args[8], kinds[8])
        first = spread(builder, context.cast(builder, args[3], kinds[3], types.float32))
        second = spread(builder, context.cast(builder, args[6], kinds[6], types.float32))
        results = [
            builder.fadd(
                builder.fmul(first, load(builder, left, block), FUSED),
                builder.fmul(second, load(builder, right, block), FUSED),
                FUSED,
            )
            for block in range(len(width))
        ]
        for block, result in enumerate(results):
            at = builder.gep(to, [ir.Constant(INT32, block)])
            builder.store(result, at, align=4)
        return context.get_dummy_value()

    return types.void(width, out, k, p, a, i, q, b, j), emit


combine = cast(Callable[..., None], intrinsic(_combine))
"""combine(width, out, k, p, a, i, q, b, j): set row out[k] to p * a[i] + q * b[j]."""


def _hint(blocks: int, *, write: bool) -> Any:
    """Return what emits a hint that a row, of the last two arguments, will be needed."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args[-2:]
        row = address(context, builder, kinds[0], args[-2], args[-1], kinds[1])
        byte = ir.IntType(8).as_pointer()
        hint = builder.module.declare_intrinsic(
            "llvm.prefetch.p0i8", (), ir.FunctionType(ir.VoidType(), [byte, INT32, INT32, INT32])
        )
        purpose, every_cache, data = (ir.Constant(INT32, flag) for flag in (int(write), 3, 1))
        for block in range(blocks):
            at = builder.gep(row, [ir.Constant(INT32, block)])
            builder.call(hint, [builder.bitcast(at, byte), purpose, every_cache, data])
        return context.get_dummy_value()

    return emit


def _prefetch(typing: Any, width: Any, a: Any, i: Any) -> Any:
    del typing
    return types.void(width, a, i), _hint(len(width), write=True)


def _prefetch_to_read(typing: Any, a: Any, i: Any) -> Any:
    del typing
    return types.void(a, i), _hint(1, write=False)


prefetch = cast(Callable[..., None], intrinsic(_prefetch))
"""prefetch(width, a, i): have row a[i], to be changed, fetched into the caches meanwhile."""
prefetch_to_read = cast(Callable[..., None], intrinsic(_prefetch_to_read))
"""prefetch_to_read(a, i): have the cache line where a[i] begins fetched meanwhile."""
