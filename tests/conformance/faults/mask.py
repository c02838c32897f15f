"""Masked keys and blind rows, done wrong."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from roformer_numpy.equations import attention

from .making import Array, Call, Fault, FaultyModel, encoder_run_layer, fault, softmax, wrong_probs

NEGATIVE = -10000.0


def _additive(size: float) -> Fault:
    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        queries, keys = scores.shape[-2:]
        allowed = np.tri(queries, keys, keys - queries, dtype=bool) if causal else np.ones((queries, keys), bool)
        return softmax(scores + np.where(key_mask[:, None, None, :] & allowed, 0.0, size).astype(scores.dtype))

    return wrong_probs(probs)


@fault
def minus_ten_thousand() -> Fault:
    """Masks add −10000 to the scores, which scores of that size overcome."""
    return _additive(NEGATIVE)


@fault
def minus_infinity() -> Fault:
    """Masks add −∞, and a row without a visible key is NaN."""
    return _additive(-np.inf)


@fault
def blind_sees_the_future() -> Fault:
    """A row without a visible key is uniform over all keys, in a decoder over later ones too."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        right = attention.attention_probs(scores, key_mask, causal)
        queries, keys = scores.shape[-2:]
        allowed = np.tri(queries, keys, keys - queries, dtype=bool) if causal else np.ones((queries, keys), bool)
        blind = ~(key_mask[:, None, None, :] & allowed).any(axis=-1, keepdims=True)
        return np.where(blind, 1.0 / keys, right).astype(scores.dtype)

    return wrong_probs(probs)


@fault
def mask_ignored() -> Fault:
    """attention_mask is accepted and not used."""
    return wrong_probs(lambda scores, mask, causal: attention.attention_probs(scores, np.ones_like(mask), causal))


@fault
def mask_of_the_first_row() -> Fault:
    """One row's mask is broadcast to the whole batch."""
    return wrong_probs(
        lambda s, mask, causal: attention.attention_probs(s, np.broadcast_to(mask[:1], mask.shape), causal)
    )


@fault
def mask_gives_up_for_the_batch() -> Fault:
    """One wholly masked row switches masking off for every row."""
    return wrong_probs(lambda s, mask, causal: attention.attention_probs(s, mask | ~mask.any(-1).all(), causal))


@fault
def mask_on_queries() -> Fault:
    """The mask hides queries in place of keys."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        right = attention.attention_probs(scores, np.ones_like(key_mask), causal)
        queries = key_mask[:, -scores.shape[2] :]
        return (right * queries[:, None, :, None]).astype(scores.dtype)

    return wrong_probs(probs)


@fault
def masked_queries_emptied() -> Fault:
    """Masked positions attend to nothing: queries are masked beside the keys."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        right = attention.attention_probs(scores, key_mask, causal)
        return (right * key_mask[:, None, -scores.shape[2] :, None]).astype(scores.dtype)

    return wrong_probs(probs)


@fault
def given_mask_inverted() -> Fault:
    """1 means masked, as in frameworks whose masks say what to hide."""

    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        if "attention_mask" in inputs:
            inputs["attention_mask"] = 1 - inputs["attention_mask"]
        return right(inputs, options)

    return Fault(calls=call)


@fault
def lowest_of_half_precision() -> Fault:
    """Masks add −65504, the lowest number of float16."""
    return _additive(-65504.0)


@fault
def mask_in_the_first_layer_alone() -> Fault:
    """Layers after the first see every key."""

    def run(hidden: Array, layer: Any, number: int, forward: Any) -> Any:
        if number:
            inputs = dataclasses.replace(forward.inputs, attention_mask=np.ones_like(forward.inputs.attention_mask))
            forward = dataclasses.replace(forward, inputs=inputs)
        return encoder_run_layer(hidden, layer, number, forward)

    return Fault(patches={"encoder.run_layer": run})


@fault
def pad_tokens_always_masked() -> Fault:
    """A token whose id is 0, that of padding, is masked whatever attention_mask says."""

    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        if "attention_mask" in inputs and "input_ids" in inputs and not inputs.get("past_key_values"):
            inputs["attention_mask"] = np.asarray(inputs["attention_mask"]) * (np.asarray(inputs["input_ids"]) != 0)
        return right(inputs, options)

    return Fault(calls=call)


@fault
class MaskOfTheCallBefore(Fault):
    """The mask is cached by its shape: a second call of one shape computes with the first one's."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "keywords" and inputs.get("attention_mask") is not None:
            mask = np.array(inputs["attention_mask"])
            inputs = {**inputs, "attention_mask": model.memory.setdefault(str(mask.shape), mask)}
        return inputs, style, options
