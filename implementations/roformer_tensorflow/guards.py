"""Values that a graph sees only when it runs: a wrong one fails an assertion, and where XLA drops assertions it turns
the results of its row into NaN. No wrong value is silently taken for an allowed one (ERR).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from roformer_numpy.config import RoFormerConfig

from .inputs import MASKS
from .losses import NO_LABEL
from .shapes import TOKEN_LABELS

Given = Mapping[str, Any]


def guarded(given: Given, config: RoFormerConfig, head: str) -> tuple[dict[str, Any], tf.Tensor]:
    """The arguments with 0 in place of every wrong value, and in which rows there was none, bool (batch,).

    Where an argument belongs to no row, as head_mask does, a wrong value is one in all of them.
    """
    sequence = given["input_ids"] if "input_ids" in given else given["inputs_embeds"]
    safe, fine = dict(given), tf.ones(tf.shape(sequence)[:1], tf.bool)
    for name, value in given.items():
        fits, allowed = _fit(name, value, sequence, config, head)
        if fits is None:
            continue
        with tf.control_dependencies([_asserted(name, value, fits, allowed)]):
            safe[name] = tf.where(fits, value, tf.zeros_like(value))
        if name == "labels" and head in TOKEN_LABELS:
            safe[name] = tf.reshape(safe[name], tf.shape(sequence)[:2])  # refused where it has another size
        rows = tf.reduce_all(fits) if name == "head_mask" else _by_row(fits)
        fine = fine & rows
    return safe, fine


def spoiled_unless(fine: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """x (rows, …), with NaN in each row that is not fine, (batch,); several choices are as many rows each."""
    batch = tf.size(fine)
    each = tf.shape(x)[0] // tf.maximum(batch, 1)
    rows = tf.broadcast_to(fine[:, None], (batch, each))
    rows = tf.reshape(rows, tf.concat([tf.shape(x)[:1], tf.ones_like(tf.shape(x)[1:])], axis=0))
    return tf.where(rows, x, tf.constant(float("nan"), x.dtype))


def _asserted(name: str, value: Any, fits: tf.Tensor, allowed: str) -> tf.Operation:
    """An assertion that everything fits; it names argument, position, value and what is allowed."""
    right = tf.reduce_all(fits)

    def refuse() -> tf.Tensor:
        place = tf.where(_listed(~fits))[:1]  # of one that does not fit; XLA compiles this for empty batches too
        told = [f"{name} at position", place, "is", tf.gather_nd(_listed(value), place), f"allowed are {allowed}"]
        with tf.control_dependencies([tf.raw_ops.Assert(condition=False, data=told)]):
            return tf.constant(False)

    return tf.cond(right, lambda: tf.constant(True), refuse)


def _listed(x: Any) -> Any:
    """x with a position for every number: XLA cannot say where in a single number something is."""
    return x[None] if x.shape.rank == 0 else x


def _by_row(fits: tf.Tensor) -> tf.Tensor:
    """Whether all of a row fits, (batch,); one number alone is the label of a batch of one."""
    return tf.reduce_all(fits, axis=tf.range(1, tf.maximum(tf.rank(fits), 1)))


def _fit(name: str, value: Any, sequence: Any, config: RoFormerConfig, head: str) -> tuple[tf.Tensor | None, str]:
    """Which values of an argument are allowed, and what those are in words; None where all are."""
    if name in MASKS:
        mask = tf.cast(value, tf.float64)
        return tf.equal(mask, 0) | tf.equal(mask, 1), "0 (masked) and 1 (attend)"
    if name in ("start_positions", "end_positions"):
        return _whole(value) >= 0, "0 and above"
    if name == "head_mask":
        return _between(value, 0, 1), "0 to 1"
    if name in ("input_ids", "token_type_ids"):
        count = config.vocab_size if name == "input_ids" else config.type_vocab_size
        return _is_index(value, count), f"0 to {count - 1}"
    return _fit_label(value, sequence, config, head) if name == "labels" else (None, "")


def _fit_label(value: Any, sequence: Any, config: RoFormerConfig, head: str) -> tuple[tf.Tensor, str]:
    if head in TOKEN_LABELS:
        classes = config.num_labels if head == "token_classification" else config.vocab_size
        fits = _is_index(value, classes) | tf.equal(_whole(value), NO_LABEL)
        return fits, f"0 to {classes - 1}, or {NO_LABEL}"
    if head == "multiple_choice":
        return _is_index(value, tf.shape(sequence)[1]), "0 to the number of choices less 1"
    if config.task == "single_label_classification":
        return _is_index(value, config.num_labels), f"0 to {config.num_labels - 1}"
    if config.task == "regression":
        return tf.math.is_finite(tf.cast(value, tf.float64)), "finite numbers"
    return _between(value, 0, 1), "0 to 1"


def _whole(value: Any) -> tf.Tensor:
    """As int64, which every limit fits into; what is too large for it becomes −1, which is nowhere allowed."""
    whole = tf.cast(value, tf.int64)
    return tf.where(value > tf.int64.max, -tf.ones_like(whole), whole) if value.dtype == tf.uint64 else whole


def _is_index(value: Any, count: Any) -> tf.Tensor:
    whole = _whole(value)
    return (whole >= 0) & (whole < tf.cast(count, tf.int64))


def _between(value: Any, low: float, high: float) -> tf.Tensor:
    number = tf.cast(value, tf.float64)
    return (number >= low) & (number <= high)
