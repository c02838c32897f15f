"""The twin of equations.optimization: one pass over memory where NumPy makes ten."""

from __future__ import annotations

import math

import numpy as np

from ..weights import Array
from .arrays import readable
from .jit import kernel


def adamw(
    weight: Array,
    gradient: Array,
    first: Array,
    second: Array,
    step: int,
    rate: float,
    betas: tuple[float, float],
    epsilon: float,
    weight_decay: float,
) -> tuple[Array, Array, Array]:
    """Twin of equations.optimization.adamw."""
    result = np.empty((3, *weight.shape), weight.dtype)
    tensors = (weight, gradient, first, second)
    theta, slope, mean, square = (readable(tensor, weight.dtype).reshape(-1) for tensor in tensors)
    constants = float(betas[0]), float(betas[1]), float(epsilon)
    factors = 1.0 - rate * weight_decay, rate / (1.0 - betas[0] ** step), 1.0 / math.sqrt(1.0 - betas[1] ** step)
    update_elements(theta, slope, mean, square, constants, factors, result.reshape(3, -1))
    return result[0].copy(), result[1], result[2]  # the weights alone may live on


@kernel
def update_elements(
    weight: Array,
    gradient: Array,
    first: Array,
    second: Array,
    constants: tuple[float, float, float],
    factors: tuple[float, float, float],
    result: Array,
) -> None:
    """result ← the new weights, first and second moments, each computed in float64 and rounded once.

    constants are β₁, β₂, ε; factors 1 − η λ, η / (1 − β₁ᵗ), 1 / √(1 − β₂ᵗ).
    """
    (beta1, beta2, epsilon), (kept, pace, scale) = constants, factors
    for index in range(weight.shape[0]):
        slope = np.float64(gradient[index])
        mean = beta1 * np.float64(first[index]) + (1.0 - beta1) * slope
        square = beta2 * np.float64(second[index]) + (1.0 - beta2) * slope * slope
        result[0, index] = np.float64(weight[index]) * kept - mean / (math.sqrt(square) * scale + epsilon) * pace
        result[1, index] = mean
        result[2, index] = square
