"""Masked keys and blind rows, done wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from roformer_numpy.equations import attention

from .making import Array, Fault, fault, softmax, wrong_probs

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
