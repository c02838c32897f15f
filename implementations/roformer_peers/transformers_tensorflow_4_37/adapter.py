"""The last TensorFlow RoFormer of the library. What its documentation promises is claimed, whether or not it works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import transformers
from transformers.modeling_tf_pytorch_utils import convert_tf_weight_name_to_pt_weight_name

from ..transformers_library import HEADS, called, model_folder

FIRST = (
    "input_ids", "attention_mask", "token_type_ids", "head_mask", "inputs_embeds", "output_attentions",
    "output_hidden_states", "return_dict",
)  # fmt: skip


class Adapter:
    """Loads and calls the library's TensorFlow models, eagerly."""

    name = "transformers_tensorflow_4_37"
    version = f"{transformers.__version__} (TensorFlow {tf.__version__})"

    def __init__(self) -> None:
        self.capabilities = {
            "heads": tuple(HEADS),
            "call_styles": ("keywords", "dict", "list", "tuple", "single"),
            # head_mask is documented and raises NotImplementedError; generate is inherited and never worked
            **dict.fromkeys(("training", "head_mask", "pruning", "resizing", "saving", "overrides", "warnings"), True),
            **dict.fromkeys(("gradients", "graph"), True),
            "profile": "transformers-tf-4.37",
        }
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        transformers.logging.enable_propagation()

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Model:
        """The model from a folder with these weights, in PyTorch's format: the library reads it without PyTorch."""
        with model_folder(config, weights) as folder:
            return self.load_saved(head, folder, dtype)

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Model:
        """The model from a folder; another number of labels is asked for in the documented way."""
        overrides |= {"ignore_mismatched_sizes": True} if overrides else {}
        return Model(head, getattr(transformers, f"TF{HEADS[head]}").from_pretrained(path, **overrides))


class CompiledAdapter(Adapter):
    """The same with every call by keywords compiled by XLA: `adapter.py:CompiledAdapter`."""

    def __init__(self) -> None:
        super().__init__()
        self.name = f"{self.name}_xla"
        self.capabilities = {"heads": tuple(HEADS), "call_styles": ("keywords",), "profile": "transformers-tf-4.37"}

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Model:
        """The model, its call compiled."""
        loaded = super().load_saved(head, path, dtype, **overrides)
        loaded.model = tf.function(loaded.model, jit_compile=True, autograph=False)
        return loaded


class Model:
    """One of the library's models."""

    def __init__(self, head: str, model: Any) -> None:
        self.model, self.functions = model, {"eager": model}
        labels = ("start_positions", "end_positions") if head == "question_answering" else ("labels",)
        self.order = (*FIRST, *(() if head == "base" else labels), "training")

    def __call__(self, inputs: Mapping[str, Any], *, style: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs as arrays."""
        options = dict(options)
        if "seed" in options:
            tf.random.set_seed(options.pop("seed"))
        given = {name: _to_tensor(value) for name, value in inputs.items()}
        named = {name: _to_tensor(value) for name, value in options.items()}
        if style in ("list", "tuple"):
            items = [given.get(name) for name in self.order]
            while items and items[-1] is None:
                items.pop()
            output = self.model(items if style == "list" else tuple(items), **named)
        else:
            output = called(self.model, given, style, named)
        return _named_outputs(output)

    def execute(self, inputs: Mapping[str, Any], options: Mapping[str, Any], mode: str) -> dict[str, Any]:
        """A call by keywords, eagerly or by the function that users wrap a model in, since it has none of its own."""
        if mode not in self.functions:
            self.functions[mode] = tf.function(self.model, jit_compile=mode.endswith("xla"), autograph=False)
        given = {name: _to_tensor(value) for name, value in inputs.items()}
        return _named_outputs(self.functions[mode](**given, **options))

    def gradients(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
        """TensorFlow's own differentiation of the loss: by every variable that an optimiser trains, inputs_embeds."""
        options = dict(options)
        if "seed" in options:
            tf.random.set_seed(options.pop("seed"))
        given = {name: _to_tensor(value) for name, value in inputs.items()}
        with tf.GradientTape() as tape:
            if "inputs_embeds" in given:
                tape.watch(given["inputs_embeds"])
            loss = tf.reduce_mean(self.model(**given, **options)["loss"])
        by = {variable.name: variable for variable in self.model.trainable_variables}
        if "inputs_embeds" in given:
            by["inputs_embeds"] = given["inputs_embeds"]
        found = tape.gradient(loss, by, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        named = dict(_named(name, tf.convert_to_tensor(slope)) for name, slope in found.items())
        return {"loss": np.asarray(loss), **named}

    def save(self, path: str) -> None:
        """save_pretrained."""
        self.model.save_pretrained(path)

    def prune_heads(self, heads: Mapping[int, list[int]]) -> None:
        """Documented for every model of the library."""
        self.model.prune_heads(heads)

    def resize_token_embeddings(self, vocab_size: int) -> None:
        """The library's own resizing."""
        self.model.resize_token_embeddings(vocab_size)


def _named(name: str, slope: Any) -> tuple[str, Any]:
    """A gradient by the name and in the layout of PyTorch's file, as the library's own conversion has them."""
    if name == "inputs_embeds":
        return name, np.asarray(slope)
    known, turned = convert_tf_weight_name_to_pt_weight_name(name, tf_weight_shape=slope.shape)
    return known, np.transpose(slope) if turned.value == "simple" else np.asarray(slope)


def _named_outputs(output: Any) -> dict[str, Any]:
    """What a call returned, as arrays by name; a plain tuple has one name."""
    if isinstance(output, tuple) and not hasattr(output, "items"):
        return {"tuple": _to_numpy(output)}
    return {name: _to_numpy(value) for name, value in output.items()}


def _to_tensor(value: Any) -> Any:
    return tf.constant(value) if isinstance(value, np.ndarray | np.generic) else value


def _to_numpy(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return tuple(map(_to_numpy, value))
    return None if value is None else np.asarray(value)
