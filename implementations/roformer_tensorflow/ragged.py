"""Ragged batches: rows of lengths of their own, padded to the longest one and masked where they were padded.

XLA knows no ragged tensors, so that what Keras' methods are given is padded before a compiled function sees it.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from roformer_numpy.config import RoFormerConfig
from roformer_numpy.errors import InputError, InputTypeError

from .losses import NO_LABEL
from .shapes import TOKEN_LABELS

Given = dict[str, Any]

PER_TOKEN = ("input_ids", "inputs_embeds", "attention_mask", "token_type_ids")
BESIDE = ("labels", "sample_weight")


def is_ragged(value: Any) -> bool:
    """Whether some part of an argument, or of a description of one, has rows of differing lengths."""
    parts = keras.tree.flatten(value)
    return any(isinstance(part, tf.RaggedTensor | tf.RaggedTensorSpec) and part.ragged_rank > 0 for part in parts)


def dense(given: Given, config: RoFormerConfig, head: str) -> Given:
    """The arguments of a call with every RaggedTensor padded, and, unless there is one, the mask that says where.

    input_ids are filled with pad_token_id, labels with −100, everything else with 0; labels may be ragged where tokens
    are labelled, and so may the sample_weight that `fit` was given beside them.

    Raises:
        InputTypeError: a RaggedTensor where a row has no length of its own.
        InputError: arguments that are not ragged alike.
        tf.errors.InvalidArgumentError: the same, where lengths are known only when a graph runs.
    """
    ragged = [name for name, value in given.items() if is_ragged(value)]
    if not ragged:
        return given
    allowed = (*PER_TOKEN, *(BESIDE if head in TOKEN_LABELS else ()))
    alike, axis = [name for name in allowed if name in given], 2 if head == "multiple_choice" else 1
    _check_which(ragged, allowed, alike)
    for name in alike:
        _check_alike(name, given[name], alike[0], given[alike[0]], axis)
    fills = {"input_ids": config.pad_token_id or 0, "labels": NO_LABEL}
    padded = {name: given[name].to_tensor(fills.get(name, 0)) for name in alike}
    lengths = given[alike[0]].row_lengths(axis)
    lengths = lengths if axis == 1 else lengths.to_tensor()
    return {"attention_mask": tf.sequence_mask(lengths, tf.shape(padded[alike[0]])[axis]), **given, **padded}


def _check_which(ragged: list[str], allowed: tuple[str, ...], alike: list[str]) -> None:
    for name in ragged:
        if name not in allowed:
            raise InputTypeError(
                f"{name} is a RaggedTensor; of this model {', '.join(allowed)} may be; use to_tensor()"
            )
    for name in alike:
        if name not in ragged:
            raise InputError(f"{name} is not ragged but {ragged[0]} is: give both ragged, or pad both with to_tensor()")


def _check_alike(name: str, value: Any, first: str, sequence: Any, axis: int) -> None:
    """Refuse other lengths than the sequence has, and other numbers of choices than the first row has."""
    if value.ragged_rank != axis:
        raise InputError(
            f"{name} has ragged_rank {value.ragged_rank}, expected {axis}: only positions differ in number"
        )
    for mine, theirs in zip(value.nested_row_lengths(), sequence.nested_row_lengths(), strict=True):
        _check_equal(mine, theirs, f"{name} has rows of other lengths than {first}")
    if axis == 2:
        choices = value.row_lengths()
        _check_equal(choices, tf.fill(tf.shape(choices), tf.reduce_max(choices)), f"{name} has rows of fewer choices")


def _check_equal(lengths: tf.Tensor, expected: tf.Tensor, complaint: str) -> None:
    if not tf.executing_eagerly():
        tf.debugging.assert_equal(lengths, expected, message=complaint)
    elif not np.array_equal(lengths, expected):
        raise InputError(f"{complaint}: {lengths.numpy().tolist()}, expected {expected.numpy().tolist()}")
