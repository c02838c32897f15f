"""Keras' compile, fit, evaluate and predict with the loss that the models compute themselves (TRAIN-3, IN-8)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from roformer_numpy.config import RoFormerConfig
from roformer_numpy.errors import InputError

from .compiling import on_logits
from .feeding import LABELS, arranged, padded
from .inputs import as_tensor, bound
from .losses import POSITIONS, reduced
from .outputs import TFModelOutput
from .weighting import PER_TOKEN, beside, counted, weighted_mean


class TrainsOnItsOwnLoss:
    """For a keras.Model with a `head`: without a loss in `compile`, the mean of the model's own is trained.

    Labels come inside x, in the documented formats, or as y: an array, a mapping of names, or for question answering
    the pair of start and end. A loss given to `compile` is computed on the logits, or by name where y is a mapping.
    The reported loss is Keras': each batch's mean loss, weighted by its number of rows. Metrics of heads that label
    tokens see what the loss counts: labels (n,) without −100, their logits (n, classes), their weights (n,).
    """

    head: ClassVar[str]
    config: RoFormerConfig
    _compile_loss: Any
    _compile_metrics: Any

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, *args: Any, **options: Any) -> None:
        """As keras.Model.compile; "sparse_categorical_crossentropy" and its siblings by name are read as on logits.

        Without a loss the model trains on its own, also where it was compiled with one before. In a causal language
        model a loss given here holds an unnamed y against the logits of the same position, as Keras does: shift it
        yourself, or call it labels.
        """
        self._compile_loss = self._compile_metrics = None  # Keras keeps them from the last time
        super().compile(optimizer, on_logits(loss, self.head), *args, **options)  # type: ignore[misc]

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile a model that was loaded; Keras itself refuses where `compile` is a subclass's own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]

    def fit(self, *args: Any, **named: Any) -> Any:
        """As keras.Model.fit; class_weight works where a row has one class."""
        return super().fit(**self._arranged(keras.Model.fit, args, named))  # type: ignore[misc]

    def evaluate(self, *args: Any, **named: Any) -> Any:
        """As keras.Model.evaluate."""
        return super().evaluate(**self._arranged(keras.Model.evaluate, args, named))  # type: ignore[misc]

    def predict(self, *args: Any, **named: Any) -> Any:
        """As keras.Model.predict: every output, the batches put together field by field."""
        return super().predict(**self._arranged(keras.Model.predict, args, named))  # type: ignore[misc]

    def train_on_batch(self, *args: Any, **named: Any) -> Any:
        """As keras.Model.train_on_batch."""
        return super().train_on_batch(**self._arranged(keras.Model.train_on_batch, args, named))  # type: ignore[misc]

    def test_on_batch(self, *args: Any, **named: Any) -> Any:
        """As keras.Model.test_on_batch."""
        return super().test_on_batch(**self._arranged(keras.Model.test_on_batch, args, named))  # type: ignore[misc]

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
        """The loss of one batch, a scalar: mean(l), or with sample_weight Σ w·l / n (see `weighting`)."""
        if self._compile_loss is not None:
            wanted = _as_compiled(self._compile_loss, _wanted(x, y))
            predicted = _predicted(wanted, y_pred)
            if self.head in PER_TOKEN and wanted is not None:
                wanted, predicted, sample_weight = beside(wanted, predicted, sample_weight, self._shifts(x, y))
            return super().compute_loss(x, wanted, predicted, sample_weight, training)  # type: ignore[misc]
        if y_pred.loss is None:
            raise InputError("there are no labels to train on: give them in x by name, or as y")
        if sample_weight is None:
            return reduced(y_pred.loss, "mean")
        labels = {name: as_tensor(name, x[name], "float32") for name in LABELS if name in x}
        return weighted_mean(self.head, y_pred, labels, sample_weight, self.config)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The metrics that `compile` was given, on the logits or by name; on what counts where tokens are labelled."""
        wanted = _wanted(x, y)
        predicted = _predicted(wanted, y_pred)
        if self.head in PER_TOKEN and wanted is not None:
            wanted, predicted, sample_weight = counted(wanted, predicted, sample_weight, self._shifts(x, y))
        return super().compute_metrics(x, wanted, predicted, sample_weight)  # type: ignore[misc]

    def _shifts(self, x: Any, y: Any) -> bool:
        """Whether a position is held against the next one's label: labels by that name always are in a causal model.

        An unnamed y is those labels too, but beside a loss of the caller's own: there Keras' convention holds, that y
        lies beside the outputs.
        """
        named = any("labels" in part for part in (x, y) if isinstance(part, Mapping))
        return self.head == "causal_lm" and (named or self._compile_loss is None)

    def _arranged(self, method: Any, args: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
        """The arguments of one of Keras' methods by name, in a form in which Keras drops nothing."""
        given = inspect.signature(method).bind(self, *args, **named)
        arguments = {name: value for name, value in given.arguments.items() if name not in ("self", "kwargs")}
        return arranged({**arguments, **given.arguments.get("kwargs", {})}, self.head, self.config, self._compile_loss)

    def _with_labels_inside(self, data: Any) -> tuple[Any, Any, Any]:
        x, y, sample_weight = padded(data, self.head, self.config)
        named = _named(self.head, x)
        if isinstance(y, Mapping) and isinstance(sample_weight, Mapping):  # Keras gives weights the names of y
            sample_weight = sample_weight.get("labels", sample_weight)
        if self._compile_loss is not None:
            return named, y, sample_weight
        return named | _labels(self.head, y), y, sample_weight


def _named(head: str, x: Any) -> dict[str, Any]:
    """Inputs by name; in eager steps too the result has to be an output object."""
    return {**bound(head, (x,), {}), "return_dict": True}


def _labels(head: str, y: Any) -> dict[str, Any]:
    if y is None:
        return {}
    if isinstance(y, Mapping):
        return dict(y)
    if head == "question_answering":
        return dict(zip(POSITIONS, y, strict=True))
    return {"labels": y}


def _wanted(x: Mapping[str, Any], y: Any) -> Any:
    """What losses and metrics of the caller's own are given: y, or the labels inside x, without the labels' names."""
    source = x if y is None else y
    if not isinstance(source, Mapping) or not set(source) & set(LABELS):
        return y
    given = [source[name] for name in LABELS if source.get(name) is not None]
    return tuple(given) if len(given) > 1 else given[0]


def _as_compiled(compiled: Any, y: Any) -> Any:
    """y under the one name for which a loss was compiled, `loss={"logits": …}`."""
    losses = compiled._user_loss
    if isinstance(losses, Mapping) and len(losses) == 1 and not isinstance(y, Mapping):
        return {next(iter(losses)): y}
    return y


def _predicted(y: Any, y_pred: TFModelOutput) -> Any:
    """What a loss or metric of the caller's own is held against."""
    if isinstance(y, Mapping):
        return {name: y_pred[name] for name in y}
    if y_pred.start_logits is not None:
        return (y_pred.start_logits, y_pred.end_logits)
    return y_pred[0] if y_pred.logits is None else y_pred.logits
