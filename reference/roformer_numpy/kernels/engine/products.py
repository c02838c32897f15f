"""Matrix products over packed panels: rows of A in blocks of ROWS, the depth in slices of CHUNK.

The sum of one slice is kept in registers and added to C at its end: a sum of sums loses less to rounding than one long
chain, and a slice of a panel stays in the first-level cache while all rows pass over it.

`kind` says what the factors are, see `factors`: depth and leading dimensions are words of theirs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jit import part
from .intrinsics import floats_at
from .machine import FLOAT_BYTES, LANES, LINE_BYTES, PANEL, ROWS, VECTORS
from .microkernel import micro_kernel

# In one chain of k additions the error grows with √k of the sum. Reading and writing C as often as this costs nothing
# that can be measured; twice as often costs 8 %.
CHUNK = 128

# Up to so many columns of a panel are taken vector by vector, at nine tenths of the speed: 64 columns are a panel and a
# vector, not two panels.
NARROW = PANEL - LANES

# Cache lines to ask for in each step, so that all passes over a slice together have asked for the whole next one:
# a step needs PANEL · 4 bytes, shared by that many passes.
LINES = PANEL * FLOAT_BYTES // LINE_BYTES
THIN_ROWS = 8  # of a block one vector wide
RESTS = 2  # with many passes, one in 2^RESTS steps: bursts wait for memory

_full = micro_kernel((ROWS,), VECTORS)
_full_1, _full_2, _full_3 = (micro_kernel((ROWS,), VECTORS, lines) for lines in (1, 2, 3))
_sparing = micro_kernel((ROWS,), VECTORS, 1, RESTS)
_rest_asking = micro_kernel(range(1, ROWS), VECTORS, 1)


def rows_in_blocks(most: int, vectors: int) -> Any:
    """C[rows, width] (+)= A[rows, depth] · B[depth, width] for any number of rows, in blocks of up to `most`.

    The function's arguments are those of `micro_kernel` but for `fetch`: addresses and words.
    """
    block = micro_kernel(range(1, most + 1), vectors)

    @part
    def multiply_rows(
        kind: Any, rows: int, a: int, lda: int, b: int, ldb: int, c: int, ldc: int, depth: int, add: int
    ) -> None:
        row = 0
        while row < rows:
            count, before = min(most, rows - row), FLOAT_BYTES * row
            block(kind, count, a + before * lda, lda, b, ldb, c + before * ldc, ldc, depth, add, 0)
            row += count

    return multiply_rows


multiply_rows, multiply_rows_thin = rows_in_blocks(ROWS, VECTORS), rows_in_blocks(THIN_ROWS, 1)


@part
def multiply_panel(kind: Any, rows: int, a: int, lda: int, panel: int, c: int, ldc: int, depth: int) -> None:
    """C[rows, PANEL] = A[rows, depth] · one panel of weights, asking for the next slice or panel meanwhile."""
    passes = rows // ROWS
    for start in range(0, depth, CHUNK):
        steps = min(CHUNK, depth - start)
        add = 1 if start > 0 else 0
        slice_ = panel + FLOAT_BYTES * start * PANEL
        after = slice_ + FLOAT_BYTES * steps * PANEL
        a_slice = a + FLOAT_BYTES * start
        for turn in range(passes):
            a_row, c_row = a_slice + FLOAT_BYTES * turn * ROWS * lda, c + FLOAT_BYTES * turn * ROWS * ldc
            asked = turn * steps * LINE_BYTES  # for, where each step of the passes before has asked for a line
            if passes >= LINES << RESTS:
                _sparing(kind, ROWS, a_row, lda, slice_, PANEL, c_row, ldc, steps, add, after + (asked >> RESTS))
            elif passes >= LINES and turn < LINES:
                _full_1(kind, ROWS, a_row, lda, slice_, PANEL, c_row, ldc, steps, add, after + asked)
            elif passes <= 2 and rows > ROWS and LINES == 3:
                _full_2(kind, ROWS, a_row, lda, slice_, PANEL, c_row, ldc, steps, add, after + 2 * asked)
            elif passes == 1:
                _full_3(kind, ROWS, a_row, lda, slice_, PANEL, c_row, ldc, steps, add, after)
            else:
                _full(kind, ROWS, a_row, lda, slice_, PANEL, c_row, ldc, steps, add, 0)
        rest = rows - passes * ROWS
        if rest:
            done = FLOAT_BYTES * passes * ROWS
            a_row, c_row = a_slice + done * lda, c + done * ldc
            if passes == 1 and LINES == 3:  # which has asked for two of three lines; memory would rest meanwhile
                asked = 2 * steps * LINE_BYTES
                _rest_asking(kind, rest, a_row, lda, slice_, PANEL, c_row, ldc, steps, add, after + asked)
            else:
                multiply_rows(kind, rest, a_row, lda, slice_, PANEL, c_row, ldc, steps, add)


@part
def multiply_columns(
    kind: Any, rows: int, a: int, lda: int, panel: int, c: int, ldc: int, depth: int, columns: int
) -> None:
    """The same, bit for bit, where only the first `columns` are wanted; the others may become 0."""
    if columns > NARROW:
        multiply_panel(kind, rows, a, lda, panel, c, ldc, depth)
        return
    for first in range(0, columns, LANES):
        for start in range(0, depth, CHUNK):
            b = panel + FLOAT_BYTES * (start * PANEL + first)
            steps, add = min(CHUNK, depth - start), 1 if start > 0 else 0
            multiply_rows_thin(
                kind, rows, a + FLOAT_BYTES * start, lda, b, PANEL, c + FLOAT_BYTES * first, ldc, steps, add
            )
    whole = (columns + LANES - 1) // LANES * LANES
    for row in range(rows):
        rest = floats_at(c + FLOAT_BYTES * (row * ldc + whole), (PANEL - whole,))
        rest[:] = np.float32(0.0)  # an activation passes over it
