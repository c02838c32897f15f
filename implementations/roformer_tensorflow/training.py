"""Keras' compile, fit, evaluate and predict with the loss that the models compute themselves (TRAIN-3, IN-8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from roformer_numpy.errors import InputError

from .inputs import bound
from .losses import reduced
from .outputs import TFModelOutput


class TrainsOnItsOwnLoss:
    """For a keras.Model with a `head`: without a loss in `compile`, the mean of the model's own is trained.

    Labels come inside x, in the documented formats, or as y: an array, a mapping of names, or for question answering
    the pair of start and end. A loss given to `compile` is computed on the logits, or by name where y is a mapping.
    """

    head: ClassVar[str]
    _compile_loss: Any

    def train_step(self, data: Any) -> Any:
        """One step of `fit`."""
        return super().train_step(self._with_labels_inside(data))  # type: ignore[misc]

    def test_step(self, data: Any) -> Any:
        """One step of `evaluate`."""
        return super().test_step(self._with_labels_inside(data))  # type: ignore[misc]

    def predict_step(self, data: Any) -> Any:
        """One step of `predict`."""
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return super().predict_step((_named(self.head, x),))  # type: ignore[misc]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> tf.Tensor:
        """The loss of one batch, a scalar."""
        if self._compile_loss is not None:
            return super().compute_loss(x, y, _predicted(y, y_pred), sample_weight, training)  # type: ignore[misc]
        if y_pred.loss is None:
            raise InputError("there are no labels to train on: give them in x by name, or as y")
        return reduced(y_pred.loss, "mean")

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The metrics that `compile` was given, on the logits or by name."""
        predicted = y_pred if y is None else _predicted(y, y_pred)
        return super().compute_metrics(x, y, predicted, sample_weight)  # type: ignore[misc]

    def _with_labels_inside(self, data: Any) -> tuple[Any, Any, Any]:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        named = _named(self.head, x)
        if self._compile_loss is not None:
            return named, y, sample_weight
        if sample_weight is not None:
            raise InputError("sample_weight has no effect on a loss that the model computes; compile with a loss")
        return named | _labels(self.head, y), y, None


def _named(head: str, x: Any) -> dict[str, Any]:
    """Inputs by name; in eager steps too the result has to be an output object."""
    return {**bound(head, (x,), {}), "return_dict": True}


def _labels(head: str, y: Any) -> dict[str, Any]:
    if y is None:
        return {}
    if isinstance(y, Mapping):
        return dict(y)
    if head == "question_answering":
        return dict(zip(("start_positions", "end_positions"), y, strict=True))
    return {"labels": y}


def _predicted(y: Any, y_pred: TFModelOutput) -> Any:
    """What a loss or metric of the caller's own is held against."""
    if isinstance(y, Mapping):
        return {name: y_pred[name] for name in y}
    if y_pred.start_logits is not None:
        return (y_pred.start_logits, y_pred.end_logits)
    return y_pred[0] if y_pred.logits is None else y_pred.logits
