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
from .machine import FLOAT_BYTES, LANES

DOUBLE = ir.DoubleType()
SINGLES, DOUBLES = ir.VectorType(FLOAT, LANES), ir.VectorType(DOUBLE, LANES)

# Two vectors side by side: a maximum waits for the one before it half as often.
WIDE = 2 * LANES
WIDES, PLACES = ir.VectorType(FLOAT, WIDE), ir.VectorType(INT32, WIDE)

NOTHING = ir.Constant(INT64, 0)


@intrinsic
def sum_of(context: Any, address: Any, count: Any) -> Any:
    """The float64 sum of `count` float32 numbers at `address`, a multiple of WIDE; pairs of them are added in float32.

    Of numbers of one sign each pair errs by half a unit of its own last place, so the sum by less than one of float32.
    """

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        address, count = arguments

        def add_some(step: Any, totals: list[Any]) -> list[Any]:
            beside = builder.add(step, ir.Constant(INT64, LANES))
            pair = builder.fadd(*(load(builder, address, at, SINGLES) for at in (step, beside)))
            return [builder.fadd(totals[0], widened(builder, pair))]

        lanes = _loop(builder, NOTHING, count, WIDE, [ir.Constant(DOUBLES, [0.0] * LANES)], add_some)
        return _folded(builder, lanes[0], LANES, builder.fadd)

    return types.float64(types.int64, types.int64), generate


@intrinsic
def highest_of(context: Any, address: Any, count: Any) -> Any:
    """The largest of `count` float32 numbers at `address`, a multiple of WIDE; a NaN is passed over."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        address, count = arguments

        def grow(step: Any, highest: list[Any]) -> list[Any]:
            return [_larger(builder, highest[0], load(builder, address, step, WIDES))]

        lowest = ir.Constant(WIDES, [-math.inf] * WIDE)
        lanes = _loop(builder, NOTHING, count, WIDE, [lowest], grow)
        return _folded(builder, lanes[0], WIDE, lambda a, b: _larger(builder, a, b))

    return types.float32(types.int64, types.int64), generate


@intrinsic
def hide_after(context: Any, address: Any, seen: Any, whole: Any) -> Any:
    """Of `whole` numbers at `address`, a multiple of WIDE, those after the first `seen` ← −∞; fewer than WIDE are."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        address, seen, whole = arguments
        first = builder.sub(whole, ir.Constant(INT64, WIDE))
        numbers = load(builder, address, first, WIDES)
        unset = ir.Constant(PLACES, ir.Undefined)
        count = builder.insert_element(unset, builder.trunc(builder.sub(seen, first), INT32), ir.Constant(INT32, 0))
        counts = builder.shuffle_vector(count, unset, ir.Constant(PLACES, [0] * WIDE))
        shown = builder.icmp_signed("<", ir.Constant(PLACES, list(range(WIDE))), counts)
        store(builder, address, first, builder.select(shown, numbers, ir.Constant(WIDES, [-math.inf] * WIDE)))
        return _context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@intrinsic
def clear(context: Any, address: Any, count: Any) -> Any:
    """`count` numbers at `address` ← 0."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        address, count = arguments

        def clear_some(step: Any, kind: Any) -> None:
            store(builder, address, step, ir.Constant(kind, [0.0] * LANES if kind is SINGLES else 0.0))

        for_each(builder, count, clear_some)
        return _context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", b, a), b, a)


def _folded(builder: Any, lanes: Any, count: int, join: Any) -> Any:
    """One number of a vector: its halves joined, and theirs, to the end."""
    while count > 1:
        count //= 2
        indices = [ir.Constant(ir.VectorType(INT32, count), list(range(start, start + count))) for start in (0, count)]
        lanes = join(*(builder.shuffle_vector(lanes, ir.Constant(lanes.type, ir.Undefined), half) for half in indices))
    return builder.extract_element(lanes, ir.Constant(INT32, 0))


def summed(builder: Any, count: Any, sums: int, add: Any) -> list[Any]:
    """So many float64 sums of add(step, kind, sums): whole vectors into LANES sums, those into one, then the rest."""
    whole = builder.and_(count, ir.Constant(INT64, -LANES))
    zeros = [ir.Constant(DOUBLES, [0.0] * LANES)] * sums
    lanes = _loop(builder, NOTHING, whole, LANES, zeros, lambda step, totals: add(step, SINGLES, totals))
    folded = [_folded(builder, lane, LANES, builder.fadd) for lane in lanes]
    return _loop(builder, whole, count, 1, folded, lambda step, totals: add(step, FLOAT, totals))


def widened(builder: Any, numbers: Any) -> Any:
    """In float64."""
    return builder.fpext(numbers, DOUBLES if isinstance(numbers.type, ir.VectorType) else DOUBLE)


def _loop(builder: Any, first: Any, last: Any, stride: int, starts: list[Any], grow: Any) -> list[Any]:
    """totals = grow(step, totals) for step in range(first, last, stride)."""
    before = builder.block
    head, body, after = (builder.function.append_basic_block(name) for name in ("head", "body", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    step, totals = builder.phi(INT64), [builder.phi(start.type) for start in starts]
    step.add_incoming(first, before)
    for total, start in zip(totals, starts, strict=True):
        total.add_incoming(start, before)
    builder.cbranch(builder.icmp_signed("<", step, last), body, after)
    builder.position_at_end(body)
    for total, grown in zip(totals, grow(step, totals), strict=True):
        total.add_incoming(grown, body)
    step.add_incoming(builder.add(step, ir.Constant(INT64, stride)), body)
    builder.branch(head)
    builder.position_at_end(after)
    return totals


def for_each(builder: Any, count: Any, body: Any) -> None:
    """body(step, kind) for whole vectors, then for the numbers that are left."""
    whole = builder.and_(count, ir.Constant(INT64, -LANES))
    in_turn(builder, NOTHING, whole, LANES, lambda step: body(step, SINGLES))
    in_turn(builder, whole, count, 1, lambda step: body(step, FLOAT))


def in_turn(builder: Any, first: Any, last: Any, stride: int, body: Any) -> None:
    """body(step) for step in range(first, last, stride)."""

    def run(step: Any, _nothing: list[Any]) -> list[Any]:
        body(step)
        return []

    _loop(builder, first, last, stride, [], run)


def load(builder: Any, address: Any, step: Any, kind: Any) -> Any:
    """What stands `step` numbers from `address` on."""
    return builder.load(place_of(builder, address, step, kind), align=FLOAT_BYTES)


def store(builder: Any, address: Any, step: Any, value: Any) -> None:
    """Write it there."""
    builder.store(value, place_of(builder, address, step, value.type), align=FLOAT_BYTES)


def place_of(builder: Any, address: Any, step: Any, kind: Any) -> Any:
    """A pointer there."""
    place = builder.add(address, builder.mul(step, ir.Constant(INT64, FLOAT_BYTES)))
    return builder.inttoptr(place, kind.as_pointer())


def spread(builder: Any, number: Any, like: Any) -> Any:
    """A number in every lane, if `like` is a vector."""
    if not isinstance(like.type, ir.VectorType):
        return number
    unset = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    first = builder.insert_element(unset, number, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, unset, ir.Constant(ir.VectorType(INT32, LANES), [0] * LANES))
