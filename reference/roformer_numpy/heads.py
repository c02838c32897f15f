"""What stands on top of the encoder: seven heads as functions, and the loss of each.

A head turns the encoder's states into the fields of its output; a loss turns those fields and the labels into numbers,
one for each prediction. `HEAD_FUNCTIONS` is the table that the models look themselves up in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, cast

import numpy as np

from .components import Components
from .config import RoFormerConfig
from .encoder import Encoded
from .inputs import Inputs
from .weights import Array, Dense, LanguageModelHead, LayerNorm, SequenceHead, Weights

Fields = dict[str, Array]


class Products(Protocol):
    """Who computes the products of a head, where it is not the components."""

    def dense(
        self, x: Array, weights: Dense[Array], activation: str = "", norm: LayerNorm[Array] | None = None
    ) -> Array:
        """LayerNorm(activation(x · kernel + bias)), the last two where they are asked for."""

    def vocabulary(self, x: Array, decoder: Array, bias: Array) -> Array:
        """x · decoderᵀ + bias."""


@dataclass(frozen=True)
class HeadContext:
    """What a head computes with."""

    inputs: Inputs
    weights: Weights[Array]
    config: RoFormerConfig
    components: Components
    products: Products | None = None

    def dense(
        self, x: Array, weights: Dense[Array], activation: str = "", norm: LayerNorm[Array] | None = None
    ) -> Array:
        """x · kernel + bias, then the activation and the LayerNorm where they are asked for."""
        if self.products:
            return self.products.dense(x, weights, activation, norm)
        x = self.components.dense(x, weights.kernel, weights.bias)
        x = self.components.activate(x, activation) if activation else x
        return self.components.layer_norm(x, norm.gamma, norm.beta, self.config.layer_norm_eps) if norm else x

    def vocabulary(self, x: Array, decoder: Array, bias: Array) -> Array:
        """x · decoderᵀ + bias, a number for every token of the vocabulary."""
        if self.products:
            return self.products.vocabulary(x, decoder, bias)
        return self.components.dense(x, decoder.T, bias)

    def dropout(self, x: Array) -> Array:
        """Dropout of hidden features."""
        return self.components.dropout(x, self.config.hidden_dropout_prob, self.inputs.generator)


def base(encoded: Encoded, context: HeadContext) -> Fields:
    """last_hidden_state, and pooler_output = tanh(W · last[:, 0] + b) where there is a pooler (OUT-4.1, OUT-4.3)."""
    hidden, pooler = encoded.last_hidden_state, context.weights.pooler
    if pooler is None:
        return {"last_hidden_state": hidden}
    return {"last_hidden_state": hidden, "pooler_output": context.dense(hidden[:, 0], pooler, "tanh")}


def language_model(encoded: Encoded, context: HeadContext) -> Fields:
    """Dense H→E, hidden_act, LayerNorm over E, times the transposed word embeddings, plus bias (HEAD-1)."""
    head = cast(LanguageModelHead[Array], context.weights.head)
    decoder = context.weights.embeddings.word if head.decoder is None else head.decoder

    def logits(hidden: Array) -> Array:
        x = context.dense(hidden, head.transform, context.config.hidden_act, head.layer_norm)
        return context.vocabulary(x, decoder, head.bias)

    return {"logits": where_asked(logits, encoded.last_hidden_state, context.inputs)}


def where_asked(logits: Callable[[Array], Array], hidden: Array, inputs: Inputs) -> Array:
    """logits(hidden) of the positions that are wanted.

    Returns:
        (batch, seq_len, classes), 0 at positions that the call leaves out; with `logits_at` (batch, n, classes) for
        positions (batch, n), or (n, classes), in row-major order, for a mask that is True n times.
    """
    at = inputs.logits_at
    if at is not None:
        return logits(hidden[at] if at.dtype == bool else np.take_along_axis(hidden, at[:, :, None], axis=1))
    if inputs.computed is None:
        return logits(hidden)
    found = logits(hidden[inputs.computed])
    result = np.zeros((*hidden.shape[:2], found.shape[-1]), found.dtype)
    result[inputs.computed] = found
    return result


def sequence_classification(encoded: Encoded, context: HeadContext) -> Fields:
    """The first position: dropout, Dense, hidden_act, dropout, Dense → (batch, num_labels) (HEAD-2)."""
    head = cast(SequenceHead[Array], context.weights.head)
    x = context.dense(context.dropout(encoded.last_hidden_state[:, 0]), head.dense, context.config.hidden_act)
    return {"logits": context.dense(context.dropout(x), head.output)}


def token_classification(encoded: Encoded, context: HeadContext) -> Fields:
    """Every position: dropout, Dense → (batch, seq_len, num_labels) (HEAD-3)."""
    head, x = cast(Dense[Array], context.weights.head), context.dropout(encoded.last_hidden_state)
    return {"logits": where_asked(lambda hidden: context.dense(hidden, head), x, context.inputs)}


def question_answering(encoded: Encoded, context: HeadContext) -> Fields:
    """Every position: Dense → 2, the logits of start and end (HEAD-4)."""
    head = cast(Dense[Array], context.weights.head)
    logits = where_asked(lambda hidden: context.dense(hidden, head), encoded.last_hidden_state, context.inputs)
    return {"start_logits": logits[..., 0], "end_logits": logits[..., 1]}


def multiple_choice(encoded: Encoded, context: HeadContext) -> Fields:
    """The summary of each choice: Dense → 1, regrouped to (batch, choices) (HEAD-5)."""
    hidden = encoded.last_hidden_state
    summaries: dict[str, Callable[[], Array]] = {
        "last": lambda: hidden[:, -1],
        "first": lambda: hidden[:, 0],
        "mean": lambda: hidden.mean(axis=1),
    }
    summary = summaries[context.config.summary_type]()
    logits = context.dense(summary, cast(Dense[Array], context.weights.head))
    return {"logits": logits.reshape(-1, cast(int, context.inputs.num_choices))}


def token_loss(fields: Fields, context: HeadContext) -> Array:
    """The cross-entropy of each label that is not −100, (n,) (LOSS-1, LOSS-4)."""
    return context.components.active_cross_entropy(fields["logits"], context.inputs.labels)


def causal_lm_loss(fields: Fields, context: HeadContext) -> Array:
    """As token_loss, the logits of a position against the label of the next one, (n,) (LOSS-3)."""
    labels = cast(Array, context.inputs.labels)
    return context.components.active_cross_entropy(fields["logits"][:, :-1], labels[:, 1:])


def sequence_loss(fields: Fields, context: HeadContext) -> Array:
    """The loss of each row as `problem_type` says, (batch,) (LOSS-5)."""
    losses = {
        "regression": context.components.squared_error,
        "single_label_classification": context.components.cross_entropy,
        "multi_label_classification": context.components.binary_cross_entropy,
    }
    return losses[context.config.task](fields["logits"], context.inputs.labels)


def choice_loss(fields: Fields, context: HeadContext) -> Array:
    """The cross-entropy of each example over its choices, (batch,) (LOSS-6.1)."""
    return context.components.cross_entropy(fields["logits"], context.inputs.labels)


def span_loss(fields: Fields, context: HeadContext) -> Array:
    """Half the sum of the cross-entropies of start and end, (batch,) (LOSS-6.2, LOSS-6.3)."""
    start, end = context.inputs.start_positions, context.inputs.end_positions
    return context.components.span_cross_entropy(fields["start_logits"], fields["end_logits"], start, end)


HEAD_FUNCTIONS: Mapping[str, Callable[[Encoded, HeadContext], Fields]] = MappingProxyType(
    {
        "base": base,
        "masked_lm": language_model,
        "causal_lm": language_model,
        "sequence_classification": sequence_classification,
        "token_classification": token_classification,
        "multiple_choice": multiple_choice,
        "question_answering": question_answering,
    }
)

LOSS_FUNCTIONS: Mapping[str, Callable[[Fields, HeadContext], Any]] = MappingProxyType(
    {
        "masked_lm": token_loss,
        "causal_lm": causal_lm_loss,
        "sequence_classification": sequence_loss,
        "token_classification": token_loss,
        "multiple_choice": choice_loss,
        "question_answering": span_loss,
    }
)
