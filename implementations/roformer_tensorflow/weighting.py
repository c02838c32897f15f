"""Sample weights on the losses that the models compute themselves, as Keras weighs its own, and which labels count.

The loss of a batch is Σ w·l / n: each of the n losses times its weight, divided by how many there are and not by the
sum of the weights, which is Keras' "sum_over_batch_size" with masked positions left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from roformer_numpy.config import RoFormerConfig
from roformer_numpy.errors import InputError

from .losses import LOSSES, NO_LABEL, POSITIONS, position_losses, reduced
from .outputs import Fields
from .precision import wide

PER_TOKEN = ("masked_lm", "causal_lm", "token_classification")


def weighted_mean(
    head: str, fields: Fields, labels: Mapping[str, Any], sample_weight: Any, config: RoFormerConfig
) -> tf.Tensor:
    """Σ w·l / n of one batch, a scalar.

    Args:
        head: which losses.
        fields: the model's logits.
        labels: by name.
        sample_weight: (batch,) or (batch, 1), a number a row; for heads that label tokens also (batch, seq_len), each
            with its label; for question answering also a pair or mapping of start's and end's.
        config: the model's.

    Raises:
        InputError: sample_weight of another rank.
    """
    if head == "question_answering":
        parts = zip(position_losses(fields, labels), _pair(sample_weight), strict=True)
        start, end = (loss * _rows(loss, weight) for loss, weight in parts)
        return reduced((start + end) / 2, "mean")
    losses = LOSSES[head](fields, labels, config)
    if head in PER_TOKEN:
        return reduced(losses * _tokens(labels["labels"], sample_weight, head, losses.dtype), "mean")
    return reduced(losses * _rows(losses, sample_weight), "mean")


def beside(labels: Any, logits: Any, sample_weight: Any, shifts: bool) -> tuple[Any, Any, Any]:
    """What a loss of the caller's own is given for a head that labels tokens: each label beside its logits and weight.

    Args:
        labels: (batch, seq_len), or that under the name of its output; of another rank all is left as it is.
        logits: (batch, seq_len, classes), or that by name.
        sample_weight: as `weighted_mean` takes it, or None; Keras would not spread one a row over the row's labels.
        shifts: whether each position is held against the next one's label.

    Returns:
        labels and weights (batch, seq_len), logits (batch, seq_len, classes); with `shifts` one position less.
    """
    if isinstance(labels, Mapping):
        return _by_name(beside, labels, logits, sample_weight, shifts)
    if len(labels.shape) != 2:
        return labels, logits, sample_weight
    weight = None if sample_weight is None else _of_tokens(labels, sample_weight, wide(logits).dtype)
    if shifts:
        return labels[:, 1:], logits[:, :-1], None if weight is None else weight[:, 1:]
    return labels, logits, weight


def counted(labels: Any, logits: Any, sample_weight: Any, shifts: bool) -> tuple[Any, Any, Any]:
    """What a metric is given: what the head's loss counts, and nothing else.

    Returns:
        of what `beside` returns, labels (n,) that are not −100, their logits (n, classes), and their weights (n,).
    """
    if isinstance(labels, Mapping):
        return _by_name(counted, labels, logits, sample_weight, shifts)
    labels, logits, weight = beside(labels, logits, sample_weight, shifts)
    if len(labels.shape) != 2:
        return labels, logits, weight
    active = tf.not_equal(labels, NO_LABEL)
    weight = None if weight is None else tf.boolean_mask(weight, active)
    return tf.boolean_mask(labels, active), tf.boolean_mask(wide(logits), active), weight


def _by_name(arrange: Any, labels: Any, logits: Any, sample_weight: Any, shifts: bool) -> tuple[Any, Any, Any]:
    """What `arrange` makes of the one output that labels name, under its name; of other names nothing."""
    if set(labels) != {"logits"}:
        return labels, logits, sample_weight
    weight = sample_weight["logits"] if isinstance(sample_weight, Mapping) else sample_weight
    wanted, predicted, weight = arrange(labels["logits"], logits["logits"], weight, shifts)
    return {"logits": wanted}, {"logits": predicted}, weight


def _rows(loss: tf.Tensor, weight: Any) -> tf.Tensor:
    """(batch,)."""
    weight = _of_shape(weight, ((None,), (None, 1)), "(batch,)", loss.dtype)
    return tf.reshape(weight, tf.shape(loss))


def _tokens(labels: tf.Tensor, weight: Any, head: str, dtype: tf.DType) -> tf.Tensor:
    """(n,): a weight for each label that counts, in the order of the losses."""
    weight = _of_tokens(labels, weight, dtype)
    if head == "causal_lm":
        labels, weight = labels[:, 1:], weight[:, 1:]
    return tf.boolean_mask(weight, tf.not_equal(labels, NO_LABEL))


def _of_tokens(labels: tf.Tensor, weight: Any, dtype: tf.DType) -> tf.Tensor:
    """(batch, seq_len): a row's weight for each of its labels."""
    weight = _of_shape(weight, ((None,), (None, None)), "(batch,) or (batch, seq_len)", dtype)
    return tf.broadcast_to(weight[:, None] if weight.shape.rank == 1 else weight, tf.shape(labels))


def _pair(weight: Any) -> tuple[Any, Any]:
    """Start's and end's; Keras repeats a single weight for each of several y."""
    if isinstance(weight, Mapping):
        return weight[POSITIONS[0]], weight[POSITIONS[1]]
    return tuple(weight) if isinstance(weight, list | tuple) else (weight, weight)


def _of_shape(weight: Any, shapes: tuple[tuple[int | None, ...], ...], allowed: str, dtype: tf.DType) -> tf.Tensor:
    tensor = tf.cast(weight, dtype)
    if not any(tensor.shape.is_compatible_with(shape) for shape in shapes):
        raise InputError(f"sample_weight has shape {tuple(tensor.shape)}, allowed is {allowed}")
    return tensor
