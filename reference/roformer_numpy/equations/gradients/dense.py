"""The gradient of the dense layer."""

from __future__ import annotations

from ...weights import Array, Dense


def dense_vjp(upstream: Array, x: Array, kernel: Array) -> tuple[Array, Dense[Array]]:
    """What moves x · kernel + bias.

    y_o = Σ_i x_i K_io + b_o gives ∂y_o/∂x_i = K_io, ∂y_o/∂K_io = x_i, ∂y_o/∂b_o = 1; kernel and bias serve every row,
    so that their gradients are sums over the rows.

    Args:
        upstream: (…, out).
        x: (…, in).
        kernel: (in, out).

    Returns:
        by x, (…, in); by kernel (in, out) and bias (out,).
    """
    rows, columns = x.reshape(-1, x.shape[-1]), upstream.reshape(-1, upstream.shape[-1])
    by_x = (columns @ kernel.T).reshape(x.shape)
    return by_x, Dense(kernel=rows.T @ columns, bias=columns.sum(axis=0))
