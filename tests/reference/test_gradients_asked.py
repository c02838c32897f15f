"""A masked language model's head is computed where something is asked; that changes no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ..support import MODELS as ALL
from ..support import config_of, good_call, strong_weights

ALLOWED = 1e-13  # two orders of summation in float64, of the largest element


def model_and_call(components: str, tied: bool) -> tuple[Any, dict[str, Any]]:
    """A masked language model, and a call most of whose labels are −100."""
    config = config_of(tie_word_embeddings=tied)
    weights = strong_weights(config, "masked_lm")
    model = ALL["masked_lm"].from_weights(config, weights, dtype="float64", components=components)
    call = good_call("masked_lm", config)
    call["labels"] = np.where(np.random.default_rng(1).random(call["labels"].shape) < 0.3, call["labels"], -100)
    return model, call


def by_all_logits(model: Any, call: dict[str, Any]) -> dict[str, np.ndarray]:
    """The same gradients from the logits of every position, weighed by what moves the mean loss: softmax − 1."""
    given = {name: value for name, value in call.items() if name != "labels"}
    logits, labels = model(**given).logits, call["labels"]
    asked = labels != -100
    upstream = np.exp(logits - logits.max(axis=-1, keepdims=True))
    upstream /= upstream.sum(axis=-1, keepdims=True)
    upstream[asked, labels[asked]] -= 1.0
    upstream *= asked[..., None] / asked.sum()
    return model.gradients(**given, upstream={"logits": upstream}).to_weights()


@pytest.mark.parametrize("components", ["equations", "kernels"])
@pytest.mark.parametrize("tied", [True, False])
def test_the_gradients_are_those_by_the_logits_of_all_positions(components: str, tied: bool) -> None:
    """Tensor by tensor; the loss is the call's."""
    model, call = model_and_call(components, tied)
    found, expected = model.gradients(**call), by_all_logits(model, call)
    assert found.loss == pytest.approx(model(**call).loss.mean(), rel=1e-13)
    largest = max(np.abs(array).max() for array in expected.values())
    for name, array in found.to_weights().items():
        assert np.abs(array - expected[name]).max() <= ALLOWED * largest, name


@pytest.mark.parametrize("components", ["equations", "kernels"])
def test_where_nothing_is_asked_nothing_moves(components: str) -> None:
    """All labels −100: a loss of 0 and gradients that are exactly 0."""
    model, call = model_and_call(components, True)
    found = model.gradients(**{**call, "labels": np.full_like(call["labels"], -100)})
    assert found.loss == 0.0
    assert not any(array.any() for array in found.to_weights().values())


def test_each_loss_can_be_weighed_on_its_own() -> None:
    """Weights in the order of the losses: the sum over them is the sum of each alone."""
    model, call = model_and_call("equations", True)
    losses = model(**call).loss
    parts = [model.gradients(**call, upstream=row).to_weights() for row in np.diag(np.arange(1.0, len(losses) + 1))]
    whole = model.gradients(**call, upstream=np.arange(1.0, len(losses) + 1)).to_weights()
    for name, array in whole.items():
        np.testing.assert_allclose(sum(part[name] for part in parts), array, rtol=1e-9, atol=1e-11, err_msg=name)
