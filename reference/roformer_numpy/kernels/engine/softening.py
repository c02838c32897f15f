"""The softmax of a tile of scores, as far as it goes before the next tile is seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...weights import Array
from ..jit import inlined, part
from .intrinsics import floats_at, larger
from .machine import FLOAT_BYTES
from .single import LOG2_E, exp2
from .sums import WIDE, clear, hide_after, highest_of, sum_of

# A product and a subtraction in one do not round the product, and `top` is a rounded one: from here on a row's highest
# score may be off from it by more than 1, and later by more than a power of two can hold.
EXACT = np.float32(2.0**24)


@part
def soften(
    visible: Array, start: int, count: int, scores: Array, before: int, highest: Array, total: Array, mixed: Array
) -> None:
    """Scores of a tile ← their exponentials; what is kept of a row is brought to its new highest score.

    eˢ⁻ᵗ = 2^(s·log₂e − t·log₂e): `highest` holds t·log₂e as it was rounded, so all tiles of a row subtract the same.
    """
    stride, first = FLOAT_BYTES * scores.shape[1], scores.ctypes.data + FLOAT_BYTES * before
    # three passes: in one, a row waits for the end of its maximum and of its sum
    for i in range(visible.shape[0]):
        seen = _seen(visible[i] - start, count)
        if seen > 0:
            row, whole = first + stride * i, _whole(seen)
            if seen < whole:
                hide_after(row, seen, whole)
            last: Any = np.float32(-np.inf) if start == 0 else highest[i]
            highest[i] = larger(last, highest_of(row, whole) * LOG2_E)
            if start > 0:
                _rescale(i, exp2(last - highest[i]), total, mixed)
    for i in range(visible.shape[0]):
        whole, top = _whole(_seen(visible[i] - start, count)), highest[i]
        exponentials = floats_at(first + stride * i, (whole,))
        if abs(top) < EXACT:
            for column in range(whole):
                exponentials[column] = exp2(exponentials[column] * LOG2_E - top)
        else:
            _soften_large(exponentials, top)
        clear(first + stride * i + FLOAT_BYTES * whole, max(count - whole, 0))
    for i in range(visible.shape[0]):
        partial: Any = np.float32(sum_of(first + stride * i, _whole(_seen(visible[i] - start, count))))
        total[i] = partial if start == 0 else total[i] + partial


@part
def _soften_large(scores: Array, top: Any) -> None:
    """The same for scores so large that the product must be rounded as `top` was before it is subtracted."""
    for column in range(scores.shape[0]):
        scores[column] *= LOG2_E
    for column in range(scores.shape[0]):
        scores[column] = exp2(scores[column] - top)


@inlined
def _seen(visible: int, count: int) -> int:
    return max(min(count, visible), 0)


@inlined
def _whole(seen: int) -> int:
    """Numbers of the vectors that hold so many scores."""
    return (seen + WIDE - 1) // WIDE * WIDE


@part
def _rescale(i: int, factor: float, total: Array, mixed: Array) -> None:
    total[i] *= factor
    row = mixed[i]
    for column in range(row.shape[0]):
        row[column] *= factor
