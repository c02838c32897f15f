"""What the seven models share: construction, the call from arguments to outputs, weights and folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf

from roformer_numpy import checkpoints
from roformer_numpy.config import RoFormerConfig
from roformer_numpy.errors import InputError, InputTypeError, shown
from roformer_numpy.weights import Array, Weights, initialize

from .compiled import CompiledCall, Functions
from .context import Maker
from .embeddings import Embeddings
from .encoder import Encoder
from .forward import is_switched, outputs_of
from .heads import HEAD_LAYERS, Pooler
from .inputs import bound, checked
from .outputs import TFModelOutput
from .ragged import dense
from .rotary import angle_table
from .surgery import with_vocabulary, without_heads
from .tracing import is_traced, surviving_autograph, traced
from .training import TrainsOnItsOwnLoss
from .variables import assign, freeze, frozen_layers, tree_of

DTYPES = ("float32", "float64")
RANDOMNESS = "randomness"
MIXED = ("mixed_bfloat16", "mixed_float16")  # weights, sums and losses stay in float32


class TFRoFormerBase(TrainsOnItsOwnLoss, keras.Model):
    """A keras.Model that is complete, weights and all, when it is constructed."""

    head: ClassVar[str]

    def __init__(
        self,
        config: RoFormerConfig,
        *,
        seed: int = 0,
        dtype: Any = "float32",
        weights: Weights[Array] | None = None,
        honour_call_flags: bool = False,
        **keras_options: Any,
    ) -> None:
        """A model with fresh weights drawn from `seed`, unless a weight tree is given.

        Args:
            config: sizes and switches.
            seed: of fresh weights and of dropout.
            dtype: float32, float64, mixed_bfloat16 or mixed_float16, by name or as a Keras policy, for every sublayer.
            weights: a tree that fits `config`.
            honour_call_flags: follow a call's output switches in graph mode too, where the documentation gives the
                word to the configuration (IN-9); saved with the model.
            keras_options: what keras.Model takes, such as `name`.

        Raises:
            InputError, InputTypeError: naming the argument and what is allowed.
        """
        if not isinstance(config, RoFormerConfig):
            raise InputTypeError(f"config is a {type(config).__name__}, expected a RoFormerConfig")
        super().__init__(dtype=_policy(dtype), autocast=False, **keras_options)
        self.config, self.seed = _with_flag(config, honour_call_flags), _seed(seed)
        self.randomness = keras.random.SeedGenerator(self.seed)
        self._make_layers(initialize(config, self.head, self.seed, self.variable_dtype) if weights is None else weights)

    def _make_layers(self, weights: Weights[Array]) -> None:
        make = Maker(self.config, self.dtype_policy, self.randomness)
        self.embeddings, self.encoder = Embeddings(make), Encoder(make)
        self.pooler = Pooler(make) if weights.pooler is not None else None
        self.head_layer: Any = HEAD_LAYERS[self.head](make) if self.head != "base" else None
        self.angles = angle_table(self.config.max_position_embeddings, self.config.head_dim)
        self.built = True
        self.functions = Functions(lambda tensors, static: self.run({**tensors, **static}))
        assign(self, weights)

    def set_seed(self, seed: int) -> None:
        """Start dropout's randomness again from `seed` (TRAIN-1.5)."""
        self.randomness.state.assign([_seed(seed), 0])

    @tf.autograph.experimental.do_not_convert  # nothing here needs it
    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Run the model on inputs in any documented format; see `call` for the arguments.

        Inside a `tf.function` shapes, types and values that are concrete are checked while tracing. A value that is
        only known when the graph runs then fails an assertion that says the same; XLA, which cannot raise, gets NaN
        for every result of the value's row. `as_function` checks before it traces.

        Raises:
            InputError, InputTypeError: naming argument, position, value and what is allowed.
            tf.errors.InvalidArgumentError: the same, from inside a running graph.

        Source: IN-1 to IN-9, ERR-1 to ERR-11.
        """
        if is_traced((inputs, named)):
            with surviving_autograph():
                given = dense(bound(self.head, inputs, named), self.config, self.head)
                arguments = traced(given, self.config, self.head, self.variable_dtype, self.honour_call_flags)
        else:
            given = dense(bound(self.head, inputs, named), self.config, self.head)
            arguments = checked(given, self.config, self.head, self.variable_dtype)
        return self.run(arguments)

    def run(self, arguments: Mapping[str, Any]) -> Any:
        """Run the model on named tensors and switches that were checked."""
        return super().__call__(**arguments)

    def as_function(self, *, jit_compile: bool = False, honour_call_flags: bool | None = None) -> CompiledCall:
        """This model as a function that runs in a graph, and checks concrete arguments before it traces them.

        Args:
            jit_compile: whether XLA compiles the graph; it does so again for every new shape.
            honour_call_flags: follow a call's output switches, by default as the model does (IN-9).

        Returns:
            a callable that takes what the model takes and gives what it gives in graph mode; it stays valid when the
            model's weights change, or their shapes.

        Example: `fast = model.as_function(jit_compile=True); logits = fast([[101, 7, 42, 102]]).logits`

        Source: IN-9, ERR, LIFE-5.
        """
        honours = self.honour_call_flags if honour_call_flags is None else honour_call_flags
        return CompiledCall(self, jit_compile, honours)

    def _run(self, given: Mapping[str, Any], training: bool) -> TFModelOutput | tuple[Any, ...]:
        """What each model's `call` returns."""
        output = outputs_of(self, given, bool(training))
        return output if is_switched(self, "return_dict", given) else output.to_tuple()

    @property
    def honour_call_flags(self) -> bool:
        """Whether a call's output switches count in graph mode (IN-9)."""
        return bool(self.config.extra.get("honour_call_flags"))

    def get_config(self) -> dict[str, Any]:
        """What Keras saves beside the weights: `frozen` names the layers that do not train, where there are any."""
        config = self.config.replace(add_pooling_layer=False) if self._lacks_pooler() else self.config
        frozen = {"frozen": frozen} if (frozen := frozen_layers(self)) else {}
        described = {"config": config.to_dict(), "seed": self.seed, "dtype": self.dtype_policy.name, "name": self.name}
        return described | frozen

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",  # noqa: A002 (Keras' name)
        verbose: Any = None,
        input_signature: Any = None,
        **options: Any,
    ) -> Any:
        """As keras.Model.export; without a signature a mapping of input_ids and attention_mask of any length is served.

        Both are int64 (batch, seq_len), for multiple choice (batch, choices, seq_len).
        """
        shape = (None,) * (3 if self.head == "multiple_choice" else 2)
        served = [{name: tf.TensorSpec(shape, tf.int64, name) for name in ("input_ids", "attention_mask")}]
        signature = served if input_signature is None else input_signature
        return super().export(filepath, format, verbose, signature, **options)

    def save_own_variables(self, store: Any) -> None:
        """What Keras saves of the model itself beside its layers: where dropout's randomness stands."""
        store[RANDOMNESS] = self.randomness.state.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Go on drawing where the saved model stood; a file without it leaves the seed as it is."""
        if RANDOMNESS in store:
            self.randomness.state.assign(np.array(store[RANDOMNESS]))

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Self:
        """The model that `get_config` described, with fresh weights."""
        described = {**config}
        sizes, frozen = RoFormerConfig.from_dict(described.pop("config")), described.pop("frozen", ())
        model = cls(sizes, **described)
        freeze(model, frozen)
        return model

    def _lacks_pooler(self) -> bool:
        return self.head == "base" and self.pooler is None

    @property
    def is_causal(self) -> bool:
        """Whether a position sees no later one: always in a causal language model (DEC-1)."""
        return self.head == "causal_lm" or self.config.is_decoder

    @classmethod
    def from_weights(
        cls, config: RoFormerConfig, mapping: Mapping[str, Any], *, seed: int = 0, dtype: Any = "float32"
    ) -> Self:
        """A model from flat Hugging Face names (PyTorch layout) to arrays; the arrays are copied.

        Raises:
            WeightsError: every backbone tensor that is missing or misshapen, all at once.

        Warns:
            UserWarning: head tensors that are missing and drawn from `seed`, a missing pooler, tensors not used.

        Source: LIFE-4, LIFE-6.
        """
        name = _policy(dtype).variable_dtype
        tree = checkpoints.tree_from_mapping(mapping, config, cls.head, name, _seed(seed))
        return cls(config, seed=seed, dtype=dtype, weights=tree)

    @classmethod
    def from_pretrained(
        cls, folder: str | os.PathLike[str], *, seed: int = 0, dtype: Any = "float32", **overrides: Any
    ) -> Self:
        """A model from a Hugging Face folder on this machine; nothing is downloaded.

        Args:
            folder: with config.json and model.safetensors, in one file or in shards.
            seed: of head tensors that the folder lacks, and of dropout.
            dtype: float32 or float64.
            overrides: fields of the configuration, such as `num_labels=3` or `max_position_embeddings=2048`.

        Raises:
            CheckpointError, ConfigError, WeightsError: naming the file or every tensor that does not fit.

        Source: LIFE-4, LIFE-6.
        """
        config, name = checkpoints.read_config(folder, **overrides), _policy(dtype).variable_dtype
        fresh_labels = "num_labels" in overrides or "id2label" in overrides
        tree = checkpoints.tree_from_mapping(
            checkpoints.read_tensors(folder), config, cls.head, name, _seed(seed), fresh_labels=fresh_labels
        )
        return cls(config, seed=seed, dtype=dtype, weights=tree)

    def to_weights(self) -> dict[str, Array]:
        """The weights under their flat Hugging Face names, in PyTorch's layout: what `from_weights` takes."""
        return checkpoints.mapping_from_tree(tree_of(self), self.config, self.head)

    def prune_heads(self, heads: Mapping[int, Iterable[int]]) -> None:
        """Take attention heads out for good: layer → heads, numbered as in the unpruned model (HEAD-7)."""
        self._change(*without_heads(self, heads))

    def resize_token_embeddings(self, vocab_size: int) -> None:
        """Grow or cut the vocabulary; kept rows stay as they are, new ones are drawn from the seed (HEAD-8)."""
        self._change(*with_vocabulary(self, vocab_size, self.seed))

    def _change(self, config: RoFormerConfig, weights: Weights[Array]) -> None:
        """Make the layers anew: the old variables are gone, and with them what an optimizer kept for them."""
        if self.compiled:
            raise InputError("a compiled model cannot change its weights' shapes; do it before compile")
        frozen = frozen_layers(self)
        for name in ("embeddings", "encoder", "pooler", "head_layer"):
            self._tracker.untrack(getattr(self, name))  # deleting a layer's name does not make Keras forget it
            delattr(self, name)
        self.config = config
        self._make_layers(weights)
        freeze(self, frozen)

    def save_pretrained(self, folder: str | os.PathLike[str], *, max_shard_size: int = 5_000_000_000) -> None:
        """Write config.json and model.safetensors, which the transformers library reads too (CFG-4, LIFE-4)."""
        checkpoints.write_folder(folder, tree_of(self), self.config, self.head, max_shard_size)


def _with_flag(config: RoFormerConfig, honour_call_flags: bool) -> RoFormerConfig:
    """The flag is kept among the configuration's extras, so that every way of saving keeps it."""
    return config.replace(extra={**config.extra, "honour_call_flags": True}) if honour_call_flags else config


def _policy(dtype: Any) -> keras.DTypePolicy:
    try:
        policy = keras.dtype_policies.get(dtype)
    except (TypeError, ValueError):
        policy = None
    if policy is None or policy.name not in (*DTYPES, *MIXED):
        raise InputError(f"dtype={shown(dtype)} is not one of {', '.join((*DTYPES, *MIXED))}")
    return policy


def _seed(seed: Any) -> int:
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or int(seed) < 0:
        raise InputError(f"seed={shown(seed)} is not an integer of 0 or above")
    return int(seed)
