"""LayerNorm of a row in float64 and two passes over it.

The first pass takes mean and variance from the differences to the row's first number c:

    mean = c + m,  variance = Σ(x − c)² / n − m²,  m = Σ(x − c) / n

c lies no more than √n deviations from the mean, because (c − mean)² is a part of n · variance: whatever the numbers
are, the subtraction costs a factor of n of float64's precision at most, and a constant row has variance 0.
"""

from __future__ import annotations

import math
from typing import Any, cast

from llvmlite import ir
from numba import types

from ..jit import inlined
from .fetching import fetch
from .intrinsics import FLOAT, external, intrinsic
from .machine import LANES, LINE
from .sums import NOTHING, for_each, load, spread, store, summed, widened

FOUND = cast(Any, types).UniTuple(types.float64, 3)


@intrinsic
def moments(context: Any, x: Any, width: Any) -> Any:
    """c, Σ(x − c) and Σ(x − c)² of the row at address x."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, width = arguments

        def row(step: Any, kind: Any) -> Any:
            return load(builder, x, step, kind)

        return target.make_tuple(builder, signature.return_type, _moments(builder, width, row, row(NOTHING, FLOAT)))

    return FOUND(types.int64, types.int64), generate


@intrinsic
def add_moments(context: Any, x: Any, bias: Any, residual: Any, width: Any) -> Any:
    """x ← x + bias + residual, and its moments; addresses. The row after this one is asked for, as if it were next."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, bias, residual, width = arguments
        after = builder.add(width, width.type(LINE))

        def row(step: Any, kind: Any) -> Any:
            first, second, third = (load(builder, address, step, kind) for address in (x, bias, residual))
            return builder.fadd(builder.fadd(first, second), third)

        def stored_row(step: Any, kind: Any) -> Any:
            numbers = row(step, kind)
            store(builder, x, step, numbers)
            for address in (x, residual) if kind is not FLOAT else ():
                fetch(builder, address, builder.add(step, after))
            return numbers

        found = _moments(builder, width, stored_row, row(NOTHING, FLOAT))
        return target.make_tuple(builder, signature.return_type, found)

    return FOUND(*[types.int64] * 4), generate


def _moments(builder: Any, width: Any, row: Any, first: Any) -> list[Any]:
    centre = widened(builder, first)

    def add_some(step: Any, kind: Any, totals: list[Any]) -> list[Any]:
        numbers = widened(builder, row(step, kind))
        difference = builder.fsub(numbers, spread(builder, centre, numbers))
        return [builder.fadd(totals[0], difference), _fused(builder, difference, difference, totals[1])]

    return [centre, *summed(builder, width, 2, add_some)]


def _fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a · b + c in float64, rounded once."""
    name = f"llvm.fma.v{LANES}f64" if isinstance(a.type, ir.VectorType) else "llvm.fma.f64"
    return builder.call(external(builder.module, ir.FunctionType(a.type, [a.type] * 3), name), [a, b, c])


@inlined
def scaling(found: tuple[float, float, float], width: int, eps: float) -> tuple[float, float]:
    """a and b with (x − mean) / √(variance + eps) = a · x + b.

    Both are 0 for a constant row: a · x and b would cancel to float64's precision of what may be any size.
    """
    shift = found[1] / width
    variance = found[2] / width - shift * shift
    factor = 0.0 if variance == 0.0 else 1.0 / math.sqrt(variance + eps)
    return factor, -(found[0] + shift) * factor


@intrinsic
def scale_row(context: Any, x: Any, a: Any, b: Any, gamma: Any, beta: Any, result: Any, width: Any) -> Any:
    """result ← (a · x + b) · gamma + beta, in float64; addresses but for a and b. `result` may be x."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        x, a, b, gamma, beta, result, width = arguments

        def scale_some(step: Any, kind: Any) -> None:
            numbers, scale, shift = (widened(builder, load(builder, at, step, kind)) for at in (x, gamma, beta))
            centred = _fused(builder, numbers, spread(builder, a, numbers), spread(builder, b, numbers))
            store(builder, result, step, builder.fptrunc(_fused(builder, centred, scale, shift), kind))

        for_each(builder, width, scale_some)
        return target.get_dummy_value()

    address, number = types.int64, types.float64
    return types.void(address, number, number, address, address, address, address), generate
