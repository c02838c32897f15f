"""The table of gradients with numba's in it; imported by those who ask for the kernels."""

from __future__ import annotations

from dataclasses import replace

from ..kernels.gradients import (
    activations,
    attention,
    dropout,
    embedding,
    feed_forward,
    losses,
    normalization,
    rotary,
)
from .table import EQUATIONS

KERNELS = replace(
    EQUATIONS,
    name="kernels",
    lookup=embedding.lookup_vjp,
    add_token_types=embedding.add_token_types_vjp,
    layer_norm=normalization.layer_norm_vjp,
    rotate=rotary.rotate_vjp,
    attention_probs=attention.attention_probs_vjp,
    feed_forward=feed_forward.feed_forward_vjp,
    activate=activations.activate_vjp,
    dropout=dropout.dropout_vjp,
    cross_entropy=losses.cross_entropy_vjp,
    active_cross_entropy=losses.active_cross_entropy_vjp,
)
