"""The gradient of the rotary position embedding."""

from __future__ import annotations

from ...weights import Array
from ..rotary import rotate


def rotate_vjp(upstream: Array, cos: Array, sin: Array) -> Array:
    """What moves features that were turned: the gradient, turned back.

    A rotation is linear and its transpose is its inverse, the rotation by the opposite angle: (cos, −sin). The tables
    themselves are constants (ROT-2.9).

    Args:
        upstream: (batch, heads, seq_len, head_dim).
        cos: (seq_len, head_dim/2).
        sin: the same.

    Returns:
        The shape of upstream.
    """
    return rotate(upstream, cos, -sin)
