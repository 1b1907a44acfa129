"""Instructions on stretches of bytes that numba has no function for: wide reads, hints, bit counts.

What splits records (`record_kernels.py`) and what numbers texts (`text_kernels.py`) is made of them. No
loop and no rule of a format belongs here. Places are not checked.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core.base import BaseContext
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

Bytes = npt.NDArray[np.uint8]
WIDE = 64
"""So many bytes are looked at in one step."""

_Emitter: TypeAlias = Callable[[BaseContext, ir.IRBuilder, Signature, list[ir.Value]], ir.Value]
_Emit: TypeAlias = Callable[[BaseContext, ir.IRBuilder, ir.Value], ir.Value]
_NUMBER = ir.IntType(32)


def _at_byte(result: types.Type, emit: _Emit) -> Callable[..., Any]:
    """Return an intrinsic of bytes and a place, `emit` given the address of that place."""

    def typed(typing: object, data: types.Type, at: types.Type) -> tuple[Signature, _Emitter]:
        def generate(
            context: BaseContext,
            builder: ir.IRBuilder,
            signature: Signature,
            arguments: list[ir.Value],
        ) -> ir.Value:
            array = context.make_array(signature.args[0])(  # type: ignore[no-untyped-call]
                context, builder, arguments[0]
            )
            return emit(context, builder, builder.gep(array.data, [arguments[1]]))

        return result(data, types.int64), generate

    return cast("Callable[..., Any]", intrinsic(typed))


def _word(context: BaseContext, builder: ir.IRBuilder, place: ir.Value) -> ir.Value:
    return builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()), align=1)


def _ends(context: BaseContext, builder: ir.IRBuilder, place: ir.Value) -> ir.Value:
    wide = ir.VectorType(ir.IntType(8), WIDE)
    read = builder.load(builder.bitcast(place, wide.as_pointer()), align=1)
    found = [
        builder.icmp_unsigned("==", read, ir.Constant(wide, [ir.IntType(8)(one)] * WIDE))
        for one in b'"\n'
    ]
    return builder.bitcast(builder.or_(*found), ir.IntType(WIDE))


def _fetch(context: BaseContext, builder: ir.IRBuilder, place: ir.Value) -> ir.Value:
    kinds = [place.type, _NUMBER, _NUMBER, _NUMBER]
    hint = builder.module.declare_intrinsic(
        "llvm.prefetch.p0i8", (), ir.FunctionType(ir.VoidType(), kinds)
    )
    to_read, every_cache, data = 0, 3, 1
    builder.call(hint, [place, *(ir.Constant(_NUMBER, n) for n in (to_read, every_cache, data))])
    return context.get_dummy_value()  # type: ignore[no-untyped-call]


def _lowest(typing: object, bits: types.Type) -> tuple[Signature, _Emitter]:
    def generate(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, arguments: list[ir.Value]
    ) -> ir.Value:
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(types.uint64), generate


word_at = cast("Callable[[Bytes, int], np.uint64]", _at_byte(types.uint64, _word))
"""word_at(data, at): the eight bytes from `at` as an integer."""

ends_at = cast("Callable[[Bytes, int], np.uint64]", _at_byte(types.uint64, _ends))
"""ends_at(data, at): a bit for each of the 64 bytes from `at`: is it a quote or a line end?"""

fetch = cast("Callable[[Bytes, int], None]", _at_byte(types.void, _fetch))
"""fetch(data, at): have the byte at `at` and those beside it fetched into the caches meanwhile."""

lowest_bit = cast("Callable[[np.uint64], int]", intrinsic(_lowest))
"""lowest_bit(bits): the number of the lowest bit that is set."""
