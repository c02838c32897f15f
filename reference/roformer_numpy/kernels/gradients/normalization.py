"""The twin of equations.gradients.normalization: two passes over a row that is in the cache."""

from __future__ import annotations

import numpy as np

from ...weights import Array, LayerNorm
from ..arrays import readable, readable_rows
from ..elementary import add
from ..jit import kernel
from ..normalization import moments


def layer_norm_vjp(upstream: Array, x: Array, gamma: Array, eps: float) -> tuple[Array, LayerNorm[Array]]:
    """Twin of equations.gradients.normalization.layer_norm_vjp."""
    dtype = np.result_type(upstream, x, gamma)
    rows, by_x = readable_rows(x, dtype), np.empty(x.shape, dtype)
    sums = np.zeros((2, x.shape[-1]))
    differentiate_rows(
        readable_rows(upstream, dtype), rows, readable(gamma, dtype), float(eps), by_x.reshape(rows.shape), sums
    )
    by_gamma, by_beta = sums.astype(dtype)
    return by_x, LayerNorm(by_gamma, by_beta)


@kernel
def differentiate_rows(upstream: Array, x: Array, gamma: Array, eps: float, by_x: Array, sums: Array) -> None:
    """by_x ← the gradient of every row; sums (2, width) += those of gamma and beta."""
    rows, width = x.shape
    for row in range(rows):
        mean, scale = moments(x[row], eps)
        whole, along = 0.0, 0.0
        for column in range(width):
            normal = (np.float64(x[row, column]) - mean) * scale
            given = np.float64(upstream[row, column])
            part = given * np.float64(gamma[column])
            sums[0, column] += given * normal
            sums[1, column] += given
            whole = add(whole, part)
            along = add(along, part * normal)
        for column in range(width):
            normal = (np.float64(x[row, column]) - mean) * scale
            part = np.float64(upstream[row, column]) * np.float64(gamma[column])
            by_x[row, column] = (part - whole / width - normal * (along / width)) * scale
