"""The models in the box were trained with losses computed another way: the same numbers as the models' own."""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tensorflow as tf

from roformer_tensorflow import TFRoFormerForCausalLM, TFRoFormerForMaskedLM

OWN = {"tang-mini": TFRoFormerForMaskedLM, "tang-mini-writer": TFRoFormerForCausalLM}
SIZE = 40


@pytest.fixture(scope="module")
def recipes() -> ModuleType:
    """The module, which belongs to no package that is installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2])
        return importlib.import_module("fixtures.models.recipes")


@pytest.mark.parametrize("name", OWN)
def test_the_short_way_to_the_loss_has_its_value_and_its_gradients(recipes: ModuleType, name: str) -> None:
    """On rows with padding and unknown characters, to the last weight."""
    recipe, generator = recipes.RECIPES[name], np.random.default_rng(0)
    rows = generator.integers(5, SIZE, (6, 18), dtype=np.int32)
    rows[:, 0], rows[:, -1], rows[2, 5], rows[3, 12:] = 2, 3, 1, 0  # [CLS], [SEP], [UNK], padding
    batch = recipe.asks(rows, generator, SIZE).inputs()
    assert name != "tang-mini" or (batch["labels"] != -100).sum() == recipes.asked_in(6, 18)
    short = recipe.model(SIZE, 0)
    own = OWN[name].from_weights(short.config, short.to_weights())
    losses, gradients = zip(*map(partial(_differentiated, batch=batch), (short, own)), strict=True)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    largest = max(float(np.abs(gradient).max()) for gradient in gradients[1])
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6 * largest)


def _differentiated(model: tf.keras.Model, batch: dict[str, np.ndarray]) -> tuple[float, list[np.ndarray]]:
    """The mean loss in training and its gradients."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(batch, training=True).loss)
    found = tape.gradient(loss, model.trainable_variables)
    return float(loss), [tf.convert_to_tensor(gradient).numpy() for gradient in found if gradient is not None]
