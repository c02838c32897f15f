"""The gradient of the feed-forward part of a layer."""

from __future__ import annotations

from ...weights import Array, Dense
from ..activations import activate
from ..dense import dense
from .activations import activate_vjp
from .dense import dense_vjp


def feed_forward_vjp(
    upstream: Array, x: Array, intermediate: Dense[Array], output: Dense[Array], hidden_act: str
) -> tuple[Array, Dense[Array], Dense[Array]]:
    """What moves act(x · W₁ + b₁) · W₂ + b₂: the chain rule through its three parts, the last one first.

    The inner features are computed again: kept, they would be the largest part of what a forward pass has to keep.

    Args:
        upstream: (…, hidden_size).
        x: (…, hidden_size).
        intermediate: kernel (hidden_size, intermediate_size), bias (intermediate_size,).
        output: kernel (intermediate_size, hidden_size), bias (hidden_size,).
        hidden_act: the activation's name.

    Returns:
        by x, its shape; by intermediate and by output, kernel and bias each.
    """
    before = dense(x, intermediate.kernel, intermediate.bias)
    by_inner, by_output = dense_vjp(upstream, activate(before, hidden_act), output.kernel)
    by_x, by_intermediate = dense_vjp(activate_vjp(by_inner, before, hidden_act), x, intermediate.kernel)
    return by_x, by_intermediate, by_output
