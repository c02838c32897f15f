"""The twins of equations.gradients.losses that work through a vocabulary."""

from __future__ import annotations

import numpy as np

from ...equations.losses import IGNORED
from ...weights import Array
from ..arrays import readable
from ..elementary import add, exp, from_sort_key, sort_key
from ..jit import kernel


def cross_entropy_vjp(upstream: Array, logits: Array, labels: Array) -> Array:
    """Twin of equations.gradients.losses.cross_entropy_vjp."""
    gradient = np.empty(logits.shape, logits.dtype)
    label_gradients(
        readable(upstream, logits.dtype), readable(logits, logits.dtype), readable(labels, np.int64), gradient
    )
    return gradient


def active_cross_entropy_vjp(upstream: Array, logits: Array, labels: Array) -> Array:
    """Twin of equations.gradients.losses.active_cross_entropy_vjp; does not read the logits without a label."""
    weights = np.zeros(labels.shape, logits.dtype)
    weights[labels != IGNORED] = upstream
    rows = logits.reshape(-1, logits.shape[-1])
    return cross_entropy_vjp(weights.reshape(-1), rows, labels.reshape(-1)).reshape(logits.shape)


@kernel
def label_gradients(upstream: Array, logits: Array, labels: Array, gradient: Array) -> None:
    """gradient[n] ← upstream[n] · (softmax of row n − 1 at its label), 0 where the label is no class."""
    rows, classes = logits.shape
    for row in range(rows):
        label, values, result = labels[row], logits[row], gradient[row]
        if not 0 <= label < classes:
            result[:] = 0.0
            continue
        highest = sort_key(-np.inf)
        for index in range(classes):
            highest = max(highest, sort_key(np.float64(values[index])))
        top, total, weight = from_sort_key(highest), 0.0, np.float64(upstream[row])
        for index in range(classes):
            total = add(total, exp(np.float64(values[index]) - top))
        for index in range(classes):
            result[index] = weight * (exp(np.float64(values[index]) - top) / total)
        result[label] = weight * (exp(np.float64(values[label]) - top) / total - 1.0)
