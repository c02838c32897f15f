"""The gradient of dropout."""

from __future__ import annotations

import numpy as np

from ...weights import Array
from ..dropout import dropout


def dropout_vjp(upstream: Array, rate: float, generator: np.random.Generator | None) -> Array:
    """What moves the elements that were kept: the same elements, scaled the same.

    y = D x with D diagonal, 0 or 1/(1 − rate): the transpose of D is D, so that the gradient goes through the very
    dropout that the features went through.

    Args:
        upstream: the shape of x.
        rate: in [0, 1].
        generator: as it stood when the features were dropped; it is drawn from. None means inference.

    Returns:
        The shape of x.
    """
    return dropout(upstream, rate, generator)
