"""The table of gradients: for each component the function that differentiates it, whatever arithmetic ran forward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..components import Components
from ..equations.gradients import (
    activations,
    attention,
    dense,
    dropout,
    embedding,
    feed_forward,
    losses,
    normalization,
    rotary,
)

# Takes the gradient by a component's result and what `tape.KEPT` keeps of the call; the docstrings of
# `equations/gradients/` say what each must return.
Product = Callable[..., Any]


@dataclass(frozen=True)
class Derivatives:
    """One vector-Jacobian product for each component, under the component's name."""

    name: str
    lookup: Product
    add_token_types: Product
    layer_norm: Product
    dense: Product
    rotate: Product
    attention_scores: Product
    attention_probs: Product
    attend: Product
    feed_forward: Product
    activate: Product
    dropout: Product
    cross_entropy: Product
    active_cross_entropy: Product
    span_cross_entropy: Product
    squared_error: Product
    binary_cross_entropy: Product


EQUATIONS = Derivatives(
    name="equations",
    lookup=embedding.lookup_vjp,
    add_token_types=embedding.add_token_types_vjp,
    layer_norm=normalization.layer_norm_vjp,
    dense=dense.dense_vjp,
    rotate=rotary.rotate_vjp,
    attention_scores=attention.attention_scores_vjp,
    attention_probs=attention.attention_probs_vjp,
    attend=attention.attend_vjp,
    feed_forward=feed_forward.feed_forward_vjp,
    activate=activations.activate_vjp,
    dropout=dropout.dropout_vjp,
    cross_entropy=losses.cross_entropy_vjp,
    active_cross_entropy=losses.active_cross_entropy_vjp,
    span_cross_entropy=losses.span_cross_entropy_vjp,
    squared_error=losses.squared_error_vjp,
    binary_cross_entropy=losses.binary_cross_entropy_vjp,
)


def derivatives_for(components: Components) -> Derivatives:
    """The gradients that go with an arithmetic: the kernels' own for the kernels, else the equations'."""
    if not components.compiled:
        return EQUATIONS
    from .kernels import KERNELS  # numba is imported by those who ask for it

    return KERNELS
