"""AdamW: from the gradient of one tensor to its next values."""

from __future__ import annotations

import math

import numpy as np

from ..weights import Array


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
    """One update of θ with the gradient g, the rate η and the decay λ, t counting from 1.

        m ← β₁ m + (1 − β₁) g          m̂ = m / (1 − β₁ᵗ)
        v ← β₂ v + (1 − β₂) g²         v̂ = v / (1 − β₂ᵗ)
        θ ← θ − η λ θ − η m̂ / (√v̂ + ε)

    Args:
        weight: θ, any shape.
        gradient: g, the same shape, as all that follow.
        first: m of the step before, 0 before the first.
        second: v likewise.
        step: t.
        rate: η.
        betas: β₁ and β₂.
        epsilon: ε.
        weight_decay: λ.

    Returns:
        the new θ, m and v; what was passed stays as it is.

    Source: Kingma and Ba, Adam, algorithm 1; Loshchilov and Hutter, Decoupled Weight Decay Regularization, algorithm 2,
    with η in front of λ as in PyTorch. Keras adds its ε to √v instead of √v̂, another number in the first steps.
    """
    beta1, beta2 = betas
    first = beta1 * first + (1.0 - beta1) * gradient
    second = beta2 * second + (1.0 - beta2) * np.square(gradient)
    root = np.sqrt(second) * (1.0 / math.sqrt(1.0 - beta2**step)) + epsilon
    return weight * (1.0 - rate * weight_decay) - first / root * (rate / (1.0 - beta1**step)), first, second
