"""The twin of equations.gradients.dropout."""

from __future__ import annotations

import numpy as np

from ...weights import Array
from ..dropout import dropout


def dropout_vjp(upstream: Array, rate: float, generator: np.random.Generator | None) -> Array:
    """Twin of equations.gradients.dropout.dropout_vjp."""
    return dropout(upstream, rate, generator)
