"""Implementations whose weights are baked in, such as an exported file: checked on the checkpoint they were made from.

Every check is tried with that model alone. One that needs other weights, other sizes or another switch is not
applicable: it is reported so, and never counts as passed.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from .levels import UsageError
from .oracle import Checkpoint
from .precision import rounded
from .protocol import Adapter, Array, Capabilities, Model, Unsupported
from .registry import Check
from .strategies import Case, OneOf

# How it is said that a check asks for another model than the one there is.
OTHER_WEIGHTS = "other weights (not applicable: fixed weights)"
# Whose weights a case has that is tried on it.
CHECKPOINT = "the checkpoint's weights"
# Claims about a pooler, which a checkpoint of a language model often lacks.
_ABOUT_THE_POOLER = ("OUT-1.1/base", "OUT-1.6/shapes-of-one", "OUT-4.1/formula")
# What a check may ask of its cases that has nothing to do with the model.
_FREE = ("masks", "min_batch", "max_batch", "min_seq_len", "max_seq_len")


class FixedWeights:
    """An adapter whose models have the weights of one checkpoint, whatever they are asked to load."""

    def __init__(self, adapter: Adapter, folder: str | os.PathLike[str]) -> None:
        """Bind an adapter to the checkpoint that it was exported from.

        Raises:
            AdapterError: no model in the folder, or not every weight of a head that the adapter claims.
        """
        self.adapter, self.checkpoint = adapter, Checkpoint(folder)
        self.name, self.version, self.capabilities = adapter.name, adapter.version, adapter.capabilities
        self._weights = cache(self.checkpoint.weights)
        for head in Capabilities.of(adapter).heads:
            self._weights(head)

    def __getattr__(self, name: str) -> Any:
        """Whatever else the adapter can do."""
        if name.startswith("__") or name == "adapter":
            raise AttributeError(name)
        return getattr(self.adapter, name)

    def __reduce__(self) -> Any:
        """For a worker: the adapter and the folder."""
        return FixedWeights, (self.adapter, self.checkpoint.folder)

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Model:
        """The model, if it is the one that is asked for.

        Raises:
            Unsupported: it is asked for other weights or another configuration.
        """
        own = self.own_weights(head, dtype)
        same = weights.keys() == own.keys() and dict(config) == dict(self.checkpoint.config)
        if not same or not all(np.array_equal(weights[name], own[name]) for name in own):
            raise Unsupported(OTHER_WEIGHTS)
        return self.adapter.load(head, config, weights, dtype)

    def own_weights(self, head: str, dtype: str) -> dict[str, Array]:
        """The checkpoint's weights, representable in `dtype`, as float64 arrays."""
        return {name: rounded(array, dtype) for name, array in self._weights(head).items()}

    def own_case(self, check: Check, case: Case) -> Case:
        """The case with the checkpoint's model in place of the drawn one.

        Raises:
            Unsupported: the check is about models that this is not one of.
        """
        config = dict(self.checkpoint.config)
        lacks = case.head == "base" and check.id in _ABOUT_THE_POOLER and not config["add_pooling_layer"]
        if lacks or not all(_fits(config, name, value) for name, value in check.drawn.items()):
            raise Unsupported(OTHER_WEIGHTS)
        longest = config["max_position_embeddings"]
        return dataclasses.replace(case, config=config, seq_len=min(case.seq_len, longest))


def bound(adapter: Adapter, folder: str | os.PathLike[str] | None) -> Adapter:
    """The adapter, bound to a checkpoint if it has fixed weights.

    Raises:
        UsageError: fixed weights without a folder, or a folder without fixed weights.
        AdapterError: the folder holds no fitting model.
    """
    fixed = Capabilities.of(adapter).fixed_weights
    if fixed and folder is None:
        raise UsageError(f"{adapter.name} claims fixed_weights: name the checkpoint it was made from with --model DIR")
    if not fixed and folder is not None:
        raise UsageError(f"--model is for an adapter that claims fixed_weights, and {adapter.name} does not")
    return adapter if folder is None else FixedWeights(adapter, folder)


def _fits(config: Mapping[str, Any], name: str, asked: Any) -> bool:
    """Whether the model is one of those that a check asks for by `choose_case(name=asked)`."""
    if name in _FREE or asked is None:
        return True
    if name == "profiles":
        return "strong" in asked
    if name == "projected":
        return bool(asked) == (config["embedding_size"] != config["hidden_size"])
    if name == "min_heads":
        return bool(config["num_attention_heads"] >= asked)
    if name == "min_head_dim":
        return bool(config["hidden_size"] // config["num_attention_heads"] >= asked)
    if name == "max_position_embeddings":
        return bool(config[name] >= asked)
    return config.get(name) in asked.values if isinstance(asked, OneOf) else bool(config.get(name) == asked)
