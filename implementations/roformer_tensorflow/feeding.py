"""What a caller hands to `fit` and its siblings, put in a form that Keras passes on whole.

Keras takes any mapping other than a dict for one value, and drops weights of samples whose labels are inside x.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from roformer_numpy.config import RoFormerConfig
from roformer_numpy.errors import InputError, shown

from .inputs import bound
from .losses import POSITIONS
from .ragged import dense, is_ragged

LABELS = ("labels", *POSITIONS)
WEIGHTS = ("sample_weight", "class_weight")

Arguments = dict[str, Any]


def arranged(arguments: Arguments, head: str, config: RoFormerConfig, loss: Any) -> Arguments:
    """The arguments of fit, evaluate, predict, train_on_batch or test_on_batch.

    Args:
        arguments: by name.
        head: of the model.
        config: of the model.
        loss: what the model was compiled with; None for its own loss.

    Raises:
        InputError: weights without labels, or class weights that do not fit.
    """
    result = {name: _plain(value) if name in ("x", "y") else value for name, value in arguments.items()}
    result |= _padded(result, head, config)
    if any(result.get(name) is not None for name in WEIGHTS):
        result |= _with_y(result["x"], result.get("y"), head)
    if result.get("class_weight") is not None and loss is None:
        result["class_weight"] = _class_weights(result["class_weight"], head, config)
    if isinstance(result.get("validation_data"), tuple):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(result["validation_data"])
        x, y, weight = padded((_plain(x), _plain(y), weight), head, config)
        named = {"x": x, "y": y} if weight is None else _with_y(x, y, head)
        result["validation_data"] = keras.utils.pack_x_y_sample_weight(named["x"], named["y"], weight)
    elif isinstance(result.get("validation_data"), tf.data.Dataset):
        result["validation_data"] = _padded({"x": result["validation_data"]}, head, config)["x"]
    return result


def padded(data: Any, head: str, config: RoFormerConfig) -> tuple[Any, Any, Any]:
    """x, y and sample_weight of a batch, or of all rows; where some part is ragged it is padded, and x is by name.

    Raises:
        InputError, InputTypeError: parts that are not ragged alike.
    """
    x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
    if not is_ragged((x, y, weight)):
        return x, y, weight
    name = next(iter(y)) if isinstance(y, Mapping) and len(y) == 1 else None
    labels = y if name is None else y[name]
    beside = {"labels": labels} if is_ragged(labels) else {}
    beside |= {"sample_weight": weight} if is_ragged(weight) else {}
    named = dense(bound(head, (x,), {}) | beside, config, head)
    weight = named.pop("sample_weight", weight)
    if is_ragged(labels):
        labels = named.pop("labels")
        y = labels if name is None else {name: labels}
    return named, y, weight


def _padded(arguments: Arguments, head: str, config: RoFormerConfig) -> Arguments:
    """x, y and sample_weight padded: a dataset batch by batch, everything else to its longest row."""
    x = arguments.get("x")
    if isinstance(x, tf.data.Dataset):
        pad = tf.autograph.experimental.do_not_convert(
            lambda *data: keras.utils.pack_x_y_sample_weight(*padded(data, head, config))
        )
        return {"x": x.map(pad) if is_ragged(x.element_spec) else x}
    names = ("x", "y", "sample_weight")
    values = padded(tuple(arguments.get(name) for name in names), head, config)
    return {name: value for name, value in zip(names, values, strict=True) if name in arguments}


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _with_y(x: Any, y: Any, head: str) -> Arguments:
    """x and y, which holds the labels that are inside x too."""
    _refuse_a_dataset_without_y(x)
    if y is not None or not isinstance(x, Mapping | list | tuple):
        return {"x": x, "y": y}
    named = bound(head, (x,), {})
    labels = [named[name] for name in LABELS if name in named]
    if not labels:
        raise InputError("sample_weight or class_weight without labels: give labels in x by name, or as y")
    return {"x": named, "y": labels[0] if len(labels) == 1 else tuple(labels)}


def _refuse_a_dataset_without_y(x: Any) -> None:
    if isinstance(x, tf.data.Dataset) and keras.utils.unpack_x_y_sample_weight(x.element_spec)[1] is None:
        raise InputError("class_weight needs the labels as y of the dataset: Keras finds no classes inside x")


def _class_weights(given: Mapping[int, float], head: str, config: RoFormerConfig) -> dict[int, float]:
    """A weight for every class, which Keras turns into sample weights; 1 where none was given."""
    if head == "multiple_choice":
        return dict(given)
    if head != "sequence_classification" or config.task != "single_label_classification":
        raise InputError(
            f"class_weight: a row of this model (head {head}) has no one class; give sample_weight instead"
        )
    wrong = [number for number in given if number not in range(config.num_labels)]
    if wrong:
        raise InputError(f"class_weight has the class {shown(wrong[0])}, allowed are 0 to {config.num_labels - 1}")
    return {number: given.get(number, 1.0) for number in range(config.num_labels)}
