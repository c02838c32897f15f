"""The dense layer."""

from __future__ import annotations

from ..weights import Array


def dense(x: Array, kernel: Array, bias: Array) -> Array:
    """x · kernel + bias.

    Args:
        x: (…, in).
        kernel: (in, out).
        bias: (out,).

    Returns:
        (…, out).
    """
    return x @ kernel + bias
