"""How the tests of the reference get their models: through `build`, whichever arithmetic is meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..support import MODELS, config_of, strong_weights

Build = Callable[..., Any]


@pytest.fixture(params=["equations"])
def arithmetic(request: pytest.FixtureRequest) -> str:
    """The table of components that models of this test compute with."""
    return request.param


@pytest.fixture
def build(arithmetic: str) -> Build:
    """A model with strong weights: `build(head, seed=0, dtype="float64", **changes of the small configuration)`."""

    def make(head: str, *, seed: int = 0, dtype: str = "float64", **changes: Any) -> Any:
        config = config_of(**changes)
        weights = strong_weights(config.replace(pruned_heads={}), head, seed)
        model = MODELS[head].from_weights(config.replace(pruned_heads={}), weights, dtype=dtype, components=arithmetic)
        if config.pruned_heads:
            model.prune_heads(config.pruned_heads)
        return model

    return make


@pytest.fixture(scope="module")
def folder(model: Any, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The module's fixtures `model` and `tokenizer` as a model folder."""
    path = tmp_path_factory.mktemp("model")
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)
