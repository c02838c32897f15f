"""The twin of equations.rotary."""

from __future__ import annotations

import numpy as np

from ..weights import Array
from .arrays import readable
from .jit import kernel


def rotate(x: Array, cos: Array, sin: Array) -> Array:
    """Twin of equations.rotary.rotate."""
    dtype = np.result_type(x, cos, sin)
    result = np.empty(x.shape, dtype)
    # heads split from a dense layer are contiguous in this order of axes, so the encoder's arrays are not copied
    turn_pairs(readable(x.transpose(0, 2, 1, 3), dtype), readable(cos, dtype), readable(sin, dtype), result)
    return result


@kernel
def turn_pairs(x: Array, cos: Array, sin: Array, result: Array) -> None:
    """result (batch, heads, seq_len, head_dim) ← the turned pairs of x (batch, seq_len, heads, head_dim)."""
    batch, seq_len, heads, head_dim = x.shape
    for sequence in range(batch):
        for head in range(heads):
            for position in range(seq_len):
                source, turned = x[sequence, position, head], result[sequence, head, position]
                for pair in range(head_dim // 2):
                    a, b = source[2 * pair], source[2 * pair + 1]
                    turned[2 * pair] = a * cos[position, pair] - b * sin[position, pair]
                    turned[2 * pair + 1] = b * cos[position, pair] + a * sin[position, pair]
