"""The backward pass of the heads and their losses: `roformer_numpy.heads`, read from its end.

A loss's twin turns the weight of each loss into gradients by the fields of an output; a head's twin turns those into
the gradients by the encoder's last state and by the head's weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from ..heads import Fields
from ..weights import Array, Dense, Head, LanguageModelHead, SequenceHead
from .encoder import Backward


@dataclass(frozen=True)
class HeadGradients:
    """What moves the fields of an output."""

    last_hidden_state: Array  # (batch, seq_len, hidden_size)
    head: Head[Array] | None = None
    pooler: Dense[Array] | None = None
    word: Array | None = None  # the share of the word embeddings in a tied head, (vocab_size, embedding_size)


def base_vjp(upstream: Fields, hidden: Array, backward: Backward) -> HeadGradients:
    """Twin of `base`."""
    if backward.weights.pooler is None:
        return HeadGradients(upstream["last_hidden_state"])
    by_first, pooler = backward.dense(backward.array("activate", upstream["pooler_output"]))
    return HeadGradients(upstream["last_hidden_state"] + _at(0, by_first, hidden), pooler=pooler)


def language_model_vjp(upstream: Fields, hidden: Array, backward: Backward) -> HeadGradients:
    """Twin of `language_model`; a tied matrix is the word embeddings' and gets a share of its own."""
    by_x, decoder = backward.dense(upstream["logits"])
    by_x, layer_norm = backward.layer_norm(by_x)
    by_hidden, transform = backward.dense(backward.array("activate", by_x))
    tied = cast("LanguageModelHead[Array]", backward.weights.head).decoder is None
    head = LanguageModelHead(transform, layer_norm, None if tied else decoder.kernel.T, decoder.bias)
    return HeadGradients(by_hidden, head, word=decoder.kernel.T if tied else None)


def sequence_classification_vjp(upstream: Fields, hidden: Array, backward: Backward) -> HeadGradients:
    """Twin of `sequence_classification`."""
    by_x, output = backward.dense(upstream["logits"])
    by_x = backward.array("activate", backward.array("dropout", by_x))
    by_first, dense = backward.dense(by_x)
    return HeadGradients(_at(0, backward.array("dropout", by_first), hidden), SequenceHead(dense, output))


def token_classification_vjp(upstream: Fields, hidden: Array, backward: Backward) -> HeadGradients:
    """Twin of `token_classification`."""
    by_x, head = backward.dense(upstream["logits"])
    return HeadGradients(backward.array("dropout", by_x), head)


def question_answering_vjp(upstream: Fields, hidden: Array, backward: Backward) -> HeadGradients:
    """Twin of `question_answering`."""
    both = np.stack([upstream["start_logits"], upstream["end_logits"]], axis=-1)
    by_hidden, head = backward.dense(both)
    return HeadGradients(by_hidden, head)


def multiple_choice_vjp(upstream: Fields, hidden: Array, backward: Backward) -> HeadGradients:
    """Twin of `multiple_choice`."""
    by_summary, head = backward.dense(upstream["logits"].reshape(-1, 1))
    summaries: dict[str, Callable[[], Array]] = {
        "last": lambda: _at(-1, by_summary, hidden),
        "first": lambda: _at(0, by_summary, hidden),
        "mean": lambda: np.broadcast_to(by_summary[:, None] / hidden.shape[1], hidden.shape).astype(hidden.dtype),
    }
    return HeadGradients(summaries[backward.config.summary_type](), head)


def loss_vjp(upstream: Array, head: str, fields: Fields, backward: Backward) -> Fields:
    """Twin of every loss: by the fields that it read, from the weight of each loss.

    The tape knows which loss it was. A causal language model's last logits predict nothing (LOSS-3).
    """
    name, kept = backward.tape.calls.pop()
    gradient: Any = getattr(backward.derivatives, name)(upstream, *kept)
    if head == "question_answering":
        return dict(zip(("start_logits", "end_logits"), gradient, strict=True))
    if head == "causal_lm":
        gradient = np.concatenate([gradient, np.zeros_like(fields["logits"][:, -1:])], axis=1)
    return {"logits": gradient}


HEAD_VJPS: Mapping[str, Callable[[Fields, Array, Backward], HeadGradients]] = MappingProxyType(
    {
        "base": base_vjp,
        "masked_lm": language_model_vjp,
        "causal_lm": language_model_vjp,
        "sequence_classification": sequence_classification_vjp,
        "token_classification": token_classification_vjp,
        "multiple_choice": multiple_choice_vjp,
        "question_answering": question_answering_vjp,
    }
)


def _at(position: int, gradient: Array, hidden: Array) -> Array:
    """The gradient by all states where one position was read: 0 for every other one."""
    result = np.zeros_like(hidden)
    result[:, position] = gradient
    return result
