"""Causality, cross-attention, the cache and generation, done wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from roformer_numpy import encoder
from roformer_numpy.adapter import NumpyModel
from roformer_numpy.equations import attention, rotary

from .making import Array, Fault, encoder_cross_attention, encoder_run_layer, fault, softmax, wrong_probs


@fault
def always_causal() -> Fault:
    """Every model is causal."""
    return Fault(patches={"models.is_causal": lambda config, head: True})


@fault
def causal_only_as_decoder() -> Fault:
    """A causal language model sees the future unless is_decoder is True."""
    return Fault(patches={"models.is_causal": lambda config, head: config.is_decoder})


@fault
def is_decoder_ignored() -> Fault:
    """Only the causal language model is causal."""
    return Fault(patches={"models.is_causal": lambda config, head: head == "causal_lm"})


@fault
def causal_mask_replaces_padding() -> Fault:
    """In a decoder the causal mask takes the place of attention_mask."""
    return wrong_probs(lambda s, mask, causal: attention.attention_probs(s, mask | causal, causal))


@fault
def own_key_hidden() -> Fault:
    """The causal mask hides a query's own key, too."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        queries, keys = scores.shape[-2:]
        if not causal or keys == 1:
            return attention.attention_probs(scores, key_mask, causal)
        allowed = np.tri(queries, keys, keys - queries - 1, dtype=bool)
        hidden = np.where(allowed | (np.arange(keys) == 0), scores, -1e30).astype(scores.dtype)
        return attention.attention_probs(hidden, key_mask, causal)

    return wrong_probs(probs)


def _cross(rotated: tuple[bool, bool], use_states: bool = True) -> Fault:
    def wrong(x: Array, weights: Any, past: Any, forward: Any) -> Any:
        states = forward.inputs.encoder_hidden_states
        dim = forward.config.head_dim

        def turned(part: Array, turn: bool) -> Array:
            places = np.arange(part.shape[2])
            return rotary.rotate(part, *rotary.rotary_table(places, dim, part.dtype)) if turn else part

        states = states if use_states else x
        query = turned(encoder.split_heads(forward.dense(x, weights.query), dim), rotated[0])
        key = turned(encoder.split_heads(forward.dense(states, weights.key), dim), rotated[1])
        value = encoder.split_heads(forward.dense(states, weights.value), dim)
        mask = forward.inputs.encoder_attention_mask if use_states else None
        probs = encoder._probs(query, key, np.ones(key.shape[::2], bool) if mask is None else mask, False, forward)
        return encoder._finish(probs, value, x, weights, forward), probs, (key, value)

    return Fault(patches={"encoder._cross_attention": wrong})


@fault
def cross_keys_turned() -> Fault:
    """Keys of cross-attention are rotated by their place in the encoder."""
    return _cross((False, True))


@fault
def cross_queries_turned() -> Fault:
    """Queries of cross-attention are rotated by their place in the decoder."""
    return _cross((True, False))


@fault
def cross_looks_at_the_decoder() -> Fault:
    """Key and value of cross-attention are computed from the decoder's own states."""
    return _cross((False, False), use_states=False)


@fault
def cross_after_feed_forward() -> Fault:
    """Cross-attention runs after the feed-forward."""

    def run(hidden: Array, layer: Any, number: int, forward: Any) -> Any:
        if not layer.cross_attention:
            return encoder_run_layer(hidden, layer, number, forward)
        result = encoder_run_layer(hidden, dataclasses.replace(layer, cross_attention=None), number, forward)
        past = forward.inputs.past_key_values[number][2:] if forward.inputs.past_key_values else ()
        hidden, probs, cross = encoder._cross_attention(result.hidden, layer.cross_attention, past, forward)
        return dataclasses.replace(result, hidden=hidden, cross_probs=probs, cache=(*result.cache, *cross))

    return Fault(patches={"encoder.run_layer": run})


def _encoder_mask(mask_of: Callable[[Any, tuple[int, int]], Array]) -> Fault:
    def cross(x: Array, weights: Any, past: Any, forward: Any) -> Any:
        shape = (past[0] if past else forward.inputs.encoder_hidden_states).shape
        length = shape[2] if past else shape[1]
        inputs = dataclasses.replace(forward.inputs, encoder_attention_mask=mask_of(forward.inputs, (len(x), length)))
        return encoder_cross_attention(x, weights, past, dataclasses.replace(forward, inputs=inputs))

    return Fault(patches={"encoder._cross_attention": cross})


@fault
def encoder_mask_ignored() -> Fault:
    """encoder_attention_mask is accepted and not used."""
    return _encoder_mask(lambda inputs, shape: np.ones(shape, bool))


