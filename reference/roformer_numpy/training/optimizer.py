"""AdamW over a whole tree of weights, and the clipping of gradients before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..components import Components
from ..equations.optimization import adamw
from ..weights import Array, Weights, map_leaves, named_leaves

Rule = Callable[..., tuple[Array, Array, Array]]

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
    """The constants of the rule, and the rule."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01
    rule: Rule = adamw  # of one tensor, by the equations or in numba

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
            old = weight, gradients[name], moments.first[name], moments.second[name]
            moved[name], first[name], second[name] = self.rule(
                *old, step, rate, (self.beta1, self.beta2), self.epsilon, decay
            )
        return map_leaves(lambda name, leaf: moved[name], weights), Moments(step, first, second)


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


def rule_for(components: Components) -> Rule:
    """The rule that goes with an arithmetic: numba's for the kernels, else the equations'."""
    if not components.compiled:
        return adamw
    from ..kernels.optimization import adamw as compiled  # numba is imported by those who ask for it

    return compiled
