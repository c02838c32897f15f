"""Rotary position embedding (Su et al. 2021, arXiv:2104.09864, section 3.2; ROT-2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ..weights import Array

ROTARY_BASE = 10000.0


def rotary_table(positions: Array, head_dim: int, dtype: DTypeLike) -> tuple[Array, Array]:
    """cos(p·θ_i) and sin(p·θ_i) with θ_i = 10000^(−2i/d).

    The angles are computed in float64 whatever the model's type: at position 1500 a float32 angle is off by 1e-4.

    Args:
        positions: integers, (seq_len,).
        head_dim: d, even.
        dtype: of the result.

    Returns:
        cos and sin, each (seq_len, d/2).

    Source: equation 15 of the paper; ROT-2.1, ROT-2.8.
    """
    theta = ROTARY_BASE ** (-2.0 * np.arange(head_dim // 2) / head_dim)
    angles = positions[:, None].astype(np.float64) * theta
    return np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)


def rotate(x: Array, cos: Array, sin: Array) -> Array:
    """Turn each pair (2i, 2i+1) = (a, b) of every position by its angle: (a·cos − b·sin, b·cos + a·sin).

    Args:
        x: (batch, heads, seq_len, head_dim).
        cos: (seq_len, head_dim/2).
        sin: the same.

    Returns:
        The shape of x.

    Source: equation 34 of the paper; ROT-2.2. The pairs are interleaved, not the two halves of the head.
    """
    a, b = x[..., 0::2], x[..., 1::2]
    turned = np.stack([a * cos - b * sin, b * cos + a * sin], axis=-1)
    return turned.reshape(x.shape)
