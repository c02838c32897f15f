"""The twin of equations.gradients.rotary."""

from __future__ import annotations

from ...weights import Array
from ..rotary import rotate


def rotate_vjp(upstream: Array, cos: Array, sin: Array) -> Array:
    """Twin of equations.gradients.rotary.rotate_vjp."""
    return rotate(upstream, cos, -sin)
