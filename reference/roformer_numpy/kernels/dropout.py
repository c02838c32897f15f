"""The twin of equations.dropout. NumPy draws the numbers, so that both drop the same elements."""

from __future__ import annotations

import numpy as np

from ..weights import Array
from .arrays import readable
from .jit import kernel


def dropout(x: Array, rate: float, generator: np.random.Generator | None) -> Array:
    """Twin of equations.dropout.dropout."""
    if generator is None or rate == 0.0:
        return x
    if rate == 1.0:
        return np.zeros_like(x)
    result = np.empty(x.shape, x.dtype)
    drawn = generator.random(x.shape)
    keep_or_drop(
        readable(x, x.dtype).reshape(-1), readable(drawn, np.float64).reshape(-1), float(rate), result.reshape(-1)
    )
    return result


@kernel
def keep_or_drop(x: Array, drawn: Array, rate: float, result: Array) -> None:
    """result ← x / (1 − rate) where the drawn number reaches the rate, else 0."""
    kept = x.dtype.type(1.0 - rate)
    for index in range(x.shape[0]):
        scaled = x[index] / kept
        result[index] = scaled if drawn[index] >= rate else 0.0
