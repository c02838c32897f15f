"""The twin of equations.normalization."""

from __future__ import annotations

import math

import numpy as np

from ..weights import Array
from .arrays import readable, readable_rows
from .elementary import add
from .jit import inlined, kernel


def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """Twin of equations.normalization.layer_norm."""
    dtype = np.result_type(x, gamma, beta)
    result = np.empty(x.shape, dtype)
    rows = readable_rows(x, dtype)
    normalize_rows(rows, readable(gamma, dtype), readable(beta, dtype), float(eps), result.reshape(rows.shape))
    return result


@kernel
def normalize_rows(x: Array, gamma: Array, beta: Array, eps: float, result: Array) -> None:
    """Every row of result ← the normalized row of x, computed in float64 and rounded once."""
    rows, width = x.shape
    for row in range(rows):
        mean, scale = moments(x[row], eps)
        for column in range(width):
            centred = np.float64(x[row, column]) - mean
            result[row, column] = centred * scale * np.float64(gamma[column]) + np.float64(beta[column])


@inlined
def moments(x: Array, eps: float) -> tuple[float, float]:
    """The mean of a row and 1 / √(variance + eps)."""
    total, squares = 0.0, 0.0
    for column in range(x.shape[0]):
        total = add(total, np.float64(x[column]))
    mean = total / x.shape[0]
    for column in range(x.shape[0]):
        centred = np.float64(x[column]) - mean
        squares = add(squares, centred * centred)
    return mean, 1.0 / math.sqrt(squares / x.shape[0] + eps)
