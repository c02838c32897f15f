"""Cross-attention, done wrong in its numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from roformer_numpy import encoder
from roformer_numpy.equations import rotary

from .making import Array, Fault, encoder_cross_attention, fault


@fault
def cross_values_turned() -> Fault:
    """With rotary_value the values of cross-attention are rotated, too."""

    def cross(x: Array, weights: Any, past: Any, forward: Any) -> Any:
        if past or not forward.config.rotary_value:
            return encoder_cross_attention(x, weights, past, forward)
        states, dim = forward.inputs.encoder_hidden_states, forward.config.head_dim
        key, value = (encoder.split_heads(forward.dense(states, part), dim) for part in (weights.key, weights.value))
        turned = rotary.rotate(value, *rotary.rotary_table(np.arange(value.shape[2]), dim, value.dtype))
        return encoder_cross_attention(x, weights, (key, turned), forward)

    return Fault(patches={"encoder._cross_attention": cross})


@fault
def cross_entries_swapped() -> Fault:
    """The cache holds the values of cross-attention before its keys."""

    def cross(x: Array, weights: Any, past: Any, forward: Any) -> Any:
        hidden, probs, (key, value) = encoder_cross_attention(x, weights, past[::-1], forward)
        return hidden, probs, (value, key)

    return Fault(patches={"encoder._cross_attention": cross})


@fault
def blind_to_the_encoder_is_passed_by() -> Fault:
    """A row whose encoder is wholly masked has weights of 0 and passes cross-attention by."""

    def cross(x: Array, weights: Any, past: Any, forward: Any) -> Any:
        hidden, probs, entries = encoder_cross_attention(x, weights, past, forward)
        mask = forward.inputs.encoder_attention_mask
        seeing = np.ones(len(x), bool) if mask is None else mask.any(axis=1)
        hidden = np.where(seeing[:, None, None], hidden, x)
        return hidden, np.where(seeing[:, None, None, None], probs, np.zeros((), probs.dtype)), entries

    return Fault(patches={"encoder._cross_attention": cross})


@fault
def cached_encoder_unmasked() -> Fault:
    """After a cache encoder_attention_mask is not used: the entries are there already."""

    def cross(x: Array, weights: Any, past: Any, forward: Any) -> Any:
        unmasked = dataclasses.replace(forward.inputs, encoder_attention_mask=None)
        later = dataclasses.replace(forward, inputs=unmasked) if past else forward
        return encoder_cross_attention(x, weights, past, later)

    return Fault(patches={"encoder._cross_attention": cross})


@fault
def cross_weights_not_dropped() -> Fault:
    """The weights of cross-attention are not dropped."""

    def cross(x: Array, weights: Any, past: Any, forward: Any) -> Any:
        sober = dataclasses.replace(forward.config, attention_probs_dropout_prob=0.0)
        return encoder_cross_attention(x, weights, past, dataclasses.replace(forward, config=sober))

    return Fault(patches={"encoder._cross_attention": cross})


def _when_as_long(mask_of: Callable[[Any], Any]) -> Fault:
    """Another encoder_attention_mask where the encoder is as long as what the decoder sees of itself."""

    def cross(x: Array, weights: Any, past: Any, forward: Any) -> Any:
        inputs, states = forward.inputs, forward.inputs.encoder_hidden_states
        if states is None or states.shape[1] != inputs.attention_mask.shape[1]:
            return encoder_cross_attention(x, weights, past, forward)
        changed = dataclasses.replace(inputs, encoder_attention_mask=mask_of(inputs))
        return encoder_cross_attention(x, weights, past, dataclasses.replace(forward, inputs=changed))

    return Fault(patches={"encoder._cross_attention": cross})


@fault
def own_mask_for_an_encoder_as_long() -> Fault:
    """Without encoder_attention_mask an encoder as long as the decoder is seen through the decoder's own."""
    return _when_as_long(
        lambda inputs: inputs.attention_mask if inputs.encoder_attention_mask is None else inputs.encoder_attention_mask
    )


@fault
def encoder_as_long_unmasked() -> Fault:
    """Square scores are taken for self-attention, and encoder_attention_mask is not used."""
    return _when_as_long(lambda inputs: None)
