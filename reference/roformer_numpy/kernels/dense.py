"""The twin of equations.dense: NumPy's product, which BLAS computes, over all rows at once."""

from __future__ import annotations

import math

import numpy as np

from ..weights import Array


def dense(x: Array, kernel: Array, bias: Array) -> Array:
    """Twin of equations.dense.dense."""
    product = multiply(x, kernel)
    if np.result_type(product, bias) != product.dtype:
        return product + bias
    product += bias
    return product


def multiply(x: Array, kernel: Array) -> Array:
    """x · kernel with the rows of all sequences in one product: NumPy makes one for each sequence otherwise."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return (rows @ kernel).reshape(*x.shape[:-1], kernel.shape[-1])
