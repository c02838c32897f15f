"""The one loop that 90% of the time is spent in: a small block of a matrix product that stays in registers.

    C[ROWS, width] (+)= A[ROWS, depth] · B[depth, width]        width = vectors · LANES

Every step of `depth` loads one row of B as vectors, and multiplies each by one number of each row of A, spread over a
vector. ROWS · vectors sums are kept in registers for the whole depth, so A and B are read once and C is touched once.
The order of the additions depends on nothing but `depth`: the same numbers come out whatever the number of rows.
What a "number" of A or B is, one float32 or two bfloat16, `factors` says; C is float32.

While it works it asks for the memory of the slice of B that comes next, spread over the passes: a core waits less.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from llvmlite import ir
from numba import types

from .intrinsics import FLOAT, INT32, INT64, PAIRS, POINTER, external, intrinsic
from .machine import FLOAT_BYTES, LANES, LINE_BYTES

VECTOR = ir.VectorType(FLOAT, LANES)
VECTOR_BYTES = FLOAT_BYTES * LANES

NUMBERS = 10  # that a call is given


def micro_kernel(counts: Sequence[int], vectors: int, lines: int = 0, rests: int = 0) -> Any:
    """An intrinsic f(kind, rows, a, lda, b, ldb, c, ldc, depth, add_to_c, fetch) for blocks of `rows` × `vectors`.

    Args:
        counts: what `rows` may be; where they are several, a call jumps to the block of its own.
        vectors: of a row of B.
        lines, rests: how far `fetch` advances: `lines` · 64 bytes a step, or with `rests` every 2^rests steps.

    Args of the intrinsic, all but the kind of factors int64: rows; addresses a, b, c; leading dimensions in words;
    depth ≥ 1; whether the product is added to C instead of stored; and fetch, the address of memory to ask for.
    """

    @intrinsic
    def multiply_block(
        context: Any,
        kind: Any,
        rows: Any,
        a: Any,
        lda: Any,
        b: Any,
        ldb: Any,
        c: Any,
        ldc: Any,
        depth: Any,
        add_to_c: Any,
        fetch: Any,
    ) -> Any:
        def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            _, asked, *others = arguments
            blocks = [builder.append_basic_block(f"rows_{count}") for count in counts]
            after, choice = builder.append_basic_block("after"), builder.switch(asked, blocks[-1])
            for count, block in zip(counts, blocks, strict=True):
                choice.add_case(ir.Constant(INT64, count), block)
                builder.position_at_end(block)
                made = _Block if isinstance(kind, types.Float) else _BlockOfPairs
                made(builder, count, vectors, lines, rests).generate(*others)
                builder.branch(after)
            builder.position_at_end(after)
            return target.get_dummy_value()

        return types.void(kind, *[types.int64] * NUMBERS), generate

    return multiply_block


class _Block:
    """Writes the loop for one shape of block."""

    def __init__(self, builder: Any, rows: int, vectors: int, lines: int, rests: int) -> None:
        self.builder, self.rows, self.vectors, self.lines, self.rests = builder, rows, vectors, lines, rests
        module = builder.module
        self.multiply_add = self._instruction(module)
        fetch = ir.FunctionType(ir.VoidType(), [POINTER, INT32, INT32, INT32])
        self.fetch_line = external(module, fetch, "llvm.prefetch.p0")

    def _instruction(self, module: Any) -> Any:
        """total ← f(a, b, total)."""
        fma = external(module, ir.FunctionType(VECTOR, [VECTOR] * 3), f"llvm.fma.v{LANES}f32")
        return lambda a, b, total: self.builder.call(fma, [a, b, total])

    def generate(
        self, a: Any, lda: Any, b: Any, ldb: Any, c: Any, ldc: Any, depth: Any, add_to_c: Any, fetch: Any
    ) -> None:
        """The whole block: set up, loop over `depth`, write C."""
        builder = self.builder
        a_rows = [builder.inttoptr(self._at(a, lda, row), FLOAT.as_pointer()) for row in range(self.rows)]
        start, first_row = builder.block, builder.inttoptr(b, POINTER)
        body, after = (builder.function.append_basic_block(name) for name in ("depth", "store"))
        builder.branch(body)
        builder.position_at_end(body)
        step, b_row, sums = self._variables(start, first_row)
        if self.lines:
            self._fetch(fetch, step)
        grown = self._multiply_add(a_rows, step, b_row, sums)
        self._advance(body, after, step, b_row, ldb, depth, sums, grown)
        builder.position_at_end(after)
        self._write(c, ldc, add_to_c, grown)

    def _at(self, base: Any, leading: Any, row: int, offset: int = 0) -> Any:
        """base + 4 · leading · row + offset, in bytes."""
        stride = self.builder.mul(leading, ir.Constant(INT64, FLOAT_BYTES * row))
        return self.builder.add(self.builder.add(base, stride), ir.Constant(INT64, offset))

    def _variables(self, start: Any, first_row: Any) -> tuple[Any, Any, list[list[Any]]]:
        """What changes from step to step: the step, the row of B, and the sums, which begin at zero."""
        builder = self.builder
        step, b_row = builder.phi(INT64), builder.phi(POINTER)
        step.add_incoming(ir.Constant(INT64, 0), start)
        b_row.add_incoming(first_row, start)
        sums = [[builder.phi(VECTOR) for _ in range(self.vectors)] for _ in range(self.rows)]
        for row in sums:
            for total in row:
                total.add_incoming(ir.Constant(VECTOR, [0.0] * LANES), start)
        return step, b_row, sums

    def _fetch(self, fetch: Any, step: Any) -> None:
        turn = self.builder.ashr(step, ir.Constant(INT64, self.rests))
        base = self.builder.add(fetch, self.builder.mul(turn, ir.Constant(INT64, self.lines * LINE_BYTES)))
        read, second_level, data = (ir.Constant(INT32, number) for number in (0, 2, 1))
        for line in range(self.lines):
            address = self.builder.add(base, ir.Constant(INT64, line * LINE_BYTES))
            self.builder.call(self.fetch_line, [self.builder.inttoptr(address, POINTER), read, second_level, data])

    def _multiply_add(self, a_rows: list[Any], step: Any, b_row: Any, sums: list[list[Any]]) -> list[list[Any]]:
        builder = self.builder
        offsets = [ir.Constant(INT64, VECTOR_BYTES * number) for number in range(self.vectors)]
        b_vectors = [self._load(builder.gep(b_row, [offset])) for offset in offsets]
        grown = []
        for a_row, totals in zip(a_rows, sums, strict=True):
            spread = self._spread(builder.load(builder.gep(a_row, [step]), align=FLOAT_BYTES))
            pairs = zip(b_vectors, totals, strict=True)
            grown.append([self.multiply_add(spread, vector, total) for vector, total in pairs])
        return grown

    def _load(self, pointer: Any) -> Any:
        return self.builder.load(self.builder.bitcast(pointer, VECTOR.as_pointer()), align=FLOAT_BYTES)

    def _spread(self, number: Any) -> Any:
        """One number in every lane."""
        unset = ir.Constant(VECTOR, ir.Undefined)
        first = self.builder.insert_element(unset, number, ir.Constant(INT32, 0))
        return self.builder.shuffle_vector(first, unset, ir.Constant(ir.VectorType(INT32, LANES), [0] * LANES))

    def _advance(
        self, body: Any, after: Any, step: Any, b_row: Any, ldb: Any, depth: Any, sums: Any, grown: Any
    ) -> None:
        builder = self.builder
        next_step = builder.add(step, ir.Constant(INT64, 1))
        next_row = builder.gep(b_row, [builder.mul(ldb, ir.Constant(INT64, FLOAT_BYTES))])
        step.add_incoming(next_step, body)
        b_row.add_incoming(next_row, body)
        for totals, news in zip(sums, grown, strict=True):
            for total, new in zip(totals, news, strict=True):
                total.add_incoming(new, body)
        builder.cbranch(builder.icmp_signed("<", next_step, depth), body, after)

    def _write(self, c: Any, ldc: Any, add_to_c: Any, grown: list[list[Any]]) -> None:
        builder = self.builder
        adds = builder.icmp_signed("!=", add_to_c, ir.Constant(INT64, 0))
        with builder.if_else(adds) as (then, otherwise):
            with then:
                self._store(c, ldc, grown, add=True)
            with otherwise:
                self._store(c, ldc, grown, add=False)

    def _store(self, c: Any, ldc: Any, grown: list[list[Any]], add: bool) -> None:
        builder = self.builder
        for row, totals in enumerate(grown):
            for number, total in enumerate(totals):
                address = self._at(c, ldc, row, VECTOR_BYTES * number)
                pointer = builder.inttoptr(address, VECTOR.as_pointer())
                value = builder.fadd(total, builder.load(pointer, align=FLOAT_BYTES)) if add else total
                builder.store(value, pointer, align=FLOAT_BYTES)


class _BlockOfPairs(_Block):
    """The same, where a word of A and of B is two bfloat16 numbers: each lane adds two products to its sum."""

    def _instruction(self, module: Any) -> Any:
        name = "llvm.x86.avx512bf16.dpbf16ps.512"
        dot = external(module, ir.FunctionType(VECTOR, [VECTOR, PAIRS, PAIRS]), name)
        pairs, call = partial(self.builder.bitcast, typ=PAIRS), self.builder.call
        return lambda a, b, total: call(dot, [total, pairs(a), pairs(b)])
