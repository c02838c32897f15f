"""Scaled dot-product attention with exact masks (ATT-3.1, ATT-3.3, MASK-1, MASK-6, DEC-2)."""

from __future__ import annotations

import math

import numpy as np

from ..weights import Array


def attention_scores(query: Array, key: Array) -> Array:
    """query · keyᵀ / √d.

    Args:
        query: (batch, heads, queries, head_dim).
        key: (batch, heads, keys, head_dim).

    Returns:
        (batch, heads, queries, keys).
    """
    return query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1])


def attention_probs(scores: Array, key_mask: Array, causal: bool) -> Array:
    """Softmax over the keys that a query may see; every other key gets exactly 0.

    Causality lets query q of Q see the keys up to q + K − Q, so that queries continue a cache of K − Q keys. A query
    all of whose keys are masked gets the same weight for every key that causality allows (MASK-6.1), and no NaN.

    Args:
        scores: (batch, heads, queries, keys).
        key_mask: True where a key may be seen, bool (batch, keys).
        causal: whether a query sees no later key.

    Returns:
        (batch, heads, queries, keys); rows sum to 1.
    """
    queries, keys = scores.shape[-2:]
    allowed = np.tri(queries, keys, keys - queries, dtype=bool) if causal else np.ones((queries, keys), bool)
    visible = key_mask[:, None, None, :] & allowed
    blind = ~visible.any(axis=-1, keepdims=True)
    visible = np.where(blind, allowed, visible)
    scores = np.where(visible, np.where(blind, 0, scores), -np.inf)
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return (exponentials / exponentials.sum(axis=-1, keepdims=True)).astype(scores.dtype)


def attend(probs: Array, value: Array) -> Array:
    """The weighted sum of the values.

    Args:
        probs: (batch, heads, queries, keys).
        value: (batch, heads, keys, head_dim).

    Returns:
        (batch, heads, queries, head_dim).
    """
    return probs @ value
