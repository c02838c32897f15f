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
from .machine import LANES, PANEL, ROWS, VECTORS
from .microkernel import micro_kernel

# In one chain of k additions the error grows with √k of the sum. Reading and writing C as often as this costs nothing
# that can be measured; twice as often costs 8 %.
CHUNK = 128
FLOAT_BYTES = 4

# Up to so many columns of a panel are taken vector by vector, at nine tenths of the speed: 64 columns are a panel and a
# vector, not two panels.
NARROW = PANEL - LANES

# Cache lines to ask for in each step, so that all passes over a slice together have asked for the whole next one:
# a step needs PANEL · 4 bytes, shared by that many passes.
LINES = PANEL * FLOAT_BYTES // 64
RESTS = 2  # with many passes, one in 2^RESTS steps: bursts wait for memory

_full = micro_kernel(ROWS, VECTORS)
_full_1, _full_2, _full_3 = (micro_kernel(ROWS, VECTORS, lines) for lines in (1, 2, 3))
_sparing = micro_kernel(ROWS, VECTORS, 1, RESTS)
_rest: Any = {rows: micro_kernel(rows, VECTORS) for rows in range(1, 8)}
_rest_1, _rest_2, _rest_3, _rest_4, _rest_5, _rest_6, _rest_7 = (_rest[rows] for rows in range(1, 8))
_rest_asking: Any = {rows: micro_kernel(rows, VECTORS, 1) for rows in range(1, 8)}
_asking_1, _asking_2, _asking_3, _asking_4, _asking_5, _asking_6, _asking_7 = (_rest_asking[n] for n in range(1, 8))
_thin: Any = {rows: micro_kernel(rows, 1) for rows in range(1, 9)}
_thin_1, _thin_2, _thin_3, _thin_4, _thin_5, _thin_6, _thin_7, _thin_8 = (_thin[rows] for rows in range(1, 9))


@part
def multiply_rows(
    kind: Any, rows: int, a: int, lda: int, b: int, ldb: int, c: int, ldc: int, depth: int, add: int
) -> None:
    """C[rows, PANEL] (+)= A[rows, depth] · B[depth, PANEL] for any number of rows; addresses and words."""
    row = 0
    while row + ROWS <= rows:
        _full(kind, a + FLOAT_BYTES * row * lda, lda, b, ldb, c + FLOAT_BYTES * row * ldc, ldc, depth, add, 0)
        row += ROWS
    if row < rows:
        _multiply_rest(
            kind, rows - row, a + FLOAT_BYTES * row * lda, lda, b, ldb, c + FLOAT_BYTES * row * ldc, ldc, depth, add
        )


@part
def multiply_rows_thin(
    kind: Any, rows: int, a: int, lda: int, b: int, ldb: int, c: int, ldc: int, depth: int, add: int
) -> None:
    """The same for one vector of columns."""
    row = 0
    while row < rows:
        a_row, c_row = a + FLOAT_BYTES * row * lda, c + FLOAT_BYTES * row * ldc
        count = min(8, rows - row)
        if count == 8:
            _thin_8(kind, a_row, lda, b, ldb, c_row, ldc, depth, add, 0)
        elif count == 7:
            _thin_7(kind, a_row, lda, b, ldb, c_row, ldc, depth, add, 0)
        elif count == 6:
            _thin_6(kind, a_row, lda, b, ldb, c_row, ldc, depth, add, 0)
        elif count == 5:
            _thin_5(kind, a_row, lda, b, ldb, c_row, ldc, depth, add, 0)
        elif count == 4:
            _thin_4(kind, a_row, lda, b, ldb, c_row, ldc, depth, add, 0)
        elif count == 3:
            _thin_3(kind, a_row, lda, b, ldb, c_row, ldc, depth, add, 0)
        elif count == 2:
            _thin_2(kind, a_row, lda, b, ldb, c_row, ldc, depth, add, 0)
        else:
            _thin_1(kind, a_row, lda, b, ldb, c_row, ldc, depth, add, 0)
        row += count


@part
def _multiply_rest(
    kind: Any, rows: int, a: int, lda: int, b: int, ldb: int, c: int, ldc: int, depth: int, add: int
) -> None:
    if rows == 1:
        _rest_1(kind, a, lda, b, ldb, c, ldc, depth, add, 0)
    elif rows == 2:
        _rest_2(kind, a, lda, b, ldb, c, ldc, depth, add, 0)
    elif rows == 3:
        _rest_3(kind, a, lda, b, ldb, c, ldc, depth, add, 0)
    elif rows == 4:
        _rest_4(kind, a, lda, b, ldb, c, ldc, depth, add, 0)
    elif rows == 5:
        _rest_5(kind, a, lda, b, ldb, c, ldc, depth, add, 0)
    elif rows == 6:
        _rest_6(kind, a, lda, b, ldb, c, ldc, depth, add, 0)
    else:
        _rest_7(kind, a, lda, b, ldb, c, ldc, depth, add, 0)


@part
def _multiply_rest_asking(
    kind: Any, rows: int, a: int, lda: int, b: int, ldb: int, c: int, ldc: int, depth: int, add: int, fetch: int
) -> None:
    """After one whole pass, which has asked for two of three lines: memory would have nothing to do meanwhile."""
    if rows == 1:
        _asking_1(kind, a, lda, b, ldb, c, ldc, depth, add, fetch)
    elif rows == 2:
        _asking_2(kind, a, lda, b, ldb, c, ldc, depth, add, fetch)
    elif rows == 3:
        _asking_3(kind, a, lda, b, ldb, c, ldc, depth, add, fetch)
    elif rows == 4:
        _asking_4(kind, a, lda, b, ldb, c, ldc, depth, add, fetch)
    elif rows == 5:
        _asking_5(kind, a, lda, b, ldb, c, ldc, depth, add, fetch)
    elif rows == 6:
        _asking_6(kind, a, lda, b, ldb, c, ldc, depth, add, fetch)
    else:
        _asking_7(kind, a, lda, b, ldb, c, ldc, depth, add, fetch)


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
            if passes >= LINES << RESTS:
                _sparing(kind, a_row, lda, slice_, PANEL, c_row, ldc, steps, add, after + turn * steps * (64 >> RESTS))
            elif passes >= LINES and turn < LINES:
                _full_1(kind, a_row, lda, slice_, PANEL, c_row, ldc, steps, add, after + turn * steps * 64)
            elif passes <= 2 and rows > ROWS and LINES == 3:
                _full_2(kind, a_row, lda, slice_, PANEL, c_row, ldc, steps, add, after + turn * steps * 128)
            elif passes == 1:
                _full_3(kind, a_row, lda, slice_, PANEL, c_row, ldc, steps, add, after)
            else:
                _full(kind, a_row, lda, slice_, PANEL, c_row, ldc, steps, add, 0)
        rest = rows - passes * ROWS
        if rest:
            done = FLOAT_BYTES * passes * ROWS
            a_row, c_row = a_slice + done * lda, c + done * ldc
            if passes == 1 and LINES == 3:
                _multiply_rest_asking(
                    kind, rest, a_row, lda, slice_, PANEL, c_row, ldc, steps, add, after + steps * 128
                )
            else:
                _multiply_rest(kind, rest, a_row, lda, slice_, PANEL, c_row, ldc, steps, add)


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
