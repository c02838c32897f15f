"""The gradient of layer normalization."""

from __future__ import annotations

import numpy as np

from ...weights import Array, LayerNorm


def layer_norm_vjp(upstream: Array, x: Array, gamma: Array, eps: float) -> tuple[Array, LayerNorm[Array]]:
    """What moves x̂ · gamma + beta with x̂ = (x − μ) / σ, σ = √(variance + eps).

    Over a row of width n, ∂μ/∂x_j = 1/n and ∂σ/∂x_j = (x_j − μ) / (n σ) = x̂_j / n, therefore
    ∂x̂_i/∂x_j = (δ_ij − 1/n − x̂_i x̂_j / n) / σ. With g = upstream · gamma the row's gradient is
    (g − mean(g) − x̂ · mean(g · x̂)) / σ; it holds with eps as it does without.

    Args:
        upstream: (…, width).
        x: (…, width).
        gamma: (width,).
        eps: inside the root.

    Returns:
        by x, its shape; by gamma and beta, (width,) each.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    root = np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + eps)
    standard, scaled = centred / root, upstream * gamma
    along = np.mean(scaled * standard, axis=-1, keepdims=True)
    by_x = (scaled - scaled.mean(axis=-1, keepdims=True) - standard * along) / root
    rows = tuple(range(x.ndim - 1))
    return by_x, LayerNorm(gamma=(upstream * standard).sum(axis=rows), beta=upstream.sum(axis=rows))
