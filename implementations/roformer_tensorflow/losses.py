"""The losses, one number for each thing that is predicted (LOSS-1 to LOSS-7), and how sample weights weigh them.

Losses are computed in float32 or float64, also where a mixed policy makes the logits narrower.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from roformer_numpy.config import RoFormerConfig

from .outputs import Fields
from .precision import wide

NO_LABEL = -100
POSITIONS = ("start_positions", "end_positions")


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """−log softmax(logits)[label]: (n, classes), (n,) → (n,)."""
    return -tf.gather(tf.nn.log_softmax(wide(logits)), labels, axis=-1, batch_dims=1)


def token_loss(fields: Fields, labels: Mapping[str, Any], config: RoFormerConfig) -> tf.Tensor:
    """The cross-entropy of each label that is not −100, in row-major order, (n,) (LOSS-1, LOSS-2)."""
    wanted = labels["labels"]
    active = tf.not_equal(wanted, NO_LABEL)
    return cross_entropy(tf.boolean_mask(fields["logits"], active), tf.boolean_mask(wanted, active))


def causal_lm_loss(fields: Fields, labels: Mapping[str, Any], config: RoFormerConfig) -> tf.Tensor:
    """As token_loss, a position's logits against the next one's label, (n,) (LOSS-3)."""
    return token_loss({"logits": fields["logits"][:, :-1]}, {"labels": labels["labels"][:, 1:]}, config)


def sequence_loss(fields: Fields, labels: Mapping[str, Any], config: RoFormerConfig) -> tf.Tensor:
    """The loss of each row as the configuration's task says, (batch,) (LOSS-5)."""
    logits, wanted = wide(fields["logits"]), labels["labels"]
    if config.task == "single_label_classification":
        return cross_entropy(logits, tf.reshape(wanted, (-1,)))
    wanted = tf.cast(tf.reshape(wanted, (-1, config.num_labels)), logits.dtype)
    if config.task == "regression":
        return tf.reduce_mean((logits - wanted) ** 2, axis=-1)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(wanted, logits), axis=-1)


def choice_loss(fields: Fields, labels: Mapping[str, Any], config: RoFormerConfig) -> tf.Tensor:
    """The cross-entropy of each example over its choices, (batch,) (LOSS-6.1)."""
    return cross_entropy(fields["logits"], tf.reshape(labels["labels"], (-1,)))


def span_loss(fields: Fields, labels: Mapping[str, Any], config: RoFormerConfig) -> tf.Tensor:
    """Half of start's and end's cross-entropies; a position beyond the sequence counts 0, (batch,) (LOSS-6)."""
    start, end = position_losses(fields, labels)
    return (start + end) / 2


def position_losses(fields: Fields, labels: Mapping[str, Any]) -> tuple[tf.Tensor, tf.Tensor]:
    """The cross-entropies of starts and of ends, (batch,) each."""
    start, end = (labels[name] for name in POSITIONS)
    return _position_loss(fields["start_logits"], start), _position_loss(fields["end_logits"], end)


def _position_loss(logits: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    positions = tf.reshape(positions, (-1,))
    inside = positions < tf.cast(tf.shape(logits)[-1], positions.dtype)
    loss = cross_entropy(logits, tf.where(inside, positions, tf.zeros_like(positions)))
    return tf.where(inside, loss, tf.zeros_like(loss))


def reduced(loss: tf.Tensor, reduction: str) -> tf.Tensor:
    """The losses themselves, or their mean; the mean of no losses is 0 (LOSS-1.3, LOSS-7)."""
    if reduction == "none":
        return loss
    return tf.reduce_sum(loss) / tf.cast(tf.maximum(tf.size(loss), 1), loss.dtype)


LOSSES: Mapping[str, Callable[[Fields, Mapping[str, Any], RoFormerConfig], tf.Tensor]] = {
    "masked_lm": token_loss,
    "causal_lm": causal_lm_loss,
    "sequence_classification": sequence_loss,
    "token_classification": token_loss,
    "multiple_choice": choice_loss,
    "question_answering": span_loss,
}
