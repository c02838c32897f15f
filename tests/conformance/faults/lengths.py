"""Heads that go wrong where a sequence is long: the encoder below them is right at every length."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from roformer_numpy.heads import HEAD_FUNCTIONS

from .making import Array, Call, Fault, fault


def _above(length: int, wrong: Callable[[Array], Array], *heads: str) -> Fault:
    """Heads that see `wrong(states)` in place of the states of sequences longer than `length`."""

    def over(name: str) -> Callable[..., Any]:
        def head(encoded: Any, context: Any) -> Any:
            states = encoded.last_hidden_state
            if states.shape[1] <= length:
                return HEAD_FUNCTIONS[name](encoded, context)
            return HEAD_FUNCTIONS[name](SimpleNamespace(last_hidden_state=wrong(states)), context)

        return head

    return Fault(patches={"models.HEAD_FUNCTIONS": {**HEAD_FUNCTIONS, **{name: over(name) for name in heads}}})


def _ending_at(length: int) -> Callable[[Array], Array]:
    def ended(states: Array) -> Array:
        states = states.copy()
        states[:, length:] = 0
        return states

    return ended


@fault
def long_sequences_classified_by_their_end() -> Fault:
    """Sequences of more than 64 tokens are classified by their last token."""
    return _above(64, lambda states: states[:, ::-1], "sequence_classification")


@fault
def tokens_classified_up_to_128() -> Fault:
    """Tokens from the 128th on get the class of nothing."""
    return _above(128, _ending_at(128), "token_classification")


@fault
def spans_looked_for_in_64_tokens() -> Fault:
    """A span is looked for among the first 64 tokens: later ones score as nothing does."""
    return _above(64, _ending_at(64), "question_answering")


@fault
def long_choices_summed_up_by_their_first() -> Fault:
    """Choices of more than 100 tokens are summed up by their first state."""
    return _above(100, lambda states: np.repeat(states[:, :1], 2, axis=1), "multiple_choice")


@fault
def words_predicted_in_blocks_of_64() -> Fault:
    """Above 64 tokens an incomplete last block of them is predicted from nothing."""
    return _above(64, lambda states: _ending_at(states.shape[1] // 64 * 64)(states), "masked_lm", "causal_lm")


@fault
def losses_of_64_tokens() -> Fault:
    """Labels beyond the 64th token are not counted."""

    def call(right: Any, inputs: Call, options: Call) -> Any:
        labels = inputs.get("labels")
        if isinstance(labels, np.ndarray) and labels.ndim == 2 and labels.shape[1] > 64:
            inputs["labels"] = np.where(np.arange(labels.shape[1]) < 64, labels, -100)
        return right(inputs, options)

    return Fault(calls=call)


@fault
def far_spans_answered_at_127() -> Fault:
    """Start and end positions are kept in seven bits, the largest of which is 127."""

    def call(right: Any, inputs: Call, options: Call) -> Any:
        for name in ("start_positions", "end_positions"):
            if isinstance(inputs.get(name), np.ndarray):
                within = inputs[name] < np.shape(inputs.get("input_ids", inputs.get("inputs_embeds")))[1]
                inputs[name] = np.where(within, np.minimum(inputs[name], 127), inputs[name])
        return right(inputs, options)

    return Fault(calls=call)


@fault
def classes_in_six_bits() -> Fault:
    """The number of a class is kept in six bits: the 65th class scores what the first does."""

    def call(right: Any, inputs: Call, options: Call) -> Any:
        outputs = dict(right(inputs, options))
        if "logits" in outputs:
            logits = outputs["logits"]
            outputs["logits"] = logits[..., np.arange(logits.shape[-1]) % 64]
        return outputs

    return Fault(calls=call)
