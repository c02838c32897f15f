"""The gradients of scaled dot-product attention (ATT-3.1, MASK-1, MASK-6, DEC-2)."""

from __future__ import annotations

import math

import numpy as np

from ...weights import Array


def attention_scores_vjp(upstream: Array, query: Array, key: Array) -> tuple[Array, Array]:
    """What moves s = q · kᵀ / √d: ∂s_ij/∂q_i = k_j / √d and ∂s_ij/∂k_j = q_i / √d.

    Args:
        upstream: (batch, heads, queries, keys).
        query: (batch, heads, queries, head_dim).
        key: (batch, heads, keys, head_dim).

    Returns:
        by query and by key, their shapes.
    """
    scaled = upstream / math.sqrt(query.shape[-1])
    return scaled @ key, scaled.swapaxes(-1, -2) @ query


def attention_probs_vjp(upstream: Array, probs: Array, key_mask: Array, causal: bool) -> Array:
    """What moves the scores of the keys that a query may see, exactly 0 for every other key.

    Over the keys that a query sees p_i = eˢⁱ / Σ eˢ, so that ∂p_i/∂s_j = p_i (δ_ij − p_j), and the row's gradient is
    p · (upstream − Σ upstream · p). The p of a key that is not seen is exactly 0, and so is its gradient. A query that
    sees no key has equal weights whatever its scores (MASK-6.1): they are constants, and their gradient is 0.

    Args:
        upstream: (batch, heads, queries, keys).
        probs: what `attention_probs` returned, the same shape.
        key_mask: True where a key may be seen, bool (batch, keys).
        causal: whether a query sees no later key.

    Returns:
        The shape of probs.
    """
    along = (upstream * probs).sum(axis=-1, keepdims=True)
    return np.where(rows_that_see(probs, key_mask, causal), probs * (upstream - along), 0.0).astype(probs.dtype)


def attend_vjp(upstream: Array, probs: Array, value: Array) -> tuple[Array, Array]:
    """What moves c = p · v: ∂c_i/∂p_ij = v_j and ∂c_i/∂v_j = p_ij.

    Args:
        upstream: (batch, heads, queries, head_dim).
        probs: (batch, heads, queries, keys).
        value: (batch, heads, keys, head_dim).

    Returns:
        by probs and by value, their shapes.
    """
    return upstream @ value.swapaxes(-1, -2), probs.swapaxes(-1, -2) @ upstream


def rows_that_see(probs: Array, key_mask: Array, causal: bool) -> Array:
    """Whether a query sees any key at all, bool (batch, 1, queries, 1), or 1 for all queries."""
    queries, keys = probs.shape[-2:]
    if not causal:
        return np.any(key_mask, axis=1)[:, None, None, None]
    seen: Array = np.logical_or.accumulate(key_mask, axis=-1)[:, keys - queries :]
    return seen[:, None, :, None]
