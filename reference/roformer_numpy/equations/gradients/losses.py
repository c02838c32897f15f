"""The gradients of the losses by the logits (LOSS-1 to LOSS-7); `upstream` weighs each loss."""

from __future__ import annotations

import numpy as np

from ...weights import Array
from ..activations import sigmoid
from ..losses import IGNORED, log_softmax


def cross_entropy_vjp(upstream: Array, logits: Array, labels: Array) -> Array:
    """What moves ℓ = ln Σ exp(x) − x[label]: ∂ℓ/∂x = softmax(x) − [1 at the label].

    Args:
        upstream: (n,).
        logits: (n, classes).
        labels: integers in [0, classes), (n,).

    Returns:
        The shape of logits.
    """
    probs = np.exp(log_softmax(logits))
    probs[np.arange(len(labels)), labels] -= 1.0
    return upstream[:, None] * probs


def active_cross_entropy_vjp(upstream: Array, logits: Array, labels: Array) -> Array:
    """As cross_entropy_vjp where the label is not −100, exactly 0 where it is, whatever the logits there (LOSS-2.2).

    Args:
        upstream: (n,), n = number of labels ≠ −100, in row-major order.
        logits: (batch, seq_len, classes).
        labels: integers, −100 or in [0, classes), (batch, seq_len).

    Returns:
        The shape of logits.
    """
    active, gradient = labels != IGNORED, np.zeros_like(logits)
    gradient[active] = cross_entropy_vjp(upstream, logits[active], labels[active])
    return gradient


def span_cross_entropy_vjp(
    upstream: Array, start_logits: Array, end_logits: Array, start: Array, end: Array
) -> tuple[Array, Array]:
    """What moves half the sum of two cross-entropies; 0 for a position beyond the sequence (LOSS-6.2, LOSS-6.3).

    Args:
        upstream: (batch,).
        start_logits: (batch, seq_len).
        end_logits: (batch, seq_len).
        start: integers ≥ 0, (batch,).
        end: the same.

    Returns:
        by start_logits and by end_logits, their shapes.
    """
    return _position_vjp(upstream / 2, start_logits, start), _position_vjp(upstream / 2, end_logits, end)


def squared_error_vjp(upstream: Array, logits: Array, labels: Array) -> Array:
    """What moves the mean over C outputs of (x − y)²: 2 (x − y) / C.

    Args:
        upstream: (batch,).
        logits: (batch, num_labels).
        labels: the same shape.

    Returns:
        The shape of logits.
    """
    return upstream[:, None] * (2.0 * (logits - labels) / logits.shape[-1])


def binary_cross_entropy_vjp(upstream: Array, logits: Array, labels: Array) -> Array:
    """What moves the mean over C outputs of ln(1 + eˣ) − x·y: (σ(x) − y) / C.

    Args:
        upstream: (batch,).
        logits: (batch, num_labels).
        labels: in [0, 1], the same shape.

    Returns:
        The shape of logits.
    """
    return upstream[:, None] * ((sigmoid(logits) - labels) / logits.shape[-1])


def _position_vjp(upstream: Array, logits: Array, positions: Array) -> Array:
    inside = positions < logits.shape[-1]
    gradient = np.zeros_like(logits)
    gradient[inside] = cross_entropy_vjp(upstream[inside], logits[inside], positions[inside])
    return gradient
