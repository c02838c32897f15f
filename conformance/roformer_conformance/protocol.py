"""What the suite asks of an implementation: an adapter that loads models, and models that can be called.

An adapter needs to import nothing of ours. The least it has is

    class Adapter:
        name, version = "mine", "1.0"
        capabilities = {"heads": ["base"], "dtypes": ["float32"], "call_styles": ["keywords"]}
        def load(self, head, config, weights, dtype): ...     # → model(inputs, style="keywords", options={}) → outputs

`config` is a config.json's mapping, `weights` flat Hugging Face names to arrays in PyTorch's layout. A model returns
its outputs by name; several arrays of one kind as a tuple or as `hidden_states.0`, `hidden_states.1`, …
"""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Outputs = dict[str, Any]

HEADS = (
    "base", "masked_lm", "causal_lm", "sequence_classification", "token_classification", "multiple_choice",
    "question_answering",
)  # fmt: skip
# NumPy has no bfloat16: its values are given, and may be returned, as float32. What is computed in half precision keeps
# float32 for sums, softmax, LayerNorm and losses, and rounds what it returns; see `precision`.
DTYPES = ("float32", "float64", "bfloat16", "float16")
# How a call is executed: eagerly; by the model's own function, traced or compiled by XLA, which sees the arguments
# before; and inside somebody's function of either kind, where no value is known until it runs.
MODES = ("eager", "graph", "xla", "traced graph", "traced xla")
# "items" is a list of values as they come, named by their numbers: for lists that the documented order cannot make.
CALL_STYLES = ("keywords", "dict", "list", "tuple", "single", "items")
# What others write and load_saved may read: folders of transformers' PyTorch and TensorFlow models, the originals'.
FORMATS = ("safetensors", "pytorch", "h5", "tf1")


class AdapterError(Exception):
    """An adapter does not fit the protocol; the message says what is missing or wrong."""


class Unsupported(Exception):
    """An implementation does not have what it was asked for; such a check counts as not claimed, never as passed."""


def is_unsupported(error: BaseException) -> bool:
    """Whether an exception is Unsupported: ours, or by that name, so that an adapter needs to import nothing."""
    return any(kind.__name__ == "Unsupported" for kind in type(error).__mro__)


class ImplementationDied(Exception):
    """The process of an implementation is gone; the message names the cause and the last that it printed."""


