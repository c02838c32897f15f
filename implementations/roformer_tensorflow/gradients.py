"""The gradients of a loss under the names that checkpoints give the weights (TRAIN-2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from roformer_numpy.checkpoints.names import foreign_name, transposed, with_prefix
from roformer_numpy.weights import Array

from .losses import reduced
from .variables import named_variables


def loss_gradients(
    model: keras.Model, inputs: Mapping[str, Any], options: Mapping[str, Any], run: Callable[..., Any] | None = None
) -> dict[str, Array]:
    """The mean of the losses of one call, and its gradients.

    Args:
        model: one with a loss.
        inputs: the arguments of a call by name, labels among them.
        options: further keywords of the call, such as training.
        run: what is called: the model, by default, or what its `as_function` returned.

    Returns:
        "loss" (), the gradient by each weight under its flat Hugging Face name in PyTorch's layout (a tied matrix under
        one name), and "inputs_embeds" where these were given.
    """
    given = dict(inputs)
    sources = {name: variable.value for name, variable in named_variables(model).items()}
    if given.get("inputs_embeds") is not None:
        given["inputs_embeds"] = sources["inputs_embeds"] = tf.constant(given["inputs_embeds"], model.compute_dtype)
    with tf.GradientTape() as tape:
        tape.watch([sources[name] for name in ("inputs_embeds",) if name in sources])
        loss = reduced((run or model)(**given, **{**options, "return_dict": True}).loss, "mean")
    found = tape.gradient(loss, sources)
    return {"loss": loss.numpy()} | {
        _foreign(name, model.head): _outside(name, _array(gradient, sources[name])) for name, gradient in found.items()
    }


def _array(gradient: Any, source: Any) -> Array:
    """The gradient as one array, 0 where nothing leads from the source to the loss."""
    array: Array = np.zeros(source.shape, source.dtype.as_numpy_dtype)
    return array if gradient is None else tf.convert_to_tensor(gradient).numpy()


def _foreign(name: str, head: str) -> str:
    return name if name == "inputs_embeds" else with_prefix(foreign_name(name, head), head)


def _outside(name: str, array: Array) -> Array:
    return array if name == "inputs_embeds" else np.array(transposed(name, array), order="C")
