"""The feed-forward part of a layer."""

from __future__ import annotations

from ..weights import Array, Dense
from .activations import activate
from .dense import dense


def feed_forward(x: Array, intermediate: Dense[Array], output: Dense[Array], hidden_act: str) -> Array:
    """act(x · W₁ + b₁) · W₂ + b₂ (FFN-4.1); dropout, residual and LayerNorm follow in the encoder.

    Args:
        x: (…, hidden_size).
        intermediate: kernel (hidden_size, intermediate_size), bias (intermediate_size,).
        output: kernel (intermediate_size, hidden_size), bias (hidden_size,).
        hidden_act: the activation's name.

    Returns:
        (…, hidden_size).
    """
    inner = activate(dense(x, intermediate.kernel, intermediate.bias), hidden_act)
    return dense(inner, output.kernel, output.bias)
