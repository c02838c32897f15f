"""Gradients in float64 against central differences, along random directions through all weights at once, and against
what PyTorch's autograd gave through transformers 4.37 (TRAIN-2).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from roformer_conformance.vectors import load_vectors
from roformer_tensorflow.adapter import TensorFlowAdapter, graph_adapter, xla_adapter

from .samples import HEADS, MODELS, call_of, config_of

STEP = 1e-5
FOLDER = Path(__file__).parents[2] / "fixtures" / "gradients"
VECTORS = {vector.id: vector for vector in load_vectors()}
ADAPTERS = {"eager": TensorFlowAdapter, "graph": graph_adapter, "xla": xla_adapter}

# Those of a loss: an adapter differentiates no other output.
RECORDED = sorted(FOLDER.glob("*-loss_*.safetensors"))
COMPILED = [("eager", path) for path in RECORDED] + [
    (mode, path)
    for mode in ("graph", "xla")
    for path in RECORDED
    if path.stem in ("masked_lm-loss_right_padding", "sequence_classification-loss_single_label")
]


@pytest.mark.parametrize(("mode", "path"), COMPILED, ids=lambda item: getattr(item, "stem", item))
def test_gradients_are_those_that_pytorch_recorded(mode: str, path: Path) -> None:
    """Loss and every weight under its Hugging Face name, to 1e-11 of the largest element there is."""
    vector, recorded = VECTORS[path.stem], load_file(path)
    weights = {name: np.asarray(array, np.float64) for name, array in vector.weights().items()}
    model = ADAPTERS[mode]().load(vector.head, dict(vector.described["config"]), weights, "float64")
    got = dict(model.gradients(vector.inputs(), {}))
    assert np.isclose(got.pop("loss"), recorded["loss"], rtol=1e-12, atol=1e-12)
    expected = {name.removeprefix("gradients/"): array for name, array in recorded.items() if "/" in name}
    largest = max(float(np.abs(array).max()) for array in expected.values())
    assert expected.keys() == got.keys()
    for name, array in expected.items():
        assert got[name].shape == array.shape, name
        assert np.abs(got[name] - array).max() <= 1e-11 * largest, name


def total_of(model, call) -> tf.Tensor:
    """One number that depends on everything: the loss, or for the base model both of its outputs."""
    output = model(**call)
    if output.loss is not None:
        return tf.reduce_sum(output.loss)
    return tf.reduce_sum(output.last_hidden_state**2) + tf.reduce_sum(output.pooler_output)


@pytest.mark.parametrize("head", HEADS)
def test_gradients_agree_with_central_differences(head: str) -> None:
    """The derivative along a direction is the gradient's product with it."""
    config = config_of(initializer_range=0.3, rotary_value=True, hidden_act="gelu", tie_word_embeddings=True)
    model, call = MODELS[head](config, dtype="float64"), call_of(head, config)
    variables, generator = model.trainable_variables, np.random.default_rng(0)
    with tf.GradientTape() as tape:
        total = total_of(model, call)
    gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(total, variables)]
    directions = [generator.normal(size=variable.shape) for variable in variables]
    expected = sum(
        float(tf.reduce_sum(gradient * along)) for gradient, along in zip(gradients, directions, strict=True)
    )
    ends = []
    for sign in (1.0, -2.0):
        for variable, along in zip(variables, directions, strict=True):
            variable.assign_add(sign * STEP * along)
        ends.append(float(total_of(model, call)))
    assert np.isclose((ends[0] - ends[1]) / (2 * STEP), expected, rtol=1e-6)


@pytest.mark.parametrize("head", HEADS)
def test_every_weight_has_a_gradient(head: str) -> None:
    """No weight is left out of the arithmetic; only what is added to all choices alike cannot matter."""
    config = config_of(initializer_range=0.3, loss_reduction="mean")
    model, call = MODELS[head](config, dtype="float64"), call_of(head, config)
    with tf.GradientTape() as tape:
        total = total_of(model, call)
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(total, model.trainable_variables), strict=True
    ):
        assert gradient is not None, variable.path
        if (head, variable.path) == ("multiple_choice", "head/bias"):
            continue
        assert float(tf.reduce_max(tf.abs(tf.convert_to_tensor(gradient)))) > 0, variable.path


def test_no_labels_give_a_zero_loss_and_zero_gradients() -> None:
    """All −100: the loss has shape (0,), its mean is 0, and so is every gradient (LOSS-7)."""
    config = config_of(loss_reduction="mean")
    model = MODELS["masked_lm"](config, dtype="float64")
    call = {**call_of("masked_lm", config), "labels": np.full((4, 7), -100)}
    with tf.GradientTape() as tape:
        loss = model(**call).loss
    assert float(loss) == 0.0
    for gradient in tape.gradient(loss, model.trainable_variables):
        assert not np.any(tf.convert_to_tensor(gradient).numpy())
