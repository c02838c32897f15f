"""What happens to one row between two products; each function reads and writes a row that is still in the cache."""

from __future__ import annotations

from typing import Any

from numba import types

from ..jit import part
from .fetching import fetch
from .intrinsics import intrinsic
from .normalizing import add_moments, moments, scale_row, scaling
from .sums import SINGLES, for_each, load, store


@part
def add_normalize(x: int, bias: int, residual: int, gamma: int, beta: int, eps: float, result: int, width: int) -> None:
    """result ← LayerNorm(x + bias + residual), in float64; x is overwritten. `result` may be `residual`.

    Addresses: handing over seven numbers for each array would take as long as the row of a tiny model.
    """
    a, b = scaling(add_moments(x, bias, residual, width), width, eps)
    scale_row(x, a, b, gamma, beta, result, width)


@part
def normalize_row(x: int, gamma: int, beta: int, eps: float, result: int, width: int) -> None:
    """result ← LayerNorm(x), in float64; it may be x itself. Addresses of rows."""
    a, b = scaling(moments(x, width), width, eps)
    scale_row(x, a, b, gamma, beta, result, width)


@intrinsic
def turn(
    context: Any, x: Any, bias: Any, cos: Any, sin: Any, result: Any, half: Any, next_x: Any, next_result: Any
) -> Any:
    """result ← the rotated head x + bias, its even features in the first half, its odd ones after; all are addresses.

    What lies at next_x will be read next, and next_result written. Written out, because LLVM finds too many addresses
    here to see that the vectors of a loop do not overlap.
    """

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        x, bias, cos, sin, result, half, next_x, next_result = arguments

        def turn_some(step: Any, kind: Any) -> None:
            odd_step = builder.add(step, half)
            for at in (step, odd_step):
                _fetch_next(builder, next_x, next_result, at, kind)
            even, odd = (
                builder.fadd(load(builder, x, at, kind), load(builder, bias, at, kind)) for at in (step, odd_step)
            )
            by_cos, by_sin = load(builder, cos, step, kind), load(builder, sin, step, kind)
            store(builder, result, step, _difference(builder, even, by_cos, odd, by_sin))
            store(builder, result, odd_step, _difference(builder, odd, by_cos, builder.fneg(even), by_sin))

        for_each(builder, half, turn_some)
        return _context.get_dummy_value()

    return types.void(*[types.int64] * 8), generate


def _fetch_next(builder: Any, next_x: Any, next_result: Any, step: Any, kind: Any) -> None:
    if kind is SINGLES:
        fetch(builder, next_x, step)
        fetch(builder, next_result, step, writing=True)


def _difference(builder: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """a · b − c · d, in which the processor may round once less."""
    fused = ("contract",)
    return builder.fsub(builder.fmul(a, b, flags=fused), builder.fmul(c, d, flags=fused), flags=fused)


@intrinsic
def add(context: Any, x: Any, y: Any, result: Any, count: Any, next_x: Any, next_result: Any) -> Any:
    """result ← x + y; all are addresses, the last two of what will be read and written next."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        x, y, result, count, next_x, next_result = arguments

        def add_some(step: Any, kind: Any) -> None:
            _fetch_next(builder, next_x, next_result, step, kind)
            store(builder, result, step, builder.fadd(load(builder, x, step, kind), load(builder, y, step, kind)))

        for_each(builder, count, add_some)
        return _context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


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
