"""Sums over a row in an order that is written down: LANES of them side by side in float64, then one after the other.

A loop whose sums LLVM may reorder comes out faster too, but in an order that depends on what else is compiled with it:
two processes would differ in the last bit.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from .intrinsics import FLOAT, INT64, external, intrinsic
from .machine import LANES

DOUBLE = ir.DoubleType()
SINGLES, DOUBLES = ir.VectorType(FLOAT, LANES), ir.VectorType(DOUBLE, LANES)
FLOAT_BYTES = 4


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


def _sum(builder: Any, address: Any, count: Any, term: Any) -> Any:
    """Whole vectors into LANES sums, those into one, then the numbers that are left."""

    def add_from(kind: Any, wide: Any) -> Any:
        def grow(step: Any, total: Any) -> Any:
            return builder.fadd(total, term(builder.fpext(_load(builder, address, step, kind), wide)))

        return grow

    whole = builder.and_(count, ir.Constant(INT64, -LANES))
    zeros = ir.Constant(DOUBLES, [0.0] * LANES)
    lanes = _loop(builder, ir.Constant(INT64, 0), whole, LANES, zeros, add_from(SINGLES, DOUBLES))
    kind = ir.FunctionType(DOUBLE, [DOUBLE, DOUBLES])
    in_order = external(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f64")
    folded = builder.call(in_order, [ir.Constant(DOUBLE, 0.0), lanes])
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


def _load(builder: Any, address: Any, step: Any, kind: Any) -> Any:
    place = builder.add(address, builder.mul(step, ir.Constant(INT64, FLOAT_BYTES)))
    return builder.load(builder.inttoptr(place, kind.as_pointer()), align=FLOAT_BYTES)


def _spread(builder: Any, number: Any) -> Any:
    unset = ir.Constant(DOUBLES, ir.Undefined)
    first = builder.insert_element(unset, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, unset, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))
