"""The twin of equations.gradients.feed_forward."""

from __future__ import annotations

from ...equations.gradients.dense import dense_vjp
from ...weights import Array, Dense
from ..activations import activate
from ..dense import dense
from .activations import activate_vjp


def feed_forward_vjp(
    upstream: Array, x: Array, intermediate: Dense[Array], output: Dense[Array], hidden_act: str
) -> tuple[Array, Dense[Array], Dense[Array]]:
    """Twin of equations.gradients.feed_forward.feed_forward_vjp."""
    before = dense(x, intermediate.kernel, intermediate.bias)
    by_inner, by_output = dense_vjp(upstream, activate(before, hidden_act), output.kernel)
    by_x, by_intermediate = dense_vjp(activate_vjp(by_inner, before, hidden_act), x, intermediate.kernel)
    return by_x, by_intermediate, by_output
