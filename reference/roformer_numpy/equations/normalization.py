"""Layer normalization (Ba et al. 2016, arXiv:1607.06450; FFN-4.3, FFN-4.4)."""

from __future__ import annotations

import numpy as np

from ..weights import Array


def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """(x − mean) / √(variance + eps) · gamma + beta, over the last axis, with the biased variance.

    Args:
        x: (…, width).
        gamma: (width,).
        beta: (width,).
        eps: inside the root.

    Returns:
        The shape of x.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    return centred / np.sqrt(variance + eps) * gamma + beta
