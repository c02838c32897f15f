"""The twins of equations.losses that work through a vocabulary."""

from __future__ import annotations

import math

import numpy as np

from ..equations.losses import IGNORED
from ..weights import Array
from .arrays import readable
from .elementary import add, exp, from_sort_key, sort_key
from .jit import inlined, kernel


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Twin of equations.losses.cross_entropy."""
    losses = np.empty(labels.shape, logits.dtype)
    label_losses(readable(logits, logits.dtype), readable(labels, np.int64), losses)
    return losses


def active_cross_entropy(logits: Array, labels: Array) -> Array:
    """Twin of equations.losses.active_cross_entropy; neither copies the logits nor reads those without a label."""
    losses = np.empty(labels.shape, logits.dtype)
    # sequence by sequence, because the shifted logits of a causal model are contiguous only within one
    for sequence in range(len(labels)):
        losses[sequence] = cross_entropy(logits[sequence], labels[sequence])
    return losses[labels != IGNORED]


def span_cross_entropy(start_logits: Array, end_logits: Array, start: Array, end: Array) -> Array:
    """Twin of equations.losses.span_cross_entropy."""
    return (cross_entropy(start_logits, start) + cross_entropy(end_logits, end)) / 2


@kernel
def label_losses(logits: Array, labels: Array, losses: Array) -> None:
    """losses[n] ← the cross-entropy of row n at its label, 0 where the label is no class."""
    rows, classes = logits.shape
    for row in range(rows):
        label = labels[row]
        losses[row] = _label_loss(logits[row], label) if 0 <= label < classes else 0.0


@inlined
def _label_loss(logits: Array, label: int) -> float:
    highest = sort_key(-np.inf)
    for index in range(logits.shape[0]):
        highest = max(highest, sort_key(np.float64(logits[index])))
    top, total = from_sort_key(highest), 0.0
    for index in range(logits.shape[0]):
        total = add(total, exp(np.float64(logits[index]) - top))
    return math.log(total) - (np.float64(logits[label]) - top)