@fault
def decoder_mask_on_the_encoder() -> Fault:
    """The decoder's own mask is laid over the encoder's positions."""

    def mask(inputs: Any, shape: tuple[int, int]) -> Array:
        laid = np.ones(shape, bool)
        laid[:, : inputs.attention_mask.shape[1]] = inputs.attention_mask[:, : shape[1]]
        return laid

    return _encoder_mask(mask)


@fault
def cross_cache_left_out() -> Fault:
    """The cache holds no keys and values of cross-attention."""
    return _entries(lambda layer: layer[:2])


@fault
def cache_transposed() -> Fault:
    """The cache has the positions before the heads."""
    return _entries(lambda layer: tuple(part.transpose(0, 2, 1, 3) for part in layer))


def _entries(change: Callable[[Any], Any]) -> Fault:
    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        outputs = dict(right(inputs, options))
        if outputs.get("past_key_values"):
            outputs["past_key_values"] = tuple(change(layer) for layer in outputs["past_key_values"])
        return outputs

    return Fault(calls=call)


def _generation(**changes: Any) -> Fault:
    return Fault(patches={f"generation.{name}": value for name, value in changes.items()})


@fault
def least_likely_token() -> Fault:
    """Greedy generation takes the second most likely token."""
    return _generation(_greedy=lambda logits: np.argsort(-logits, axis=-1)[:, 1])


@fault
def unseeded_sampling() -> Fault:
    """Sampling draws from global randomness."""

    def generate(model: Any, inputs: Any, options: Any) -> Any:
        return NumpyModel.generate(model, inputs, {**options, "seed": int(np.random.default_rng().integers(2**31))})

    return Fault(methods={"generate": generate})


@fault
def seed_ignored() -> Fault:
    """Sampling uses one seed of its own."""
    return Fault(
        methods={"generate": lambda m, inputs, options: NumpyModel.generate(m, inputs, {**options, "seed": 0})}
    )


@fault
def sampling_too_warm() -> Fault:
    """Sampling divides the logits by 2."""

    def generate(model: Any, inputs: Any, options: Any) -> Any:
        warm = {"temperature": 2.0} if options.get("do_sample") else {}
        return NumpyModel.generate(model, inputs, {**options, **warm})

    return Fault(methods={"generate": generate})


@fault
def eos_ends_nothing() -> Fault:
    """A row goes on after its eos token."""
    return _generation(_end_ids=lambda eos, config: [])


@fault
def one_eos_ends_all() -> Fault:
    """The whole batch ends with the first row that does."""

    def generate(model: Any, inputs: Any, options: Any) -> Any:
        ids = NumpyModel.generate(model, inputs, options)
        start, eos = np.shape(inputs["input_ids"])[1], options.get("eos_token_id")
        ends = np.flatnonzero((ids[:, start:] == eos).any(axis=0)) if eos is not None else []
        return ids[:, : start + int(ends[0]) + 1] if len(ends) else ids

    return Fault(methods={"generate": generate})


@fault
def one_token_ahead() -> Fault:
    """The causal mask is off by one: a query sees the next token."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        queries, keys = scores.shape[-2:]
        if not causal:
            return attention.attention_probs(scores, key_mask, causal)
        allowed = np.tri(queries, keys, keys - queries + 1, dtype=bool) & key_mask[:, None, None, :]
        allowed |= ~allowed.any(axis=-1, keepdims=True) & np.tri(queries, keys, keys - queries + 1, dtype=bool)
        return softmax(np.where(allowed, scores, -1e30)).astype(scores.dtype)

    return wrong_probs(probs)


@fault
def cross_attention_is_causal() -> Fault:
    """A decoder's query sees the encoder's states up to its own place."""

    def cross(x: Array, weights: Any, past: Any, forward: Any) -> Any:
        causal = dataclasses.replace(
            forward.components, attention_probs=lambda scores, mask, _: attention.attention_probs(scores, mask, True)
        )
        return encoder_cross_attention(x, weights, past, dataclasses.replace(forward, components=causal))

    return Fault(patches={"encoder._cross_attention": cross})


@fault
def cached_keys_unmasked() -> Fault:
    """With a cache the mask counts for the new tokens alone."""

    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        if inputs.get("past_key_values") and inputs.get("attention_mask") is not None:
            mask = np.array(inputs["attention_mask"])
            mask[:, : mask.shape[1] - np.shape(inputs["input_ids"])[1]] = 1
            inputs["attention_mask"] = mask
        return right(inputs, options)

    return Fault(calls=call)


@fault
def prompt_unmasked() -> Fault:
    """generate ignores attention_mask."""

    def generate(model: Any, inputs: Any, options: Any) -> Any:
        return NumpyModel.generate(model, {"input_ids": inputs["input_ids"]}, options)

    return Fault(methods={"generate": generate})
