"""Compiling everything that a training step needs, ahead of the first one."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from ...weights import Array, Dense
from ..optimization import adamw
from . import activations, attention, embedding, feed_forward, losses, normalization, rotary


def warm_up_gradients(dtypes: Sequence[DTypeLike] = ("float32", "float64")) -> float:
    """Compile the gradients and AdamW for these types, or load them from disk; returns the seconds that took."""
    start = time.perf_counter()
    for dtype in dtypes:
        _touch_all(np.ones((1, 1, 2, 2), dtype))
    return time.perf_counter() - start


def _touch_all(x: Array) -> None:
    row, ids, square = x[0, 0, 0], np.zeros((1, 2), np.int64), Dense(x[0, 0], x[0, 0, 0])
    embedding.lookup_vjp(x[0], x[0, 0], ids)
    normalization.layer_norm_vjp(x, x, row, 1e-12)
    rotary.rotate_vjp(x, x[0, 0, :, :1], x[0, 0, :, :1])
    attention.attention_probs_vjp(x, x, np.ones((1, 2), bool), True)
    losses.cross_entropy_vjp(row, x[0, 0], ids[0])
    feed_forward.feed_forward_vjp(x[0], x[0], square, square, "gelu")
    adamw(row, row, row, row, 1, 0.1, (0.9, 0.999), 1e-8, 0.01)
    for name in activations.SLOPES:
        activations.activate_vjp(x, x, name)
