"""This package as an implementation under test: what a conformance suite asks of anybody, answered by our models.

The suite is not imported: an adapter is any object with a name, a version, capabilities and `load`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

from roformer_numpy.config import RoFormerConfig
from roformer_numpy.validation.binding import argument_order, keyword_only

from .base import DTYPES, TFRoFormerBase
from .models import MODELS
from .outputs import TFModelOutput

CAPABILITIES: Mapping[str, Any] = MappingProxyType(
    {
        "heads": tuple(MODELS),
        "dtypes": DTYPES,
        "call_styles": ("keywords", "dict", "list", "tuple", "single"),
        "training": True,
        "cache": True,
        "cross_attention": True,
        "head_mask": True,
        "pruning": True,
        "resizing": True,
        "saving": True,
        "overrides": True,
        "generation": True,
        "python_values": True,
        "warnings": True,
        "output_objects": True,
        "profile": "documented",
    }
)


class TensorFlowAdapter:
    """Loads our Keras models for a suite and calls them eagerly."""

    name = "tensorflow"
    capabilities = CAPABILITIES

    def __init__(self) -> None:
        self.version = version("roformer-reference")

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> EagerModel:
        """The model called `head` with the given flat Hugging Face weights."""
        return EagerModel(MODELS[head].from_weights(RoFormerConfig.from_dict(config), weights, dtype=dtype))

    def load_saved(self, head: str, path: str | os.PathLike[str], dtype: str, **overrides: Any) -> EagerModel:
        """The model that `EagerModel.save` wrote to `path`; `overrides` are fields of its configuration."""
        return EagerModel(MODELS[head].from_pretrained(path, dtype=dtype, **overrides))


class EagerModel:
    """One loaded model, called in the styles that the contract knows (IN-2)."""

    def __init__(self, model: TFRoFormerBase) -> None:
        self.model = model

    def __call__(
        self, inputs: Mapping[str, Any], *, style: str = "keywords", options: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        """Call with `inputs` in `style`; `options` go by keyword, `seed` among them is dropout's randomness.

        Returns:
            the outputs by name; a plain tuple (return_dict=False) under the one name "tuple".
        """
        named = dict(options or {})
        if "seed" in named:
            self.model.set_seed(named.pop("seed"))
        output = self._call(inputs, style, named)
        return output if isinstance(output, TFModelOutput) else {"tuple": output}

    def _call(self, given: Mapping[str, Any], style: str, named: dict[str, Any]) -> Any:
        if style == "dict":
            return self.model(given, **named)  # of whatever type the mapping is
        inputs = dict(given)
        if style == "keywords":
            return self.model(**inputs, **named)
        named |= {name: inputs.pop(name) for name in keyword_only(self.model.head) if name in inputs}
        if style == "single":
            return self.model(inputs.pop("input_ids"), **inputs, **named)
        order = argument_order(self.model.head)
        items = [inputs.get(name) for name in order]
        while items and items[-1] is None:
            items.pop()
        return self.model({"list": list, "tuple": tuple}[style](items), **named)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to the folder `path`."""
        self.model.save_pretrained(path)

    def prune_heads(self, heads: Mapping[int, list[int]]) -> None:
        """Take attention heads out for good."""
        self.model.prune_heads(heads)

    def resize_token_embeddings(self, vocab_size: int) -> None:
        """Grow or cut the vocabulary."""
        self.model.resize_token_embeddings(vocab_size)

    def generate(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Continue the prompts of `inputs`; only a causal language model can."""
        return self.model.generate(**inputs, **options)
