"""Gradients against central differences in float64, along random directions through all weights at once (TRAIN-2)."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from .samples import HEADS, MODELS, call_of, config_of

STEP = 1e-5


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
