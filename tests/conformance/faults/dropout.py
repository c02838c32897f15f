"""Dropout in another place. None of these claims gradients, which would not fit what they drop."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from roformer_numpy import encoder
from roformer_numpy.adapter import CAPABILITIES
from roformer_numpy.equations import dropout
from roformer_numpy.heads import HEAD_FUNCTIONS

from .making import Array, Fault, encoder_cross_attention, fault


class _Dropping(Fault):
    capabilities: ClassVar[Mapping[str, Any]] = MappingProxyType({**CAPABILITIES, "gradients": False})


def _embeddings(wrong: Callable[[Any, Any, Array], Array]) -> Fault:
    """`wrong(forward, weights, sum of words and types)` in place of what follows the sum."""

    def embed(forward: Any, weights: Any) -> Array:
        inputs, components = forward.inputs, forward.components
        given = inputs.inputs_embeds
        words = components.lookup(weights.word, inputs.input_ids) if given is None else given
        return wrong(forward, weights, components.add_token_types(words, weights.token_type, inputs.token_type_ids))

    return _Dropping(patches={"encoder.embed": embed})


def _projected(forward: Any, weights: Any, x: Array) -> Array:
    return x if weights.project is None else forward.dense(x, weights.project)


@fault
def dropout_after_the_projection() -> Fault:
    """Where E differs from H, dropout comes after the projection."""
    return _embeddings(lambda f, w, x: f.dropout(_projected(f, w, f.layer_norm(x, w.layer_norm))))


@fault
def dropout_before_the_embeddings_norm() -> Fault:
    """The sum of words and types is dropped before its LayerNorm."""
    return _embeddings(lambda f, w, x: _projected(f, w, f.layer_norm(f.dropout(x), w.layer_norm)))


@fault
def attention_output_not_dropped() -> Fault:
    """What attention adds to its input is not dropped."""

    def finish(probs: Array, value: Array, x: Array, weights: Any, forward: Any) -> Array:
        context = encoder.merge_heads(forward.components.attend(probs, value))
        return forward.layer_norm(x + forward.dense(context, weights.output), weights.layer_norm)

    return _Dropping(patches={"encoder._finish": finish})


@fault
def dropout_after_the_sum() -> Fault:
    """Dropout takes attention's output and its input together."""

    def finish(probs: Array, value: Array, x: Array, weights: Any, forward: Any) -> Array:
        context = encoder.merge_heads(forward.components.attend(probs, value))
        return forward.layer_norm(forward.dropout(x + forward.dense(context, weights.output)), weights.layer_norm)

    return _Dropping(patches={"encoder._finish": finish})


def _feed_forward(wrong: Callable[[Any, Any, Array], Array]) -> Fault:
    """`wrong(forward, weights, input)` in place of a layer's second half."""

    def run(hidden: Array, layer: Any, number: int, forward: Any) -> Any:
        past = forward.inputs.past_key_values[number] if forward.inputs.past_key_values else ()
        hidden, probs, cache = encoder._self_attention(hidden, layer.attention, number, past[:2], forward)
        cross_probs = None
        if layer.cross_attention and (past[2:] or forward.inputs.encoder_hidden_states is not None):
            hidden, cross_probs, cross = encoder._cross_attention(hidden, layer.cross_attention, past[2:], forward)
            cache = (*cache, *cross)
        return encoder.LayerResult(wrong(forward, layer.feed_forward, hidden), probs, cross_probs, cache)

    return _Dropping(patches={"encoder.run_layer": run})


@fault
def feed_forward_not_dropped() -> Fault:
    """What the feed-forward adds to its input is not dropped."""

    def wrong(forward: Any, weights: Any, x: Array) -> Array:
        act = forward.config.hidden_act
        inner = forward.components.feed_forward(x, weights.intermediate, weights.output, act)
        return forward.layer_norm(x + inner, weights.layer_norm)

    return _feed_forward(wrong)


@fault
def inner_units_dropped() -> Fault:
    """The inner units of the feed-forward are dropped as well, as in other models."""

    def wrong(forward: Any, weights: Any, x: Array) -> Array:
        inner = forward.components.activate(forward.dense(x, weights.intermediate), forward.config.hidden_act)
        added = forward.dropout(forward.dense(forward.dropout(inner), weights.output))
        return forward.layer_norm(x + added, weights.layer_norm)

    return _feed_forward(wrong)


def _heads_drop(*heads: str) -> Fault:
    def dropping(name: str) -> Callable[..., Any]:
        def wrong(encoded: Any, context: Any) -> Any:
            last = context.dropout(encoded.last_hidden_state)
            return HEAD_FUNCTIONS[name](dataclasses.replace(encoded, last_hidden_state=last), context)

        return wrong

    return _Dropping(patches={"models.HEAD_FUNCTIONS": {**HEAD_FUNCTIONS, **{name: dropping(name) for name in heads}}})


@fault
def spans_and_choices_drop() -> Fault:
    """The heads of spans and choices have a dropout that only classification has."""
    return _heads_drop("question_answering", "multiple_choice")


@fault
def language_models_drop() -> Fault:
    """The heads of language models have a dropout of their own."""
    return _heads_drop("masked_lm", "causal_lm")


@fault
def one_generator_state_for_every_place() -> Fault:
    """Each place draws from the generator as it stands at the start of the call: all of one shape drop the same."""
    return Fault({"dropout": lambda x, rate, generator: dropout.dropout(x, rate, copy.deepcopy(generator))})


@fault
def numbers_drawn_again_and_again() -> Fault:
    """A kernel draws 1024 numbers and uses them for every 1024 elements."""

    def repeated(x: Array, rate: float, generator: Any) -> Array:
        if generator is None or rate in (0.0, 1.0):
            return dropout.dropout(x, rate, generator)
        kept = np.resize(generator.random(min(x.size, 1024)), x.size).reshape(x.shape) >= rate
        return np.where(kept, x / (1.0 - rate), 0.0).astype(x.dtype)

    return Fault({"dropout": repeated})


@fault
def given_embeddings_not_dropped() -> Fault:
    """What comes in as inputs_embeds is taken for dropped already."""

    def embed(forward: Any, weights: Any, summed: Array) -> Array:
        x = forward.layer_norm(summed, weights.layer_norm)
        return _projected(forward, weights, x if forward.inputs.inputs_embeds is not None else forward.dropout(x))

    return _embeddings(embed)


@fault
def cross_attention_output_not_dropped() -> Fault:
    """What cross-attention adds is not dropped."""

    def cross(x: Array, weights: Any, past: Any, forward: Any) -> Any:
        sober = dataclasses.replace(forward.config, hidden_dropout_prob=0.0)
        return encoder_cross_attention(x, weights, past, dataclasses.replace(forward, config=sober))

    return _Dropping(patches={"encoder._cross_attention": cross})


@fault
def poolers_drop() -> Fault:
    """What the pooler reads is dropped first."""
    return _heads_drop("base")


@fault
def sequence_head_drops_once() -> Fault:
    """The head of a sequence drops what it has computed, and not what it reads."""

    def wrong(encoded: Any, context: Any) -> Any:
        head = context.weights.head
        x = context.dense(encoded.last_hidden_state[:, 0], head.dense, context.config.hidden_act)
        return {"logits": context.dense(context.dropout(x), head.output)}

    return _Dropping(patches={"models.HEAD_FUNCTIONS": {**HEAD_FUNCTIONS, "sequence_classification": wrong}})
