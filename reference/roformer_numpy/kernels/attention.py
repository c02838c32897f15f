"""The twins of equations.attention: the mask is applied where the softmax reads, and never made (queries, keys)."""

from __future__ import annotations

import math

import numpy as np

from ..weights import Array
from .arrays import readable
from .elementary import add, exp, from_sort_key, sort_key
from .jit import inlined, kernel


def attention_scores(query: Array, key: Array) -> Array:
    """Twin of equations.attention.attention_scores; scales the queries, which are fewer numbers than the scores."""
    return (query * np.asarray(1.0 / math.sqrt(query.shape[-1]), query.dtype)) @ key.swapaxes(-1, -2)


def attention_probs(scores: Array, key_mask: Array, causal: bool) -> Array:
    """Twin of equations.attention.attention_probs."""
    probs = np.empty(scores.shape, scores.dtype)
    masked_softmax(readable(scores, scores.dtype), readable(key_mask, np.bool_), causal, probs)
    return probs


@kernel
def masked_softmax(scores: Array, key_mask: Array, causal: bool, probs: Array) -> None:
    """Every row of probs ← softmax over the keys that the mask and causality let it see."""
    batch, heads, queries, keys = scores.shape
    for sequence in range(batch):
        visible = key_mask[sequence]
        first_visible = _first_true(visible)
        for head in range(heads):
            for query in range(queries):
                allowed = max(0, keys - queries + query + 1) if causal else keys
                row = probs[sequence, head, query]
                if first_visible < allowed:
                    _softmax_row(scores[sequence, head, query], visible, allowed, row)
                else:
                    _uniform_row(allowed, row)


@inlined
def _first_true(flags: Array) -> int:
    for index in range(flags.shape[0]):
        if flags[index]:
            return index
    return flags.shape[0]


@inlined
def _softmax_row(scores: Array, visible: Array, allowed: int, probs: Array) -> None:
    hidden = sort_key(-np.inf)
    highest = hidden
    for key in range(allowed):
        candidate = sort_key(np.float64(scores[key])) if visible[key] else hidden
        highest = max(highest, candidate)
    top, total = from_sort_key(highest), 0.0
    # a subnormal weight makes the product with the values many times slower and is smaller than any that must not be 0
    smallest = np.finfo(scores.dtype).tiny
    for key in range(allowed):
        grown = exp(np.float64(scores[key]) - top)
        grown = 0.0 if grown < smallest else grown
        grown = grown if visible[key] else 0.0
        total = add(total, grown)
        probs[key] = grown
    for key in range(allowed):
        probs[key] = probs[key] / total
    # 0, or NaN where a visible score makes the row NaN, as the definition has it
    probs[allowed:] = 0.0 / total


@inlined
def _uniform_row(allowed: int, probs: Array) -> None:
    # 1/0 is what the definition gives a query that causality lets see nothing: its row is NaN
    probs[:allowed] = 1.0 / allowed
    probs[allowed:] = 0.0 if allowed else np.nan
