"""Dropout with an explicit generator (TRAIN-1.2, TRAIN-1.4)."""

from __future__ import annotations

import numpy as np

from ..weights import Array


def dropout(x: Array, rate: float, generator: np.random.Generator | None) -> Array:
    """Zero each element with probability `rate` and scale what is kept by 1/(1 − rate).

    Args:
        x: any shape.
        rate: in [0, 1].
        generator: where the randomness comes from; None means inference, which changes nothing.

    Returns:
        The shape of x.
    """
    if generator is None or rate == 0.0:
        return x
    if rate == 1.0:
        return np.zeros_like(x)
    kept = generator.random(x.shape) >= rate
    return np.where(kept, x / (1.0 - rate), 0.0).astype(x.dtype)
