"""Sums over a row in an order that is written down: LANES of them side by side in float64, then half to half.

A loop whose sums LLVM may reorder comes out faster too, but in an order that depends on what else is compiled with it:
two processes would differ in the last bit.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import types

from .intrinsics import FLOAT, INT32, INT64, intrinsic
from .machine import LANES

DOUBLE = ir.DoubleType()
SINGLES, DOUBLES = ir.VectorType(FLOAT, LANES), ir.VectorType(DOUBLE, LANES)
FLOAT_BYTES = 4

# Two vectors side by side: a maximum waits for the one before it half as often.
WIDE = 2 * LANES
WIDES = ir.VectorType(FLOAT, WIDE)


@intrinsic
def sum_of(context: Any, address: Any, count: Any) -> Any:
    """The float64 sum of `count` float32 numbers at `address`."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        address, count = arguments
        return _sum(builder, address, count, lambda x: x)

    return types.float64(types.int64, types.int64), generate


@intrinsic
def sum_of_squares(context: Any, address: Any, count: Any, centre: Any) -> Any:
    """The float64 sum of (x − centre)² over `count` float32 numbers at `address`."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        address, count, centre = arguments

        def centred_square(x: Any) -> Any:
            difference = builder.fsub(x, _spread(builder, centre) if isinstance(x.type, ir.VectorType) else centre)
            return builder.fmul(difference, difference)

        return _sum(builder, address, count, centred_square)

    return types.float64(types.int64, types.int64, types.float64), generate


@intrinsic
def highest_of(context: Any, address: Any, count: Any) -> Any:
    """The largest of `count` float32 numbers at `address`, a multiple of WIDE; a NaN is passed over."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        address, count = arguments

        def grow(step: Any, highest: Any) -> Any:
            return _larger(builder, highest, load(builder, address, step, WIDES))

        lowest = ir.Constant(WIDES, [-math.inf] * WIDE)
        lanes = _loop(builder, ir.Constant(INT64, 0), count, WIDE, lowest, grow)
        return _folded(builder, lanes, WIDE, lambda a, b: _larger(builder, a, b))

    return types.float32(types.int64, types.int64), generate


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", b, a), b, a)


def _folded(builder: Any, lanes: Any, count: int, join: Any) -> Any:
    """One number of a vector: its halves joined, and theirs, to the end."""
    while count > 1:
        count //= 2
        indices = [ir.Constant(ir.VectorType(INT32, count), list(range(start, start + count))) for start in (0, count)]
        lanes = join(*(builder.shuffle_vector(lanes, ir.Constant(lanes.type, ir.Undefined), half) for half in indices))
    return builder.extract_element(lanes, ir.Constant(INT32, 0))


def _sum(builder: Any, address: Any, count: Any, term: Any) -> Any:
    """Whole vectors into LANES sums, those into one, then the numbers that are left."""

    def add_from(kind: Any, wide: Any) -> Any:
        def grow(step: Any, total: Any) -> Any:
            return builder.fadd(total, term(builder.fpext(load(builder, address, step, kind), wide)))

        return grow

    whole = builder.and_(count, ir.Constant(INT64, -LANES))
    zeros = ir.Constant(DOUBLES, [0.0] * LANES)
    lanes = _loop(builder, ir.Constant(INT64, 0), whole, LANES, zeros, add_from(SINGLES, DOUBLES))
    folded = _folded(builder, lanes, LANES, builder.fadd)
    return _loop(builder, whole, count, 1, folded, add_from(FLOAT, DOUBLE))


def _loop(builder: Any, first: Any, last: Any, stride: int, start: Any, grow: Any) -> Any:
    """total = grow(step, total) for step in range(first, last, stride)."""
    before = builder.block
    head, body, after = (builder.function.append_basic_block(name) for name in ("head", "body", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    step, total = builder.phi(INT64), builder.phi(start.type)
    step.add_incoming(first, before)
    total.add_incoming(start, before)
    builder.cbranch(builder.icmp_signed("<", step, last), body, after)
    builder.position_at_end(body)
    grown = grow(step, total)
    step.add_incoming(builder.add(step, ir.Constant(INT64, stride)), body)
    total.add_incoming(grown, body)
    builder.branch(head)
    builder.position_at_end(after)
    return total


def for_each(builder: Any, count: Any, body: Any) -> None:
    """body(step, kind) for whole vectors, then for the numbers that are left."""
    whole = builder.and_(count, ir.Constant(INT64, -LANES))
    nothing = ir.Constant(INT64, 0)
    for first, last, stride, kind in ((nothing, whole, LANES, SINGLES), (whole, count, 1, FLOAT)):

        def run(step: Any, unused: Any, kind: Any = kind) -> Any:
            body(step, kind)
            return unused

        _loop(builder, first, last, stride, nothing, run)


def load(builder: Any, address: Any, step: Any, kind: Any) -> Any:
    """What stands `step` numbers from `address` on."""
    return builder.load(_place(builder, address, step, kind), align=FLOAT_BYTES)


def store(builder: Any, address: Any, step: Any, value: Any) -> None:
    """Write it there."""
    builder.store(value, _place(builder, address, step, value.type), align=FLOAT_BYTES)


def _place(builder: Any, address: Any, step: Any, kind: Any) -> Any:
    place = builder.add(address, builder.mul(step, ir.Constant(INT64, FLOAT_BYTES)))
    return builder.inttoptr(place, kind.as_pointer())


def _spread(builder: Any, number: Any) -> Any:
    unset = ir.Constant(DOUBLES, ir.Undefined)
    first = builder.insert_element(unset, number, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, unset, ir.Constant(ir.VectorType(INT32, LANES), [0] * LANES))
