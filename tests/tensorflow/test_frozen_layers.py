"""Layers that do not train: `layer.trainable = False` touches no weight and no name, and goes where the model goes."""

from __future__ import annotations

import copy
from typing import Any

import keras
import numpy as np
import pytest

from .samples import MODELS, call_of, config_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

HEAD = "token_classification"


def partly_frozen(**changes: Any) -> Any:
    """A model whose embeddings, and one dense layer deep inside, do not train."""
    model = MODELS[HEAD](config_of(num_hidden_layers=1, **changes), seed=3, dtype="float64")
    model.embeddings.trainable = False
    model.encoder.blocks[0].attention.query.trainable = False
    return model


def names(variables: Any) -> list[str]:
    """The last parts of the variables' paths."""
    return sorted(".".join(variable.path.split("/")[-2:]) for variable in variables)


def test_frozen_weights_are_saved_with_the_others(tmp_path) -> None:
    """to_weights and save_pretrained know every weight, whether it trains or not."""
    model, free = partly_frozen(), MODELS[HEAD](config_of(num_hidden_layers=1), seed=3, dtype="float64")
    weights = model.to_weights()
    assert all(np.array_equal(weights[name], array) for name, array in free.to_weights().items())
    model.trainable = False
    model.save_pretrained(tmp_path)
    again = MODELS[HEAD].from_pretrained(tmp_path, dtype="float64")
    assert all(np.array_equal(weights[name], array) for name, array in again.to_weights().items())


def test_pruning_and_resizing_leave_frozen_layers_frozen() -> None:
    """The layers are made anew, their flags are not."""
    model = partly_frozen()
    before = names(model.trainable_variables)
    model.prune_heads({0: [1]})
    model.resize_token_embeddings(31)
    assert names(model.trainable_variables) == before
    assert "embeddings.word" not in before
    assert "encoder.layer_0.attention.query.kernel" not in before


@pytest.mark.parametrize("way", ["keras file", "deepcopy", "clone_model", "config"])
def test_copies_are_frozen_where_the_model_is(way: str, tmp_path) -> None:
    """What would train after loading is what trained before, slots of the optimizer included."""
    model = partly_frozen()
    call = call_of(HEAD, model.config)
    if way == "keras file":
        model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
        model.fit(call, verbose=0)
        model.save(tmp_path / "model.keras")
    again = {
        "keras file": lambda: keras.saving.load_model(tmp_path / "model.keras"),
        "deepcopy": lambda: copy.deepcopy(model),
        "clone_model": lambda: keras.models.clone_model(model),
        "config": lambda: type(model).from_config(model.get_config()),
    }[way]()
    assert names(again.trainable_variables) == names(model.trainable_variables)
    assert names(again.weights) == names(model.weights)
    if way == "keras file":
        slots = zip(again.optimizer.variables, model.optimizer.variables, strict=True)
        assert all(np.array_equal(one.numpy(), two.numpy()) for one, two in slots)


def test_frozen_layers_keep_their_weights_in_training() -> None:
    """A step changes every weight that trains and no other."""
    model = partly_frozen()
    before = {variable.path: variable.numpy() for variable in model.weights}
    model.compile(keras.optimizers.SGD(1.0), run_eagerly=True)
    model.train_on_batch(call_of(HEAD, model.config))
    changed = {variable.path for variable in model.weights if np.any(variable.numpy() != before[variable.path])}
    assert changed == {variable.path for variable in model.trainable_variables}
