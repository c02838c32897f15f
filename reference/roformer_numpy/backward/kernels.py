"""The table of gradients with numba's in it; imported by those who ask for the kernels."""

from __future__ import annotations

from dataclasses import replace

from ..kernels.gradients import activations, attention, feed_forward
from .table import EQUATIONS

KERNELS = replace(
    EQUATIONS,
    name="kernels",
    attention_probs=attention.attention_probs_vjp,
    feed_forward=feed_forward.feed_forward_vjp,
    activate=activations.activate_vjp,
)