class Model(Protocol):
    """A loaded model."""

    def __call__(self, inputs: Mapping[str, Any], *, style: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Outputs by name; with return_dict=False the one name "tuple" holding the plain tuple."""


class Adapter(Protocol):
    """An implementation under test.

    `Capabilities` lists what else it may claim, and which methods each claim asks for. An adapter that has a method
    `prepare()` is asked to compile or load what it needs before anything is timed; it returns the seconds. One that has
    `versions`, a mapping of names to versions, has them shown in reports beside those of Python and known frameworks.
    """

    name: str
    version: str
    capabilities: Mapping[str, Any]

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Model:
        """The model called `head` with these weights."""


# Claims that are lists: what they may hold, and what they hold where nothing is said.
_LISTS = {"heads": HEADS, "call_styles": CALL_STYLES, "dtypes": DTYPES, "formats": FORMATS}
_LEAST = {"call_styles": ("keywords",), "dtypes": ("float32",)}


@dataclass(frozen=True)
class Capabilities:
    """What an adapter claims; a check that needs more is reported as not claimed, never as passed."""

    heads: tuple[str, ...]
    dtypes: tuple[str, ...] = ("float32",)
    call_styles: tuple[str, ...] = ("keywords",)
    hidden_states: bool = True  # without one of these three, checks that need it are not claimed
    attentions: bool = True
    pooler_output: bool = True
    training: bool = False  # the options training=True and seed
    cache: bool = False  # the option use_cache, the input and output past_key_values
    cross_attention: bool = False  # the inputs encoder_hidden_states and encoder_attention_mask
    head_mask: bool = False  # the input head_mask
    pruning: bool = False  # model.prune_heads({layer: [heads]})
    resizing: bool = False  # model.resize_token_embeddings(vocab_size)
    saving: bool = False  # model.save(path) and adapter.load_saved(head, path, dtype)
    formats: tuple[str, ...] = ()  # what load_saved reads: some of FORMATS; who saves too, saves as safetensors
    configuration: bool = False  # adapter.configure(fields) → what config.json holds, of a configuration by keywords
    overrides: bool = False  # fields of the configuration as further keywords of load_saved
    generation: bool = False  # model.generate(inputs, options) → ids; options max_new_tokens, do_sample, seed, …
    gradients: bool = False  # model.gradients(inputs, options) → "loss", the mean; by weight name; by "inputs_embeds"
    graph: bool = False  # model.execute(inputs, options, mode): see MODES
    keras: bool = False  # model.keras_model with compile, fit, evaluate, predict; adapter.dataset(examples, batch_size)
    fixed_weights: bool = False  # weights that load cannot change: checked on the checkpoint they came from
    python_values: bool = False  # arguments reach the implementation as they are, with memory and type; no copies
    warnings: bool = False  # warnings are Python's own: of the module `warnings`, or of `logging`
    output_objects: bool = False  # what a call returns is what the implementation's own users get
    tokenizer: bool = False  # adapter.tokenizer(folder with vocab.txt), called as the transformers library's tokenizers
    profile: str = "documented"

    def claims(self, need: str) -> bool:
        """Whether `need` is claimed: a capability, such as "cache", or one of its values, "call_styles:dict"."""
        name, _, value = need.partition(":")
        claimed = getattr(self, name)
        return value in claimed if value else bool(claimed)

    @classmethod
    def of(cls, adapter: Any) -> Capabilities:
        """The capabilities of an adapter.

        Raises:
            AdapterError: an attribute is missing, a claim is unknown or none of the known values.
        """
        for name in ("name", "version", "capabilities", "load"):
            if not hasattr(adapter, name):
                raise AdapterError(
                    f"{adapter!r} has no attribute {name!r}; an adapter has name, version, capabilities, load"
                )
        claims = dict(adapter.capabilities)
        known = {item.name for item in fields(cls)}
        if claims.keys() - known:
            raise AdapterError(f"capabilities {sorted(claims.keys() - known)} are not known; known are {sorted(known)}")
        for name, allowed in _LISTS.items():
            if isinstance(claims.get(name), str):
                raise AdapterError(f"capabilities[{name!r}] is {claims[name]!r}, expected a list of such names")
            claims[name] = tuple(claims.get(name, _LEAST.get(name, ())))
            wrong = [item for item in claims[name] if item not in allowed]
            if wrong or not (claims[name] or name == "formats"):
                raise AdapterError(f"capabilities[{name!r}] is {claims[name]}, allowed are some of {allowed}")
        return cls(**claims)


# Implementations that a command line may name in one word, as the place where their adapter is found.
KNOWN_ADAPTERS = {
    "numpy": "roformer_numpy.adapter:NumpyAdapter",
    "numpy-engine": "roformer_numpy.adapter:EngineAdapter",
    "numpy-components": "roformer_numpy.adapter:components_adapter",
    "numpy:bfloat16": "roformer_numpy.adapter:bfloat16_adapter",
    "numpy-equations": "roformer_numpy.adapter:equations_adapter",
    "tensorflow": "roformer_tensorflow.adapter:TensorFlowAdapter",
    "tensorflow:bfloat16": "roformer_tensorflow.adapter:bfloat16_adapter",
    "tensorflow:float16": "roformer_tensorflow.adapter:float16_adapter",
    "tensorflow:graph": "roformer_tensorflow.adapter:graph_adapter",
    "tensorflow:xla": "roformer_tensorflow.adapter:xla_adapter",
}


def name_with_engine(name: str, engine: str) -> str:
    """The name in KNOWN_ADAPTERS of an implementation that computes in one of several ways, `numpy` with `components`.

    Raises:
        AdapterError: it has no such way; those it has are named.
    """
    names = {found[len(name) + 1 :]: found for found in KNOWN_ADAPTERS if found.startswith((f"{name}-", f"{name}:"))}
    if engine not in names:
        known = f"known are {', '.join(names)}" if names else "it is known in one way only"
        raise AdapterError(f"{name!r} has no engine called {engine!r}; {known}")
    return names[engine]


def find_adapter(name: str) -> Any:
    """The adapter that a command line names: of KNOWN_ADAPTERS, a peer, `module:attribute`, or `cmd:COMMAND LINE`.

    The attribute is an adapter, or a class or function that makes one. A command line starts a process that speaks the
    protocol of `process`.

    Raises:
        AdapterError: nothing goes by that name, the module cannot be imported, or the process does not start.
        ImplementationDied: the process died before it said what it is.
    """
    if name.startswith("cmd:"):
        from .process import ProcessAdapter  # needs jsonschema

        return ProcessAdapter(shlex.split(name.removeprefix("cmd:")))
    module, separator, attribute = KNOWN_ADAPTERS.get(name, name).partition(":")
    if not separator:
        from .peers.manifests import all_peers

        if name in all_peers():
            from .peers.environments import start_peer  # needs platformdirs

            return start_peer(all_peers()[name])
        known = ", ".join((*KNOWN_ADAPTERS, *all_peers()))
        raise AdapterError(f"no implementation is called {name!r}; known are {known}, or module:attribute")
    if module.endswith(".py"):
        raise AdapterError(f"{name!r} names a file, expected module:attribute: {Path(module).stem}:{attribute}")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # an implementation's module may raise anything when it is imported
        raise AdapterError(f"{name!r} cannot be imported: {type(error).__name__}: {error}") from error
    if hasattr(found, "load") and not isinstance(found, type):
        return found
    try:
        return found()
    except Exception as error:
        raise AdapterError(f"{name!r} is no adapter and makes none: {type(error).__name__}: {error}") from error


def flatten(outputs: Mapping[str, Any]) -> Outputs:
    """Outputs with tuples spread out: `hidden_states.0`, `past_key_values.1.0`; every value an array.

    Raises:
        AdapterError: they are no mapping.
    """
    if not hasattr(outputs, "items"):
        raise AdapterError(
            f"the call returned a {type(outputs).__name__}, expected a mapping of output names to arrays"
        )
    flat: Outputs = {}
    for name, value in outputs.items():
        _spread(name, value, flat)
    return flat


def as_array(value: Any) -> Array:
    """An output as NumPy's array: bfloat16, which NumPy has from others if at all, as float32."""
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def cache_of(outputs: Outputs) -> tuple[tuple[Array, ...], ...]:
    """past_key_values as a call takes them, from outputs that were spread out."""
    layers: dict[int, dict[int, Array]] = {}
    for tap, array in outputs.items():
        if tap.startswith("past_key_values."):
            _, layer, entry = tap.split(".")
            layers.setdefault(int(layer), {})[int(entry)] = array
    return tuple(tuple(layers[layer][entry] for entry in sorted(layers[layer])) for layer in sorted(layers))


def _spread(name: str, value: Any, flat: Outputs) -> None:
    if isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _spread(f"{name}.{number}", item, flat)
    elif value is not None:
        flat[name] = as_array(value)
