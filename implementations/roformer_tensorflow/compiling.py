"""Losses that a caller hands to `compile`, which see the models' logits."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import keras

from .losses import NO_LABEL
from .weighting import PER_TOKEN

# Losses that by their bare name take probabilities, of which these models return none.
BY_NAME: Mapping[str, Any] = {
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
}


def on_logits(loss: Any, head: str) -> Any:
    """A cross-entropy given by name, made for logits; heads that label tokens ignore the label −100.

    Keras' own reading of the bare name takes the outputs for probabilities and trains on wrong numbers without a word.

    Warns:
        UserWarning: a Keras loss was made for probabilities.
    """
    if isinstance(loss, Mapping):
        return {name: on_logits(part, head) for name, part in loss.items()}
    if isinstance(loss, str) and loss in BY_NAME:
        ignoring = {"ignore_class": NO_LABEL} if loss.startswith("sparse") and head in PER_TOKEN else {}
        return BY_NAME[loss](from_logits=True, **ignoring)
    made: Any = loss
    if isinstance(loss, tuple(BY_NAME.values())) and not made.get_config()["from_logits"]:
        warnings.warn(
            f"{type(loss).__name__} takes probabilities, but this model returns logits: make it with from_logits=True",
            stacklevel=3,
        )
    return loss
