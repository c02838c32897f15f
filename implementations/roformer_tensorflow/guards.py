"""Values that a graph sees only when it runs: a wrong one fails an assertion, and where XLA drops assertions it turns
the results of its batch into NaN. No wrong value is silently taken for an allowed one (ERR).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from roformer_numpy.config import RoFormerConfig

from .inputs import MASKS
from .losses import NO_LABEL

Given = Mapping[str, Any]


def guarded(given: Given, config: RoFormerConfig, head: str) -> tuple[dict[str, Any], tf.Tensor]:
    """The arguments with 0 in place of every wrong value, and whether there was none, bool ()."""
    safe, fine = dict(given), tf.constant(True)
    for name, value in given.items():
        fits, allowed = _fit(name, value, given, config, head)
        if fits is None:
            continue
        right = tf.reduce_all(fits)
        with tf.control_dependencies([tf.debugging.Assert(right, [f"{name} holds a value other than {allowed}"])]):
            safe[name] = tf.where(fits, value, tf.zeros_like(value))
        fine &= right
    return safe, fine


def spoiled_unless(fine: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """x, or NaN in all of it."""
    return tf.where(fine, x, tf.constant(float("nan"), x.dtype))


def _fit(name: str, value: Any, given: Given, config: RoFormerConfig, head: str) -> tuple[tf.Tensor | None, str]:
    """Which values of an argument are allowed, and what those are in words; None where all are."""
    if name in MASKS and value.dtype != tf.bool:
        return tf.equal(value, 0) | tf.equal(value, 1), "0 and 1"
    if name in ("start_positions", "end_positions"):
        return value >= 0, "0 and above"
    classes = _classes(name, value, given, config, head)
    if classes is None:
        return None, ""
    fits = (value >= 0) & (value < tf.cast(classes, value.dtype))
    if name == "labels" and head in ("masked_lm", "causal_lm", "token_classification"):
        return fits | tf.equal(value, NO_LABEL), f"{NO_LABEL} and 0 to {classes - 1}"
    return fits, f"0 to {classes - 1}" if isinstance(classes, int) else "one of the choices"


def _classes(name: str, value: Any, given: Given, config: RoFormerConfig, head: str) -> Any:
    """How many indices an argument chooses from; None where it is no index."""
    if name in ("input_ids", "token_type_ids"):
        return config.vocab_size if name == "input_ids" else config.type_vocab_size
    if name != "labels" or not value.dtype.is_integer:
        return None
    if head == "multiple_choice":
        return tf.shape(given["input_ids"] if "input_ids" in given else given["inputs_embeds"])[1]
    if head in ("masked_lm", "causal_lm"):
        return config.vocab_size
    labelled = head == "token_classification" or config.task == "single_label_classification"
    return config.num_labels if labelled else None
