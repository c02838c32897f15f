"""What stands on top of the encoder, done wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from roformer_numpy.heads import HEAD_FUNCTIONS

from .making import Array, Fault, fault


def _heads(**functions: Callable[..., Any]) -> Fault:
    return Fault(patches={"models.HEAD_FUNCTIONS": {**HEAD_FUNCTIONS, **functions}})


def _language_model(change: Callable[[Any, Any], Any]) -> Fault:
    """Language models whose context `change(context, head)` has made another head or arithmetic for."""

    def wrong(encoded: Any, context: Any) -> Any:
        return HEAD_FUNCTIONS["masked_lm"](encoded, change(context, context.weights.head))

    return _heads(masked_lm=wrong, causal_lm=wrong)


def _with_head(context: Any, **changes: Any) -> Any:
    head = dataclasses.replace(context.weights.head, **changes)
    return dataclasses.replace(context, weights=dataclasses.replace(context.weights, head=head))


@fault
def language_model_without_norm() -> Fault:
    """The language model's head has no LayerNorm."""

    def change(context: Any, head: Any) -> Any:
        plain = dataclasses.replace(context.components, layer_norm=lambda x, gamma, beta, eps: x)
        return dataclasses.replace(context, components=plain)

    return _language_model(change)


@fault
def language_model_bias_missing() -> Fault:
    """The language model's scores have no bias."""
    return _language_model(lambda context, head: _with_head(context, bias=0 * head.bias))


@fault
def tying_ignored() -> Fault:
    """The head scores with the word embeddings although tie_word_embeddings is False."""
    return _language_model(lambda context, head: _with_head(context, decoder=None))


@fault
def tied_to_a_copy() -> Fault:
    """The tied head keeps the matrix that it was initialised with."""

    def change(context: Any, head: Any) -> Any:
        word = context.weights.embeddings.word
        return _with_head(context, decoder=np.random.default_rng(0).standard_normal(word.shape).astype(word.dtype))

    return _language_model(change)


@fault
def pad_token_never_predicted() -> Fault:
    """The pad token's logit is pushed down."""

    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        outputs = dict(right(inputs, options))
        if np.ndim(outputs.get("logits", 0)) == 3:
            outputs["logits"] = np.concatenate([outputs["logits"][..., :1] - 100, outputs["logits"][..., 1:]], axis=-1)
        return outputs

    return Fault(calls=call)


@fault
def sequence_head_with_tanh() -> Fault:
    """The sequence head's activation is tanh, as in BERT."""

    def wrong(encoded: Any, context: Any) -> Any:
        tanh = context.config.replace(hidden_act="tanh")
        return HEAD_FUNCTIONS["sequence_classification"](encoded, dataclasses.replace(context, config=tanh))

    return _heads(sequence_classification=wrong)


@fault
def token_head_with_activation() -> Fault:
    """The token head has an activation that nobody asked for."""

    def wrong(encoded: Any, context: Any) -> Any:
        states = SimpleNamespace(last_hidden_state=np.tanh(encoded.last_hidden_state))
        return HEAD_FUNCTIONS["token_classification"](states, context)

    return _heads(token_classification=wrong)


@fault
def head_without_bias() -> Fault:
    """The last layer of every head but the language models' has no bias."""

    def without(name: str) -> Callable[..., Any]:
        def wrong(encoded: Any, context: Any) -> Any:
            head = context.weights.head
            if name == "sequence_classification":
                silent = {"output": dataclasses.replace(head.output, bias=0 * head.output.bias)}
            else:
                silent = {"bias": 0 * head.bias}
            return HEAD_FUNCTIONS[name](encoded, _with_head(context, **silent))

        return wrong

    names = ("sequence_classification", "token_classification", "multiple_choice", "question_answering")
    return _heads(**{name: without(name) for name in names})


@fault
def labels_reversed() -> Fault:
    """Logits come from the last label to the first."""

    def reversed_logits(name: str) -> Callable[..., Any]:
        return lambda encoded, context: {"logits": HEAD_FUNCTIONS[name](encoded, context)["logits"][..., ::-1]}

    return _heads(**{name: reversed_logits(name) for name in ("sequence_classification", "token_classification")})


@fault
def start_and_end_exchanged() -> Fault:
    """The first output is taken for the end."""

    def wrong(encoded: Any, context: Any) -> Any:
        right = HEAD_FUNCTIONS["question_answering"](encoded, context)
        return {"start_logits": right["end_logits"], "end_logits": right["start_logits"]}

    return _heads(question_answering=wrong)


