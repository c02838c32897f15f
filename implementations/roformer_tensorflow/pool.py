"""Models to load weights into: making Keras layers and tracing functions costs more than most calls.

A model is handed out again only when nobody holds what it was handed out in, and never while it is changed in a way
that new weights do not undo.
"""

from __future__ import annotations

import json
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from roformer_numpy import checkpoints
from roformer_numpy.config import RoFormerConfig

from .base import TFRoFormerBase
from .models import MODELS
from .variables import assign

# Idle models that are kept; each holds what was compiled for it.
KEPT = 24


class Pool:
    """Idle models by head, configuration and type."""

    def __init__(self) -> None:
        self._idle: OrderedDict[str, list[TFRoFormerBase]] = OrderedDict()

    def load(self, head: str, config: RoFormerConfig, weights: Mapping[str, Any], dtype: str) -> TFRoFormerBase:
        """A model with these weights, as `from_weights` makes it, its warnings and errors included."""
        for model in self._idle.pop(self._key(head, config, dtype), []):
            tree = checkpoints.tree_from_mapping(weights, config, head, model.variable_dtype, model.seed)
            if (model.pooler is None) == (tree.pooler is None):
                assign(model, tree)
                model.set_seed(model.seed)
                return model
        return MODELS[head].from_weights(config, weights, dtype=dtype)

    def lend(self, holder: Any, model: TFRoFormerBase) -> weakref.finalize[..., Any]:
        """Take `model` back when `holder` is gone; the finalizer that does so can be detached."""
        key = self._key(model.head, model.config, model.dtype_policy.name)
        return weakref.finalize(holder, self._take_back, key, model)

    def _take_back(self, key: str, model: TFRoFormerBase) -> None:
        if self._key(model.head, model.config, model.dtype_policy.name) != key or model.compiled:
            return  # pruned, resized or trained
        self._idle[key] = [model]
        while len(self._idle) > KEPT:
            self._idle.popitem(last=False)

    def _key(self, head: str, config: RoFormerConfig, dtype: str) -> str:
        return json.dumps([head, dtype, config.to_dict()], sort_keys=True, default=str)
