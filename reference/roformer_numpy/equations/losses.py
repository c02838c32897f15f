"""The losses, one number for each thing that is predicted (LOSS-1 to LOSS-7)."""

from __future__ import annotations

import numpy as np

from ..weights import Array

# The label that asks for no prediction.
IGNORED = -100


def log_softmax(logits: Array) -> Array:
    """logits − ln Σ exp(logits) over the last axis, without overflow."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def cross_entropy(logits: Array, labels: Array) -> Array:
    """−log softmax(logits)[label].

    Args:
        logits: (n, classes).
        labels: integers in [0, classes), (n,).

    Returns:
        (n,).
    """
    return -np.take_along_axis(log_softmax(logits), labels[:, None], axis=-1)[:, 0]


def active_cross_entropy(logits: Array, labels: Array) -> Array:
    """The cross-entropy of the labels that are not −100, in row-major order (LOSS-1, LOSS-2).

    Args:
        logits: (batch, seq_len, classes).
        labels: integers, −100 or in [0, classes), (batch, seq_len).

    Returns:
        (n,), n = number of labels ≠ −100.
    """
    active = labels != IGNORED
    return cross_entropy(logits[active], labels[active])


def span_cross_entropy(start_logits: Array, end_logits: Array, start: Array, end: Array) -> Array:
    """Half the sum of the cross-entropies of start and end (LOSS-6.2).

    A position beyond the sequence counts 0, and the sum is halved all the same (LOSS-6.3).

    Args:
        start_logits: (batch, seq_len).
        end_logits: (batch, seq_len).
        start: integers ≥ 0, (batch,).
        end: the same.

    Returns:
        (batch,).
    """
    return (_position_cross_entropy(start_logits, start) + _position_cross_entropy(end_logits, end)) / 2


def squared_error(logits: Array, labels: Array) -> Array:
    """The mean over a row's outputs of (logit − label)² (LOSS-5.1, LOSS-5.4).

    Args:
        logits: (batch, num_labels).
        labels: the same shape.

    Returns:
        (batch,).
    """
    return np.mean((logits - labels) ** 2, axis=-1)


def binary_cross_entropy(logits: Array, labels: Array) -> Array:
    """The mean over a row's outputs of −y·log σ(x) − (1 − y)·log(1 − σ(x)) = ln(1 + eˣ) − x·y (LOSS-5.5).

    Args:
        logits: (batch, num_labels).
        labels: in [0, 1], the same shape.

    Returns:
        (batch,).
    """
    return np.mean(np.logaddexp(0.0, logits) - logits * labels, axis=-1)


def reduce_loss(loss: Array, reduction: str) -> Array:
    """The losses themselves ("none") or their mean ("mean"); the mean of no losses is 0 (LOSS-1.3, LOSS-7.1)."""
    if reduction == "none":
        return loss
    return loss.sum() / np.asarray(max(loss.size, 1), loss.dtype)


def _position_cross_entropy(logits: Array, positions: Array) -> Array:
    inside = positions < logits.shape[-1]
    return np.where(inside, cross_entropy(logits, np.where(inside, positions, 0)), 0.0).astype(logits.dtype)
