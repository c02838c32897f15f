"""Rows that become columns, LANES of them at once and in registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from .intrinsics import INT32, INT64, intrinsic
from .machine import LANES
from .sums import SINGLES, load, store


@intrinsic
def transpose(context: Any, source: Any, source_stride: Any, target: Any, target_stride: Any) -> Any:
    """target[j, i] ← source[i, j] for i, j < LANES; addresses, and leading dimensions in elements."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        source, source_stride, target, target_stride = arguments

        def start_of(number: int, stride: Any) -> Any:
            return builder.mul(stride, ir.Constant(INT64, number))

        rows = [load(builder, source, start_of(number, source_stride), SINGLES) for number in range(LANES)]
        for number, column in enumerate(_transposed(builder, rows)):
            store(builder, target, start_of(number, target_stride), column)
        return _context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """A matrix in blocks [[A, B], [C, D]] is [[A, C], [B, D]] with each block transposed: all sizes, one by one."""
    size = LANES // 2
    while size:
        for upper in (number for number in range(LANES) if not number & size):
            above, below = rows[upper], rows[upper + size]
            lanes = range(LANES)
            # a lane of the lower row is counted from LANES on
            rows[upper] = _picked(builder, above, below, [lane + (LANES - size) * bool(lane & size) for lane in lanes])
            rows[upper + size] = _picked(
                builder, above, below, [lane + (LANES if lane & size else size) for lane in lanes]
            )
        size //= 2
    return rows


def _picked(builder: Any, first: Any, second: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(INT32, LANES), lanes))
