"""Rotary position embedding: tables of constants, and the turning of pairs (ROT-2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

BASE = 10000.0

Table = tuple[NDArray[np.float64], NDArray[np.float64]]
Rotation = tuple[tf.Tensor, tf.Tensor]


def angle_table(max_positions: int, head_dim: int) -> Table:
    """cos and sin of p · 10000^(−2i/d) for every position p and pair i.

    Computed in float64 whatever the model's type, and no variable: nothing can train it (ROT-2.8, ROT-2.9).

    Returns:
        two float64 arrays (max_positions, head_dim / 2).
    """
    theta = np.power(BASE, -np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
    angles = np.outer(np.arange(max_positions, dtype=np.float64), theta)
    return np.cos(angles), np.sin(angles)


def rotation_of(table: Table, first: Any, last: Any, dtype: str) -> Rotation:
    """The rows of positions `first` to `last` − 1 as constants of `dtype`; the bounds may be tensors.

    Positions beyond the table are refused by TensorFlow: what a slice would leave of them, a graph might broadcast.
    """
    shape = (last - first, table[0].shape[1])
    cos, sin = (tf.reshape(tf.constant(part, dtype)[first:last], shape) for part in table)
    return cos, sin


def rotate(x: tf.Tensor, rotation: Rotation) -> tf.Tensor:
    """Turn the pair (2i, 2i+1) = (a, b) of each position to (a·cos − b·sin, b·cos + a·sin).

    Args:
        x: (batch, heads, seq_len, head_dim).
        rotation: cos and sin, (seq_len, head_dim / 2) each.

    Returns:
        The shape of x.
    """
    cos, sin = rotation
    shape = tf.shape(x)
    pairs = tf.reshape(x, tf.concat([shape[:-1], [x.shape[-1] // 2, 2]], axis=0))
    a, b = tf.unstack(pairs, axis=-1)
    return tf.reshape(tf.stack([a * cos - b * sin, b * cos + a * sin], axis=-1), shape)
