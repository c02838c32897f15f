"""This package as an implementation under test: what a conformance suite asks of anybody, answered by our models.

The suite is not imported: an adapter is any object with a name, a version, capabilities and `load`.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import tensorflow as tf

from roformer_numpy.config import RoFormerConfig
from roformer_numpy.tokenization.extras import installed, reads_pytorch_files
from roformer_numpy.validation.binding import argument_order, keyword_only

from .base import DTYPES, TFRoFormerBase
from .gradients import loss_gradients
from .models import MODELS
from .outputs import TFModelOutput
from .pool import Pool

FORMATS = ("safetensors", "pytorch", "h5", "tf1")  # h5py comes with Keras

CAPABILITIES: Mapping[str, Any] = MappingProxyType(
    {
        "heads": tuple(MODELS),
        "dtypes": DTYPES,
        "call_styles": ("keywords", "dict", "list", "tuple", "single", "items"),
        "training": True,
        "cache": True,
        "cross_attention": True,
        "head_mask": True,
        "pruning": True,
        "resizing": True,
        "saving": True,
        "formats": tuple(name for name in FORMATS if name != "pytorch" or reads_pytorch_files()),
        "configuration": True,
        "overrides": True,
        "generation": True,
        "gradients": True,
        "graph": True,
        "keras": True,
        "python_values": True,
        "warnings": True,
        "output_objects": True,
        "tokenizer": installed("tokenizers", "rjieba"),
        "profile": "documented",
    }
)


# How a call is executed, and by what name a command line asks for it.
MODES: Mapping[str, str] = MappingProxyType(
    {"eager": "tensorflow", "graph": "tensorflow:graph", "xla": "tensorflow:xla"}
)


# What a suite calls a type, and the Keras policy that computes in it: weights that it holds lose nothing by float32.
POLICIES: Mapping[str, str] = MappingProxyType({"bfloat16": "mixed_bfloat16", "float16": "mixed_float16"})


class TensorFlowAdapter:
    """Loads our Keras models for a suite and calls them eagerly, in a graph, or compiled by XLA.

    In a graph, calls go through `as_function` with the switch that gives the word to the call's own flags; `execute`
    is what has the documented behaviour (IN-9). `generate` is a loop in Python whose steps are eager in every mode.
    """

    capabilities = CAPABILITIES

    def __init__(self, mode: str = "eager", dtype: str = "") -> None:
        """An adapter that claims float32 and float64, or only the half-precision type `dtype`."""
        self.mode, self.name = mode, MODES[mode]
        if dtype:
            self.name = f"{self.name}:{dtype}"
            self.capabilities = MappingProxyType({**CAPABILITIES, "dtypes": (dtype,)})
        self.version = version("roformer-reference")
        self._pool = Pool()

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> LoadedModel:
        """The model called `head` with the given flat Hugging Face weights."""
        model = self._pool.load(head, RoFormerConfig.from_dict(config), weights, POLICIES.get(dtype, dtype))
        loaded = LoadedModel(model, self.mode)
        loaded.lent = self._pool.lend(loaded, model)
        return loaded

    def load_saved(self, head: str, path: str | os.PathLike[str], dtype: str, **overrides: Any) -> LoadedModel:
        """The model that `LoadedModel.save` wrote to `path`; `overrides` are fields of its configuration."""
        policy = POLICIES.get(dtype, dtype)
        return LoadedModel(MODELS[head].from_pretrained(path, dtype=policy, **overrides), self.mode)

    def configure(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """What config.json holds of a configuration that is built from `fields` by keywords."""
        return RoFormerConfig(**fields).to_dict()

    def tokenizer(self, folder: str | os.PathLike[str]) -> Any:
        """The tokenizer of a folder with vocab.txt: the one that the whole project shares."""
        from roformer_numpy.tokenization import RoFormerTokenizer  # needs the extra [text]

        return RoFormerTokenizer.from_pretrained(folder)

    def dataset(self, examples: Any, batch_size: int) -> tf.data.Dataset:
        """Batches of arrays in any nesting, as `fit` reads them."""
        return tf.data.Dataset.from_tensor_slices(examples).batch(batch_size)


def graph_adapter() -> TensorFlowAdapter:
    """The adapter that calls models in a graph."""
    return TensorFlowAdapter("graph")


def bfloat16_adapter() -> TensorFlowAdapter:
    """The adapter of the policy mixed_bfloat16."""
    return TensorFlowAdapter(dtype="bfloat16")


def float16_adapter() -> TensorFlowAdapter:
    """The adapter of the policy mixed_float16."""
    return TensorFlowAdapter(dtype="float16")


def xla_adapter() -> TensorFlowAdapter:
    """The adapter that calls models compiled by XLA."""
    return TensorFlowAdapter("xla")


class LoadedModel:
    """One loaded model, called in the styles that the contract knows (IN-2)."""

    def __init__(self, model: TFRoFormerBase, mode: str = "eager") -> None:
        self.model, self.mode = model, mode
        self.run: Callable[..., Any] = model
        if mode != "eager":
            self.run = model.as_function(jit_compile=mode == "xla", honour_call_flags=True)
        self.lent: weakref.finalize[..., Any] | None = None
        self._functions: dict[str, Callable[..., Any]] = {}

    def __call__(
        self, inputs: Mapping[str, Any], *, style: str = "keywords", options: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        """Call with `inputs` in `style`; `options` go by keyword, `seed` among them is dropout's randomness.

        Returns:
            the outputs by name; a plain tuple (return_dict=False) under the one name "tuple".
        """
        return _by_name(self._call(inputs, style, self._named(options)))

    def execute(self, inputs: Mapping[str, Any], options: Mapping[str, Any], mode: str) -> Mapping[str, Any]:
        """Call by keywords in `mode`, with the behaviour that is documented for it.

        "eager"; "graph" and "xla", which `as_function` makes; "traced graph" and "traced xla", inside a `tf.function`
        of somebody's own, where no value of an argument is known before it runs.
        """
        named = self._named(options)
        if mode.startswith("traced"):
            given = {name: tf.constant(value) for name, value in inputs.items()}
            return _by_name(self._function(mode)(given, named))
        return _by_name((self.model if mode == "eager" else self._function(mode))(**inputs, **named))

    def _function(self, mode: str) -> Callable[..., Any]:
        """What runs in `mode`; made once for each, as its users make it."""
        if mode not in self._functions:
            compiles = mode.endswith("xla")
            self._functions[mode] = (
                tf.function(lambda given, named: self.model(**given, **named), jit_compile=compiles)
                if mode.startswith("traced")
                else self.model.as_function(jit_compile=compiles)
            )
        return self._functions[mode]

    def gradients(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The mean of the losses as "loss", and its gradients by every weight and by inputs_embeds where given."""
        return loss_gradients(self.model, inputs, self._named(options), self.run)

    @property
    def keras_model(self) -> TFRoFormerBase:
        """The `keras.Model` itself, with compile, fit, evaluate and predict; it is lent to nobody else afterwards."""
        if self.lent is not None:
            self.lent.detach()
        return self.model

    def _named(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        """The options that go by keyword; the seed of dropout is set."""
        named = dict(options or {})
        if "seed" in named:
            self.model.set_seed(named.pop("seed"))
        return named

    def _call(self, given: Mapping[str, Any], style: str, named: dict[str, Any]) -> Any:
        if style == "dict":
            return self.run(given, **named)  # of whatever type the mapping is
        if style == "items":
            return self.run(list(given.values()), **named)
        inputs = dict(given)
        if style == "keywords":
            return self.run(**inputs, **named)
        named |= {name: inputs.pop(name) for name in keyword_only(self.model.head) if name in inputs}
        if style == "single":
            return self.run(inputs.pop("input_ids"), **inputs, **named)
        order = argument_order(self.model.head)
        items = [inputs.get(name) for name in order]
        while items and items[-1] is None:
            items.pop()
        return self.run({"list": list, "tuple": tuple}[style](items), **named)

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


def _by_name(output: Any) -> Mapping[str, Any]:
    return output if isinstance(output, TFModelOutput) else {"tuple": output}
