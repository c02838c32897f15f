"""The table that joins the two arithmetics: the encoder and the heads are written once over it.

`EQUATIONS` is the definition, `KERNELS` the same functions in numba. A difference between the two is bisected by
exchanging one entry: `dataclasses.replace(KERNELS, layer_norm=EQUATIONS.layer_norm)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .equations import activations, attention, dense, dropout, embedding, feed_forward, losses, normalization, rotary
from .weights import Array

Function = Callable[..., Array]


@dataclass(frozen=True)
class Components:
    """One function for each component; the docstrings of `equations/` say what each must return."""

    name: str
    lookup: Function
    add_token_types: Function
    layer_norm: Function
    dense: Function
    rotary_table: Callable[..., tuple[Array, Array]]
    rotate: Function
    attention_scores: Function
    attention_probs: Function
    attend: Function
    feed_forward: Function
    activate: Function
    dropout: Function
    cross_entropy: Function
    active_cross_entropy: Function
    span_cross_entropy: Function
    squared_error: Function
    binary_cross_entropy: Function
    reduce_loss: Function

    @property
    def compiled(self) -> bool:
        """Whether these are the kernels, with the engine or without."""
        return self.name in COMPILED


# The kernels with the engine in front of them, and the same table for who wants them one after the other.
COMPILED = (WITH_ENGINE, WITHOUT_ENGINE) = ("kernels", "components")

EQUATIONS = Components(
    name="equations",
    lookup=embedding.lookup,
    add_token_types=embedding.add_token_types,
    layer_norm=normalization.layer_norm,
    dense=dense.dense,
    rotary_table=rotary.rotary_table,
    rotate=rotary.rotate,
    attention_scores=attention.attention_scores,
    attention_probs=attention.attention_probs,
    attend=attention.attend,
    feed_forward=feed_forward.feed_forward,
    activate=activations.activate,
    dropout=dropout.dropout,
    cross_entropy=losses.cross_entropy,
    active_cross_entropy=losses.active_cross_entropy,
    span_cross_entropy=losses.span_cross_entropy,
    squared_error=losses.squared_error,
    binary_cross_entropy=losses.binary_cross_entropy,
    reduce_loss=losses.reduce_loss,
)
