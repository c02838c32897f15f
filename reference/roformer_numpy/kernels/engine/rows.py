"""What happens to one row between two products; each function reads and writes a row that is still in the cache."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types

from ..jit import part
from .intrinsics import floats_at, intrinsic
from .sums import for_each, load, store, sum_of, sum_of_squares


@part
def add_normalize(x: int, bias: int, residual: int, gamma: int, beta: int, eps: float, result: int, width: int) -> None:
    """result ← LayerNorm(x + bias + residual), in float64; x is overwritten. `result` may be `residual`.

    Addresses: handing over seven numbers for each array would take as long as the row of a tiny model.
    """
    summed, shift, kept = floats_at(x, (width,)), floats_at(bias, (width,)), floats_at(residual, (width,))
    for column in range(width):
        summed[column] = summed[column] + shift[column] + kept[column]
    normalize_row(x, gamma, beta, eps, result, width)


@part
def normalize_row(x: int, gamma: int, beta: int, eps: float, result: int, width: int) -> None:
    """result ← LayerNorm(x), in float64; it may be x itself. Addresses of rows."""
    mean = sum_of(x, width) / width
    factor = 1.0 / math.sqrt(sum_of_squares(x, width, mean) / width + eps)
    given, scale, shift = floats_at(x, (width,)), floats_at(gamma, (width,)), floats_at(beta, (width,))
    made = floats_at(result, (width,))
    for column in range(width):
        centred = np.float64(given[column]) - mean
        made[column] = centred * factor * np.float64(scale[column]) + np.float64(shift[column])


@intrinsic
def turn(context: Any, x: Any, bias: Any, cos: Any, sin: Any, result: Any, half: Any) -> Any:
    """result ← the rotated head x + bias, its even features in the first half, its odd ones after; all are addresses.

    Written out, because LLVM finds too many addresses here to see that the vectors of a loop do not overlap.
    """

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        x, bias, cos, sin, result, half = arguments

        def turn_some(step: Any, kind: Any) -> None:
            odd_step = builder.add(step, half)
            even, odd = (
                builder.fadd(load(builder, x, at, kind), load(builder, bias, at, kind)) for at in (step, odd_step)
            )
            by_cos, by_sin = load(builder, cos, step, kind), load(builder, sin, step, kind)
            store(builder, result, step, _difference(builder, even, by_cos, odd, by_sin))
            store(builder, result, odd_step, _difference(builder, odd, by_cos, builder.fneg(even), by_sin))

        for_each(builder, half, turn_some)
        return _context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


def _difference(builder: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """a · b − c · d, in which the processor may round once less."""
    fused = ("contract",)
    return builder.fsub(builder.fmul(a, b, flags=fused), builder.fmul(c, d, flags=fused), flags=fused)


@intrinsic
def add(context: Any, x: Any, y: Any, result: Any, count: Any) -> Any:
    """result ← x + y; all are addresses."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        x, y, result, count = arguments

        def add_some(step: Any, kind: Any) -> None:
            store(builder, result, step, builder.fadd(load(builder, x, step, kind), load(builder, y, step, kind)))

        for_each(builder, count, add_some)
        return _context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@intrinsic
def copy(context: Any, x: Any, result: Any, count: Any) -> Any:
    """result ← x; addresses. LLVM does not see that rows of two arrays cannot overlap, and copies number by number."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        x, result, count = arguments

        def copy_some(step: Any, kind: Any) -> None:
            store(builder, result, step, load(builder, x, step, kind))

        for_each(builder, count, copy_some)
        return _context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate
