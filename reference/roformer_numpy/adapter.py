"""This package as an implementation under test: what a conformance suite asks of anybody, answered by our models.

The suite is not imported: an adapter is any object with a name, a version, capabilities and `load`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import numpy as np

from .arithmetic import FULL, checked_compute, components_named
from .components import WITH_ENGINE, Components
from .config import RoFormerConfig
from .models import DTYPES, MODELS, RoFormerBase
from .outputs import ModelOutput
from .tokenization.extras import installed, reads_pytorch_files
from .validation.binding import argument_order, keyword_only
from .weights import HEADS

# What the extras that are not installed would read is not claimed. TensorFlow reads its own checkpoints: asked of its
# adapter.
_READERS = {"safetensors": True, "pytorch": reads_pytorch_files(), "h5": installed("h5py")}
_FORMATS = tuple(name for name, is_read in _READERS.items() if is_read)

CAPABILITIES: Mapping[str, Any] = MappingProxyType(
    {
        "heads": HEADS,
        "dtypes": DTYPES,
        "call_styles": ("keywords", "dict", "list", "tuple", "single", "items"),
        "training": True,
        "cache": True,
        "cross_attention": True,
        "head_mask": True,
        "pruning": True,
        "resizing": True,
        "saving": True,
        "formats": _FORMATS,
        "configuration": True,
        "overrides": True,
        "generation": True,
        "gradients": True,
        "fixed_weights": False,
        "python_values": True,
        "warnings": True,
        "output_objects": True,
        "tokenizer": installed("tokenizers", "rjieba"),
        "profile": "documented",
    }
)


class NumpyAdapter:
    """Loads our models for a suite: `components` is "kernels", "components", "equations" or a table of your own.

    With compute="bfloat16" it claims that type alone: weights, sums and outputs are float32, what products multiply is
    rounded to it, which is more exact than the type allows.
    """

    capabilities = CAPABILITIES
    wrapping: type[NumpyModel]

    def __init__(self, components: str | Components = "kernels", compute: str = FULL) -> None:
        self.components = components_named(components)
        self.name = "numpy" if self.components.name == WITH_ENGINE else f"numpy-{self.components.name}"
        self.version = version("roformer-reference")
        self.compute = checked_compute(compute, np.dtype(np.float32), self.components)
        if compute != FULL:
            self.name = f"{self.name}:{compute}"
            self.capabilities = MappingProxyType({**CAPABILITIES, "dtypes": (compute,)})

    def prepare(self) -> float:
        """Compile the kernels, or load them from disk, so that no check is charged for it; returns the seconds."""
        if not self.components.compiled:
            return 0.0
        from .kernels import warm_up, warm_up_engine  # numba is imported by those who ask for it

        return warm_up() + warm_up_engine(self.compute)

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> NumpyModel:
        """The model called `head` with the given flat Hugging Face weights."""
        described = RoFormerConfig.from_dict(config)
        return self.wrapping(MODELS[head].from_weights(described, weights, **self._settings(dtype)))

    def load_saved(self, head: str, path: str | os.PathLike[str], dtype: str, **overrides: Any) -> NumpyModel:
        """The model that `NumpyModel.save` wrote to `path`; `overrides` are fields of its configuration."""
        return self.wrapping(MODELS[head].from_pretrained(path, **self._settings(dtype), **overrides))

    def _settings(self, dtype: str) -> dict[str, Any]:
        stored = FULL if dtype == self.compute else dtype
        return {"dtype": stored, "components": self.components, "compute": self.compute}

    def configure(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """What config.json holds of a configuration that is built from `fields` by keywords."""
        return RoFormerConfig(**fields).to_dict()

    def tokenizer(self, folder: str | os.PathLike[str]) -> Any:
        """The tokenizer of a folder with vocab.txt."""
        from .tokenization import RoFormerTokenizer  # needs the extra [text]

        return RoFormerTokenizer.from_pretrained(folder)


def bfloat16_adapter() -> NumpyAdapter:
    """The adapter of the engine with products of bfloat16."""
    return EngineAdapter("bfloat16")


class EngineAdapter(NumpyAdapter):
    """The adapter whose numbers are the engine's wherever it has them, in calls that return attentions too."""

    def __init__(self, compute: str = FULL) -> None:
        super().__init__(compute=compute)
        self.name, self.wrapping = "numpy-engine" if compute == FULL else self.name, EngineModel


def components_adapter() -> NumpyAdapter:
    """The adapter of the kernels one after the other, without the engine."""
    return NumpyAdapter("components")


def equations_adapter() -> NumpyAdapter:
    """The adapter of the definition itself."""
    return NumpyAdapter("equations")


class NumpyModel:
    """One loaded model, called in the styles that the contract knows (IN-2)."""

    def __init__(self, model: RoFormerBase) -> None:
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
            named["generator"] = named.pop("seed")
        output = self._call(inputs, style, named)
        return output if isinstance(output, ModelOutput) else {"tuple": output}

    def _call(self, given: Mapping[str, Any], style: str, named: dict[str, Any]) -> Any:
        if style == "dict":
            return self.model(given, **named)  # of whatever type the mapping is
        if style == "items":
            return self.model(list(given.values()), **named)
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

    def gradients(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The mean of the losses as "loss", and its gradients by every weight and by inputs_embeds where given."""
        named = {"generator" if name == "seed" else name: value for name, value in options.items()}
        found = self.model.gradients(**inputs, **named)
        by_inputs = {} if found.inputs_embeds is None else {"inputs_embeds": found.inputs_embeds}
        return {"loss": found.loss, **found.to_weights(), **by_inputs}

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
        """Continue the prompts of `inputs`; only a causal language model can. `seed` is sampling's randomness."""
        named = {"generator" if name == "seed" else name: value for name, value in options.items()}
        return self.model.generate(**inputs, **named)  # type: ignore[attr-defined]


class EngineModel(NumpyModel):
    """A model of which components compute attentions alone; what else a call returns is that of one without them."""

    def _call(self, given: Mapping[str, Any], style: str, named: dict[str, Any]) -> Any:
        whole = super()._call(given, style, dict(named))
        if given.get("training") or named.get("training"):
            return whole  # the components drop
        unasked = {"output_attentions": False}
        if "output_attentions" in given:
            plain = super()._call({**given, **unasked}, style, dict(named))
        else:
            plain = super()._call(given, style, {**named, **unasked})
        # attentions stand last
        return replace(whole, **plain) if isinstance(whole, ModelOutput) else (*plain, *whole[len(plain) :])


NumpyAdapter.wrapping = NumpyModel
