"""What happens to one row between two products; each function reads and writes a row that is still in the cache."""

from __future__ import annotations

import math

import numpy as np

from ...weights import Array
from ..jit import part
from .sums import sum_of, sum_of_squares


@part
def add_normalize(x: Array, bias: Array, residual: Array, gamma: Array, beta: Array, eps: float, result: Array) -> None:
    """result ← LayerNorm(x + bias + residual), in float64; x is overwritten. `result` may be `residual`."""
    width = result.shape[0]
    for column in range(width):
        x[column] = x[column] + bias[column] + residual[column]
    normalize_row(x, gamma, beta, eps, result)


@part
def normalize_row(x: Array, gamma: Array, beta: Array, eps: float, result: Array) -> None:
    """result ← LayerNorm(x), in float64; it may be x itself."""
    width = result.shape[0]
    mean = sum_of(x.ctypes.data, width) / width
    scale = 1.0 / math.sqrt(sum_of_squares(x.ctypes.data, width, mean) / width + eps)
    for column in range(width):
        centred = np.float64(x[column]) - mean
        result[column] = centred * scale * np.float64(gamma[column]) + np.float64(beta[column])


@part
def turn(x: Array, bias: Array, cos: Array, sin: Array, result: Array) -> None:
    """result ← the rotated head x + bias, its even features in the first half, its odd ones after."""
    half = cos.shape[0]
    for pair in range(half):
        even, odd = x[pair] + bias[pair], x[half + pair] + bias[half + pair]
        result[pair] = even * cos[pair] - odd * sin[pair]
        result[half + pair] = odd * cos[pair] + even * sin[pair]
