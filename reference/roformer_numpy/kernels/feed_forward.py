"""The twin of equations.feed_forward: bias and activation in one pass over the first product."""

from __future__ import annotations

import numpy as np

from ..weights import Array, Dense
from .activations import add_bias_then_activate
from .dense import dense, multiply


def feed_forward(x: Array, intermediate: Dense[Array], output: Dense[Array], hidden_act: str) -> Array:
    """Twin of equations.feed_forward.feed_forward."""
    dtype = np.result_type(x, intermediate.kernel, intermediate.bias)
    inner = np.ascontiguousarray(multiply(x, intermediate.kernel), dtype)
    add_bias_then_activate(inner, intermediate.bias, hidden_act)
    return dense(inner, output.kernel, output.bias)
