"""The cache beside other arguments, and generation, done wrong in places seldom looked at."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from roformer_numpy import encoder
from roformer_numpy.adapter import NumpyModel

from .making import Array, Call, Fault, FaultyModel, fault, models_validate

encoder_self_attention = encoder._self_attention


@fault
def cached_values_unturned() -> Fault:
    """With rotary_value the cache keeps values from before their rotation."""

    def wrong(x: Array, weights: Any, number: int, past: Any, forward: Any) -> Any:
        hidden, probs, (key, value) = encoder_self_attention(x, weights, number, past, forward)
        if past or not forward.config.rotary_value:
            return hidden, probs, (key, value)
        dense = forward.dense(x, weights.value)
        plain = dense.reshape(*dense.shape[:2], -1, value.shape[-1]).transpose(0, 2, 1, 3)
        return hidden, probs, (key, plain)

    return Fault(patches={"encoder._self_attention": wrong})


@fault
def head_mask_lost_after_a_cache() -> Fault:
    """After a cache head_mask is not used."""

    def validate(given: Any, config: Any, head: str, dtype: Any) -> Any:
        checked = models_validate(given, config, head, dtype)
        return dataclasses.replace(checked, head_mask=None) if checked.past_length else checked

    return Fault(patches={"models.validate": validate})


@fault
def eos_in_the_prompt_ends() -> Fault:
    """A row whose prompt holds the eos token has ended before it began."""

    def generate(model: Any, inputs: Any, options: Any) -> Any:
        ids, eos = np.asarray(inputs["input_ids"]), options.get("eos_token_id")
        result = np.array(NumpyModel.generate(model, inputs, options))
        ended = np.zeros(len(ids), bool) if eos is None else np.isin(ids, eos).any(axis=1)
        result[ended, ids.shape[1] :] = options.get("pad_token_id") or 0
        return result

    return Fault(methods={"generate": generate})


@fault
def fifty_words_at_most() -> Fault:
    """Sampling keeps the fifty most likely words, unasked, as a popular library does by default."""

    def generate(model: Any, inputs: Any, options: Any) -> Any:
        sampled = options.get("do_sample") and model.model.config.vocab_size > 50
        return NumpyModel.generate(model, inputs, {**options, "top_k": 50} if sampled else options)

    return Fault(methods={"generate": generate})


@fault
class FullBlocksLoseTheirEnd(Fault):
    """A cache grows by blocks of 16 positions; when one is full, growing overwrites its last entry."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        past = inputs.get("past_key_values") if style == "keywords" else None
        if not isinstance(past, tuple) or not past or np.shape(past[0][0])[2] % 16:
            return inputs, style, options
        kept = tuple((_without_the_last(layer[0]), *layer[1:]) for layer in past)
        return {**inputs, "past_key_values": kept}, style, options


def _without_the_last(keys: Array) -> Array:
    changed = np.array(keys)
    changed[:, :, -1:] = 0
    return changed


@fault
def eos_of_the_call_alone() -> Fault:
    """Generation knows the eos token that a call names, and none of the configuration."""
    return Fault(config={"eos_token_id": None})


@fault
class PrunedCachesStartAnew(Fault):
    """A cache with fewer heads than the configuration names is taken for one of another model, and emptied."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        past = inputs.get("past_key_values") if style == "keywords" else None
        heads = model.model.config.num_attention_heads
        if isinstance(past, tuple) and past and np.shape(past[0][0])[1] < heads:
            empty = tuple(tuple(0 * np.array(array) for array in layer) for layer in past)
            inputs = {**inputs, "past_key_values": empty}
        return inputs, style, options


def _one_number_a_row(generator: Any, rows: int) -> Any:
    first = np.random.default_rng(generator).random((rows, 1))
    return lambda: first


@fault
def one_number_for_every_token() -> Fault:
    """The random number of a row is drawn once, and used for each of its tokens."""
    return Fault(patches={"generation._draws": _one_number_a_row})
