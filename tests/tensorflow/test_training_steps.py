"""One step of an optimizer, held against its formula in NumPy over the gradients of a direct call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from roformer_tensorflow.gradients import loss_gradients

from .samples import MODELS, call_of, config_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STILL: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
Gradients = dict[str, np.ndarray]


def unclipped(gradients: Gradients) -> Gradients:
    """As they are."""
    return gradients


def clipped_each(gradients: Gradients) -> Gradients:
    """Each gradient scaled to a norm of at most 0.01."""
    return {name: array * min(1.0, 0.01 / np.linalg.norm(array)) for name, array in gradients.items()}


def clipped_together(gradients: Gradients) -> Gradients:
    """All gradients scaled by one factor to a norm of at most 0.01."""
    norm = np.sqrt(sum(np.sum(array**2) for array in gradients.values()))
    return {name: array * min(1.0, 0.01 / norm) for name, array in gradients.items()}


def clipped_by_value(gradients: Gradients) -> Gradients:
    """Every element between −0.0001 and 0.0001."""
    return {name: np.clip(array, -1e-4, 1e-4) for name, array in gradients.items()}


def descent(gradient: np.ndarray) -> np.ndarray:
    """The step of SGD with a rate of 1."""
    return gradient


def adam(gradient: np.ndarray) -> np.ndarray:
    """Adam's first step with a rate of 0.01, as Keras writes it: m and v start at 0."""
    m, v = (1 - 0.9) * gradient, (1 - 0.999) * gradient**2
    return 0.01 * np.sqrt(1 - 0.999) / (1 - 0.9) * m / (np.sqrt(v) + 1e-7)


CLIPS: dict[str, tuple[dict[str, float], Callable[[Gradients], Gradients]]] = {
    "nothing": ({}, unclipped),
    "clipnorm": ({"clipnorm": 0.01}, clipped_each),
    "global_clipnorm": ({"global_clipnorm": 0.01}, clipped_together),
    "clipvalue": ({"clipvalue": 1e-4}, clipped_by_value),
}
OPTIMIZERS: dict[str, tuple[Callable[..., Any], Callable[[np.ndarray], np.ndarray]]] = {
    "SGD": (lambda **clip: keras.optimizers.SGD(1.0, **clip), descent),
    "Adam": (lambda **clip: keras.optimizers.Adam(0.01, **clip), adam),
}


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("head", ["sequence_classification", "masked_lm"])
def test_a_step_is_the_optimizers_formula(head: str, optimizer: str, clip: str) -> None:
    """Every weight, embedding tables with repeated ids among them: summed first, then clipped, squared and applied.

    To 1e-6 of an Adam step of 0.01 and more, since Keras takes the powers of its betas in float32.
    """
    (make, step), (options, clipped) = OPTIMIZERS[optimizer], CLIPS[clip]
    model = MODELS[head](config_of(**STILL, num_hidden_layers=1, initializer_range=0.3), dtype="float64")
    model.compile(make(**options), run_eagerly=True)
    call = call_of(head, model.config)
    gradients = {name: np.asarray(array) for name, array in loss_gradients(model, call, {}).items() if name != "loss"}
    before = model.to_weights()
    model.train_on_batch(call)
    after = model.to_weights()
    for name, gradient in clipped(gradients).items():
        np.testing.assert_allclose(before[name] - after[name], step(gradient), rtol=0, atol=1e-6, err_msg=name)
        assert np.any(after[name] != before[name])


@pytest.mark.parametrize("options", [{"jit_compile": False}, {"jit_compile": True}], ids=["graph", "xla"])
def test_a_compiled_step_is_an_eager_one(options: dict[str, Any]) -> None:
    """Tables with repeated ids are summed before Adam squares them in a graph and under XLA too."""
    models = [MODELS["sequence_classification"](config_of(**STILL, num_hidden_layers=1), dtype="float64") for _ in "ab"]
    call = call_of("sequence_classification", models[0].config)
    for model, way in zip(models, ({"run_eagerly": True}, options), strict=True):
        model.compile(keras.optimizers.Adam(0.01, global_clipnorm=0.1), **way)
        model.train_on_batch(call)
    for one, two in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-9)