def _choice_summary(summary: Callable[[Array, Array], Array]) -> Fault:
    def wrong(encoded: Any, context: Any) -> Any:
        states = summary(encoded.last_hidden_state, context.inputs.attention_mask)
        return HEAD_FUNCTIONS["multiple_choice"](SimpleNamespace(last_hidden_state=states[:, None]), context)

    return _heads(multiple_choice=wrong)


@fault
def summary_before_the_last() -> Fault:
    """The summary is the state before the last one, the [SEP] left out."""
    return _choice_summary(lambda states, mask: states[:, -2:][:, 0])


@fault
def summary_type_ignored() -> Fault:
    """The summary is the last state, whatever summary_type says."""
    return _choice_summary(lambda states, mask: states[:, -1])


@fault
def mean_over_unmasked() -> Fault:
    """The summary is the mean over the unmasked positions."""

    def mean(states: Array, mask: Array) -> Array:
        return (states * mask[..., None]).sum(1) / np.maximum(mask.sum(1), 1)[:, None]

    return _choice_summary(mean)


@fault
def choices_mixed() -> Fault:
    """Rows are regrouped as (choices, batch)."""

    def wrong(encoded: Any, context: Any) -> Any:
        logits = HEAD_FUNCTIONS["multiple_choice"](encoded, context)["logits"]
        return {"logits": logits.reshape(logits.shape[::-1]).T}

    return _heads(multiple_choice=wrong)


@fault
def last_token_classified() -> Fault:
    """The sequence head reads the last token, as in GPT."""

    def wrong(encoded: Any, context: Any) -> Any:
        states = SimpleNamespace(last_hidden_state=encoded.last_hidden_state[:, -1:])
        return HEAD_FUNCTIONS["sequence_classification"](states, context)

    return _heads(sequence_classification=wrong)


@fault
def pooler_reads_the_first_unmasked() -> Fault:
    """The pooler reads the first unmasked token in place of the first."""

    def wrong(encoded: Any, context: Any) -> Any:
        first = context.inputs.attention_mask.argmax(axis=1)
        states = encoded.last_hidden_state
        moved = SimpleNamespace(last_hidden_state=states[np.arange(len(states)), first][:, None])
        return {**HEAD_FUNCTIONS["base"](moved, context), "last_hidden_state": states}

    return _heads(base=wrong)


@fault
def tied_table_reshaped() -> Fault:
    """The tied table is reshaped to (E, V), not transposed."""

    def change(context: Any, head: Any) -> Any:
        word = context.weights.embeddings.word
        return context if head.decoder is not None else _with_head(context, decoder=word.reshape(word.shape[::-1]).T)

    return _language_model(change)


@fault
def language_model_without_activation() -> Fault:
    """The language model's head has no activation between Dense and LayerNorm."""

    def change(context: Any, head: Any) -> Any:
        return dataclasses.replace(
            context, components=dataclasses.replace(context.components, activate=lambda x, name: x)
        )

    return _language_model(change)


@fault
def masks_of_choices_mixed() -> Fault:
    """The masks of the choices are flattened in another order than their ids."""

    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        mask = np.asarray(inputs.get("attention_mask", 0))
        if mask.ndim == 3:
            inputs["attention_mask"] = np.ascontiguousarray(mask.swapaxes(0, 1)).reshape(mask.shape)
        return right(inputs, options)

    return Fault(calls=call)


@fault
def decoders_classify_by_their_last_token() -> Fault:
    """With is_decoder a sequence is classified by its last token, which has seen all the others."""

    def wrong(encoded: Any, context: Any) -> Any:
        states = encoded.last_hidden_state
        turned = states[:, ::-1] if context.config.is_decoder else states
        seen = dataclasses.replace(encoded, last_hidden_state=turned)
        return HEAD_FUNCTIONS["sequence_classification"](seen, context)

    return _heads(sequence_classification=wrong)


@fault
def four_choices_at_most() -> Fault:
    """The fifth choice and later ones score 0."""

    def wrong(encoded: Any, context: Any) -> Any:
        logits = HEAD_FUNCTIONS["multiple_choice"](encoded, context)["logits"]
        logits[:, 4:] = 0
        return {"logits": logits}

    return _heads(multiple_choice=wrong)
