"""Models that the adapter hands out again: nothing of one holder reaches another."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from roformer_tensorflow.adapter import TensorFlowAdapter

from .samples import MODELS, config_of

IDS = {"input_ids": np.array([[1, 2, 3]])}
OPTIONS = {"training": True}


@pytest.fixture(name="adapter")
def make_adapter() -> TensorFlowAdapter:
    """An adapter without idle models."""
    return TensorFlowAdapter()


def load(adapter: TensorFlowAdapter, seed: int) -> Any:
    """A loaded model with the weights of a seed, and dropout to see its randomness by."""
    config = config_of(hidden_dropout_prob=0.5)
    return adapter.load("base", config.to_dict(), MODELS["base"](config, seed=seed).to_weights(), "float32")


def test_a_model_is_used_again_when_nobody_holds_it(adapter: TensorFlowAdapter) -> None:
    """It gives what a fresh one gives: other weights, and dropout from the start."""
    first = load(adapter, 1)
    first(IDS, options={"seed": 7, **OPTIONS})
    used = id(first.model)
    del first
    gc.collect()
    second, fresh = load(adapter, 2), load(TensorFlowAdapter(), 2)
    assert id(second.model) == used
    for options in ({}, OPTIONS):
        got, expected = (model(IDS, options=options)["last_hidden_state"] for model in (second, fresh))
        assert np.array_equal(got, expected)


def test_two_holders_never_share_a_model(adapter: TensorFlowAdapter) -> None:
    """While the first one is held, its weights stay what they are."""
    first = load(adapter, 1)
    before = first(IDS)["last_hidden_state"].numpy()
    second = load(adapter, 2)
    assert second.model is not first.model
    assert np.array_equal(first(IDS)["last_hidden_state"], before)


@pytest.mark.parametrize("change", ["pruned", "resized", "trained", "lent"])
def test_a_changed_model_is_not_used_again(adapter: TensorFlowAdapter, change: str) -> None:
    """New weights do not undo pruning, another vocabulary or an optimizer; and who has the Keras model still has it."""
    first = load(adapter, 1)
    model = first.model
    if change == "pruned":
        first.prune_heads({0: [1]})
    elif change == "resized":
        first.resize_token_embeddings(31)
    elif change == "trained":
        model.compile(optimizer="sgd")
    else:
        assert first.keras_model is model
    del first
    gc.collect()
    assert load(adapter, 2).model is not model
