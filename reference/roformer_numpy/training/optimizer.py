"""AdamW, and the clipping of gradients before it.

With the gradient g of step t = 1, 2, …, the rate η and the decay λ:

    m ← β₁ m + (1 − β₁) g          m̂ = m / (1 − β₁ᵗ)
    v ← β₂ v + (1 − β₂) g²         v̂ = v / (1 − β₂ᵗ)
    θ ← θ − η λ θ − η m̂ / (√v̂ + ε)

Source: Kingma and Ba, Adam, algorithm 1; Loshchilov and Hutter, Decoupled Weight Decay Regularization, algorithm 2,
with η in front of λ as in PyTorch. Keras adds its ε to √v instead of √v̂, which is another number in the first steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..weights import Array, Weights, map_leaves, named_leaves

# Scales and shifts are few and have no reason to be near 0.
UNDECAYED = (".bias", ".beta", ".gamma")


@dataclass(frozen=True)
class Moments:
    """What AdamW remembers: how many updates it made, and the running means of every gradient and of its square."""

    updates: int
    first: Mapping[str, Array]  # m by the weight's name, of its shape
    second: Mapping[str, Array]  # v likewise


@dataclass(frozen=True)
class AdamW:
    """The constants of the rule."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01

    def start(self, weights: Weights[Array]) -> Moments:
        """Before the first update: nothing remembered."""
        leaves = named_leaves(weights)
        zeros = [{name: np.zeros_like(leaf) for name, leaf in leaves.items()} for _ in range(2)]
        return Moments(0, *zeros)

    def update(
        self, weights: Weights[Array], gradients: Mapping[str, Array], moments: Moments, rate: float
    ) -> tuple[Weights[Array], Moments]:
        """One update; nothing that was passed is changed.

        Args:
            weights: the tree.
            gradients: by the weight's name.
            moments: as they were returned by the last update.
            rate: the learning rate η.

        Returns:
            the new weights and the new moments.
        """
        step, moved, first, second = moments.updates + 1, {}, {}, {}
        for name, weight in named_leaves(weights).items():
            decay = 0.0 if name.endswith(UNDECAYED) else self.weight_decay
            first[name], second[name] = self._means(gradients[name], moments.first[name], moments.second[name])
            moved[name] = weight * (1.0 - rate * decay) + self._move(first[name], second[name], step, rate)
        return map_leaves(lambda name, leaf: moved[name], weights), Moments(step, first, second)

    def _means(self, gradient: Array, first: Array, second: Array) -> tuple[Array, Array]:
        first = self.beta1 * first + (1.0 - self.beta1) * gradient
        return first, self.beta2 * second + (1.0 - self.beta2) * np.square(gradient)

    def _move(self, first: Array, second: Array, step: int, rate: float) -> Array:
        """−η m̂ / (√v̂ + ε)."""
        root = np.sqrt(second) * (1.0 / math.sqrt(1.0 - self.beta2**step)) + self.epsilon
        return first / root * (-rate / (1.0 - self.beta1**step))


def clipped(gradients: Mapping[str, Array], limit: float | None) -> tuple[Mapping[str, Array], float]:
    """The gradients, all scaled alike where together they are longer than `limit`, and how long they were.

    Args:
        gradients: by name.
        limit: of √Σ g² over all of them; None scales nothing.
    """
    norm = math.sqrt(sum(float(np.sum(np.square(array), dtype=np.float64)) for array in gradients.values()))
    if limit is None or not norm > limit:  # NaN is left to be seen
        return gradients, norm
    return {name: array * (limit / norm) for name, array in gradients.items()}, norm
