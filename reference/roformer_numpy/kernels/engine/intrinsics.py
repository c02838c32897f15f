"""What numba has no word for: single instructions, written as LLVM.

Addresses are plain int64 here: the micro-kernel walks through memory by itself, and a table of addresses lets one
compiled loop serve layers of different widths.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numba.extending
import numba.np.arrayobj
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils

# untyped in numba: as it types them, an intrinsic would have to be called with its compiler's context
intrinsic: Callable[[Callable[..., Any]], Any] = numba.extending.intrinsic
external: Any = cgutils.get_or_insert_function
array_at: Any = numba.np.arrayobj.np_cfarray

INT64, INT32, BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(8)
POINTER = BYTE.as_pointer()
FLOAT = ir.FloatType()


class _BFloat16(ir.Type):  # type: ignore[misc]  # llvmlite has no word for LLVM's `bfloat`
    """LLVM's type of bfloat16 numbers."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat16)

    def __hash__(self) -> int:
        return hash(_BFloat16)


# What AVX512-BF16 multiplies: until LLVM 16 it had no name for two bfloat16 numbers but one integer.
PAIRS = ir.VectorType(_BFloat16(), 32) if binding.llvm_version_info[0] >= 16 else ir.VectorType(INT32, 16)

# The system call that lets another thread run while this one has nothing to do but wait.
YIELD = "SwitchToThread" if sys.platform == "win32" else "sched_yield"


def _array_of(number: Any) -> Any:
    """The intrinsic f(address, shape) that makes an array of a type of numbers."""

    def typed(context: Any, address: Any, shape: Any) -> Any:
        made = types.Array(number, len(shape), "C")

        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], POINTER)
            return array_at(context, builder, made(types.voidptr, shape), (pointer, arguments[1]))

        return made(types.int64, shape), generate

    return intrinsic(typed)


# The array of a shape, a tuple of int64, that lies at an address: of float32, of the halves of words.
floats_at, halves_at = _array_of(types.float32), _array_of(types.uint16)


@intrinsic
def atomic_add(context: Any, address: Any, amount: Any) -> Any:
    """Add to the int64 at `address`; returns what stood there before. Everything written earlier is seen later."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], INT64.as_pointer())
        return builder.atomic_rmw("add", pointer, arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


@intrinsic
def atomic_load(context: Any, address: Any) -> Any:
    """The int64 at `address`, read afresh."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], INT64.as_pointer())
        return builder.load_atomic(pointer, "seq_cst", 8)

    return types.int64(types.int64), generate


@intrinsic
def let_others_run(context: Any) -> Any:
    """Give the rest of this thread's time to whoever waits for a core."""

    def generate(_context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        function = external(builder.module, ir.FunctionType(INT32, []), YIELD)
        builder.call(function, [])
        return _context.get_dummy_value()

    return types.void(), generate


@intrinsic
def bits_of(context: Any, x: Any) -> Any:
    """The bits of a float32 as an int32."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], INT32)

    return types.int32(types.float32), generate


@intrinsic
def float_of(context: Any, bits: Any) -> Any:
    """The float32 that an int32 spells."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], FLOAT)

    return types.float32(types.int32), generate


@intrinsic
def larger(context: Any, a: Any, b: Any) -> Any:
    """b if b > a else a, as one instruction of a vector loop; a NaN in `b` is passed over."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        a, b = arguments
        # nsz and nnan speak of this comparison alone: without them LLVM does not see a maximum to reduce
        return builder.select(builder.fcmp_ordered(">", b, a, flags=("nsz",)), b, a, flags=("nnan", "nsz"))

    return types.float32(types.float32, types.float32), generate
