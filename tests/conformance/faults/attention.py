"""Scores, softmax, heads and residual of self-attention, done wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from roformer_numpy import encoder
from roformer_numpy.equations import attention

from .making import Array, Fault, encoder_finish, fault, self_attention, softmax, wrong_probs


@fault
def value_from_the_key() -> Fault:
    """The value is projected with the key's weights."""
    return self_attention(lambda parts, forward, weights: parts.update(value=parts["plain_key"]))


def _bias_missing(name: str) -> Fault:
    def change(parts: dict[str, Array], forward: Any, weights: Any) -> None:
        plain = encoder.split_heads(parts["x"] @ getattr(weights, name).kernel, forward.config.head_dim)
        turns = name != "value" or forward.config.rotary_value
        parts[name] = forward.components.rotate(plain, *forward.rotation) if turns else plain

    return self_attention(change)


@fault
def key_bias_missing() -> Fault:
    """The key has no bias, which would be harmless without rotation."""
    return _bias_missing("key")


@fault
def value_bias_missing() -> Fault:
    """The value has no bias."""
    return _bias_missing("value")


@fault
def one_in_the_denominator() -> Fault:
    """The softmax has a 1 more in its denominator."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        visible = attention.attention_probs(scores, key_mask, causal)
        total = np.where(visible > 0, np.exp(scores), 0.0).sum(-1, keepdims=True)
        return (visible * (total / (1.0 + total))).astype(scores.dtype)

    return wrong_probs(probs)


@fault
def softmax_over_heads() -> Fault:
    """The softmax runs over the heads."""
    return wrong_probs(lambda scores, mask, causal: softmax(scores, axis=1))


@fault
def scores_capped() -> Fault:
    """Scores pass a soft cap before the softmax, as in other models."""
    return Fault({"attention_scores": lambda q, k: 2.0 * np.tanh(attention.attention_scores(q, k) / 2.0)})


@fault
def scale_missing() -> Fault:
    """Scores are not divided by √d."""
    return Fault({"attention_scores": lambda query, key: query @ key.swapaxes(-1, -2)})


@fault
def scale_by_length() -> Fault:
    """Scores are scaled with the logarithm of the number of keys."""

    def scores(query: Array, key: Array) -> Array:
        return attention.attention_scores(query, key) * np.asarray(math.log(1 + key.shape[2]), query.dtype)

    return Fault({"attention_scores": scores})


@fault
def heads_strided() -> Fault:
    """Head h owns the features h, h + N, h + 2N, … in split and merge."""

    def split(x: Array, head_dim: int) -> Array:
        return x.reshape(*x.shape[:2], head_dim, x.shape[2] // head_dim).transpose(0, 3, 1, 2)

    def merge(x: Array) -> Array:
        batch, heads, seq_len, head_dim = x.shape
        return x.transpose(0, 2, 3, 1).reshape(batch, seq_len, heads * head_dim)

    return Fault(patches={"encoder.split_heads": split, "encoder.merge_heads": merge})


@fault
def attention_residual_missing() -> Fault:
    """The input is not added to the attention's output."""
    return Fault(patches={"encoder._finish": lambda probs, value, x, *rest: encoder_finish(probs, value, 0 * x, *rest)})


@fault
def scale_by_the_hidden_size() -> Fault:
    """Scores are divided by √H."""

    def scores(query: Array, key: Array) -> Array:
        return attention.attention_scores(query, key) / np.sqrt(query.shape[1]).astype(query.dtype)

    return Fault({"attention_scores": scores})


@fault
def softmax_in_half_precision() -> Fault:
    """The softmax is computed in float16."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        return attention.attention_probs(scores.astype(np.float16), key_mask, causal).astype(scores.dtype)

    return wrong_probs(probs)


@fault
def softmax_overflows_unshifted() -> Fault:
    """The softmax takes exponentials of the scores as they are."""

    def probs(scores: Array, key_mask: Array, causal: bool) -> Array:
        right = attention.attention_probs(scores, key_mask, causal)
        exponentials = np.exp(scores) * (right > 0)
        return exponentials / exponentials.sum(axis=-1, keepdims=True)

    return wrong_probs(probs)


@fault
def normalised_before_the_residual() -> Fault:
    """The LayerNorm comes before the residual, not after."""

    def finish(probs: Array, value: Array, x: Array, weights: Any, forward: Any) -> Array:
        context = encoder.merge_heads(forward.components.attend(probs, value))
        return x + forward.layer_norm(forward.dense(context, weights.output), weights.layer_norm)

    return Fault(patches={"encoder._finish": finish})
