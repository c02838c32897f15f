"""The seven models: thin classes that bind a call, validate it, run the encoder and put a head on top.

A model holds a configuration, a weight tree and a table of components; nothing else survives a call.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike

from . import checkpoints, ragged, surgery
from .arithmetic import FULL, checked_compute, components_named
from .backward import Gradients, gradients_of
from .backward.table import Derivatives, derivatives_for
from .components import Components
from .config import RoFormerConfig
from .encoder import Encoded, encode
from .engine import Engine, engine_for
from .errors import InputError, InputTypeError, integer, shown
from .generation import generate
from .heads import HEAD_FUNCTIONS, LOSS_FUNCTIONS, HeadContext
from .inputs import Inputs
from .outputs import ModelOutput
from .ragged import BATCH_TOKENS
from .validation import bind, is_causal, validate
from .weights import Array, Weights, initialize

DTYPES = ("float32", "float64")
LEFT_OUT = ("logits_at", "padding")


class RoFormerBase:
    """What the seven models share; `head` is what tells them apart."""

    head: ClassVar[str]
    weights: Weights[Array]
    derivatives: Derivatives | None = None  # None: those that go with the components
    _made_engine: tuple[Weights[Array], RoFormerConfig, Components, str, Engine | None] | None = None

    def __init__(
        self,
        config: RoFormerConfig,
        *,
        seed: int = 0,
        dtype: DTypeLike = "float32",
        components: str | Components = "kernels",
        compute: str = FULL,
    ) -> None:
        """A model with fresh weights drawn from `seed`.

        Args:
            config: sizes and switches.
            seed: of fresh weights; also of those that a resized vocabulary or a missing head will need.
            dtype: float32 or float64, for weights, arithmetic and outputs.
            components: "kernels" (numba, with the engine), "components" (the same without it), "equations" (the
                definition), or a table of your own.
            compute: what the engine's products multiply: "float32", or "bfloat16" on processors with AVX512-BF16, with
                two to three digits and whole calls 1.5 to 1.8 times as fast; weights and outputs are float32 in both.

        Raises:
            InputError, InputTypeError: naming the argument and what is allowed.
        """
        self._settle(config, seed, dtype, components, compute)
        self.weights = initialize(config, self.head, self.seed, self.dtype)

    def _settle(
        self, config: RoFormerConfig, seed: int, dtype: DTypeLike, components: str | Components, compute: str
    ) -> None:
        """Everything but the weights, each argument checked."""
        self.config = _config(config)
        self.dtype = _dtype(dtype)
        self.seed = _seed(seed)
        self.components = components_named(components)
        self.compute = compute
        self._made_engine = None  # a copy that is made while another thread calls for the first time sees no new entry

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Run the model.

        Args:
            inputs: input_ids, attention_mask, token_type_ids, head_mask, inputs_embeds, output_attentions,
                output_hidden_states, return_dict, labels (base: none; question answering: start_positions and
                end_positions), training, in this order; or one list, tuple or mapping of them.
            named: the same by keyword. By keyword alone: generator (a numpy Generator or a seed: dropout's randomness
                when training=True) and, for base and causal language models, encoder_hidden_states,
                encoder_attention_mask, past_key_values, use_cache; for masked and causal language models logits_at:
                positions (batch, n), whose logits are then (batch, n, vocab_size), or a mask (batch, seq_len) of bool
                that is True k times, in row-major order (k, vocab_size); and padding: "skip" computes no masked
                position that the head does not read (such are 0 in states and logits), "compute" all, the default.

        Returns:
            ModelOutput, or the tuple of its present fields when return_dict is False.

        Raises:
            InputError, InputTypeError: naming argument, position, value and what is allowed.

        Source: IN-1 to IN-8, ERR-1 to ERR-11, OUT-1 to OUT-5.
        """
        checked = validate(bind(self.head, inputs, named), self.config, self.head, self.dtype)
        # NaN and infinity propagate (ERR-11.3): what they meet on their way is no news, whatever np.seterr says
        with np.errstate(all="ignore"):
            output = self._output(checked, self._encode(checked))
        return output if checked.return_dict else output.to_tuple()

    def encode(self, sequences: Any, token_type_ids: Any = None, *, batch_tokens: int = BATCH_TOKENS) -> list[Array]:
        """The last hidden states of sequences of any lengths, computed without padding.

        Args:
            sequences: a list of sequences of token ids, each of 1 to max_position_embeddings.
            token_type_ids: segments in the same shape; 0 by default.
            batch_tokens: how many tokens are computed at once, which bounds the memory; a longer sequence is computed
                by itself.

        Returns:
            for each sequence, in the order given, (its length, hidden_size): what a call with it alone returns as
            last_hidden_state[0]. `[states[0] for states in …]` are the first tokens', `states.mean(axis=0)` is a mean
            over no padding.

        Raises:
            InputError, InputTypeError: naming the sequence, the value and what is allowed.
        """
        checked = ragged.checked_sequences(sequences, self.config)
        types = ragged.checked_types(token_type_ids, checked, self.config)
        budget, engine = ragged.checked_budget(batch_tokens), self._engine()
        result: list[Any] = [None] * len(checked)
        for group in ragged.groups([len(ids) for ids in checked], budget, alike=engine is None):
            call = [checked[number] for number in group], [types[number] for number in group]
            with np.errstate(all="ignore"):
                states = engine.encode_sequences(*call) if engine else ragged.encode_alike(self._last_states, *call)
            for number, found in zip(group, states, strict=True):
                result[number] = found
        return result

    def _last_states(self, inputs: Inputs) -> Array:
        return self._encode(inputs).last_hidden_state

    def gradients(self, *inputs: Any, upstream: Any = "mean", **named: Any) -> Gradients:
        """The gradients of the loss by every weight, and by inputs_embeds where these are given.

        Args:
            inputs, named: as in a call, labels among them (for question answering the positions of the span). With
                training=True and generator=seed the features are dropped that the same call drops.
            upstream: which number is differentiated. "mean", the default: the mean of the losses that a call returns
                with loss_reduction "none", 0 where there are none; "sum": their sum; an array of their shape: their
                sum, each times its weight; a mapping of outputs (last_hidden_state, pooler_output, logits,
                start_logits, end_logits, loss) to arrays of their shapes: the sum of all products, which is what a
                base model needs. loss_reduction, a matter of what a call returns, plays no part.

        Returns:
            Gradients: the number itself as `loss`, `weights` as a tree, `to_weights()` under Hugging Face names.

        Raises:
            InputError, InputTypeError: as a call; no labels for the loss; an upstream that fits no output.

        Source: TRAIN-2, LOSS-1 to LOSS-7.
        """
        for name in LEFT_OUT:
            if named.get(name) is not None:
                raise InputError(f"{name} is an argument of calls, not of gradients, which need all that a loss reads")
        checked = validate(bind(self.head, inputs, named), self.config, self.head, self.dtype)
        derivatives = self.derivatives or derivatives_for(self.components)
        with np.errstate(all="ignore"):
            return gradients_of(checked, self.weights, self.config, self.head, self.components, derivatives, upstream)

    def _encode(self, inputs: Inputs) -> Encoded:
        engine = self._engine()
        if engine is not None and engine.serves(inputs):
            return engine.encode(inputs)
        causal = is_causal(self.config, self.head)
        return encode(inputs, self.weights, self.config, self.components, causal=causal)

    def _engine(self) -> Engine | None:
        """The engine over the weights as they are now: pruning and resizing put another tree in their place."""
        made = self._made_engine
        # read once: another thread may put others in their place meanwhile
        weights, config, components, compute = self.weights, self.config, self.components, self.compute
        if made and made[0] is weights and made[1] is config and made[2] is components and made[3] == compute:
            return made[4]
        engine = engine_for(weights, config, components, is_causal(config, self.head), compute)
        self.__dict__["_made_engine"] = (weights, config, components, compute, engine)
        return engine

    @property
    def compute(self) -> str:
        """What the engine's products multiply, "float32" or "bfloat16"; the next call after a change packs anew."""
        return self._compute

    @compute.setter
    def compute(self, compute: str) -> None:
        self._compute = checked_compute(compute, self.dtype, self.components)

    def _output(self, inputs: Inputs, encoded: Encoded) -> ModelOutput:
        # dropout is asked for while weights change, and then they are not worth packing
        products = None if inputs.generator is not None else self._engine()
        context = HeadContext(inputs, self.weights, self.config, self.components, products)
        fields = HEAD_FUNCTIONS[self.head](encoded, context)
        if inputs.labels is not None or inputs.start_positions is not None:
            loss = LOSS_FUNCTIONS[self.head](fields, context)
            fields["loss"] = self.components.reduce_loss(loss, self.config.loss_reduction)
        return ModelOutput(
            **fields,
            past_key_values=encoded.past_key_values,
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
            cross_attentions=encoded.cross_attentions,
        )

    @classmethod
    def from_weights(
        cls,
        config: RoFormerConfig,
        mapping: Mapping[str, Any],
        *,
        seed: int = 0,
        dtype: DTypeLike = "float32",
        components: str | Components = "kernels",
        compute: str = FULL,
    ) -> Self:
        """A model from flat Hugging Face names (PyTorch layout) to arrays; the arrays are copied.

        Raises:
            WeightsError: every backbone tensor that is missing or misshapen, all at once.

        Warns:
            UserWarning: head tensors that are missing and drawn from `seed`, a missing pooler, tensors not used.

        Source: LIFE-4, LIFE-6.
        """
        model = cls.__new__(cls)
        model._settle(config, seed, dtype, components, compute)
        model.weights = checkpoints.tree_from_mapping(mapping, model.config, cls.head, model.dtype, model.seed)
        return model

    @classmethod
    def from_pretrained(
        cls,
        folder: str | os.PathLike[str],
        *,
        seed: int = 0,
        dtype: DTypeLike = "float32",
        components: str | Components = "kernels",
        compute: str = FULL,
        **overrides: Any,
    ) -> Self:
        """A model from a folder: config.json and weights, in one file or in shards, in any format that is read.

        Args:
            folder: a directory on this machine, with model.safetensors, pytorch_model.bin, tf_model.h5 or an original
                checkpoint of TensorFlow 1, of several the first counts; or a model in the box, such as "tang-mini".
                Nothing is downloaded.
            seed: of head tensors that the folder lacks.
            dtype: float32 or float64.
            components: "kernels", "components", "equations", or a table of your own.
            compute: "float32" or "bfloat16", as for a model with fresh weights.
            overrides: fields of the configuration, such as `num_labels=3` or `max_position_embeddings=2048`.

        Raises:
            CheckpointError, ConfigError, WeightsError: naming the file or every tensor that does not fit.

        Source: LIFE-4, LIFE-6.
        """
        model = cls.__new__(cls)
        model._settle(checkpoints.read_config(folder, **overrides), seed, dtype, components, compute)
        tensors = checkpoints.read_tensors(folder)
        fresh_labels = "num_labels" in overrides or "id2label" in overrides
        model.weights = checkpoints.tree_from_mapping(
            tensors, model.config, cls.head, model.dtype, model.seed, fresh_labels=fresh_labels
        )
        return model

    def to_weights(self) -> dict[str, Array]:
        """Copies of the weights under flat Hugging Face names, in PyTorch's layout: what `from_weights` takes."""
        return checkpoints.mapping_from_tree(self.weights, self.config, self.head)

    def save_pretrained(self, folder: str | os.PathLike[str], *, max_shard_size: int = 5_000_000_000) -> None:
        """Write config.json and model.safetensors so that `from_pretrained` and the transformers library read them.

        Args:
            folder: created when it does not exist.
            max_shard_size: bytes; larger models are written in several files with an index.

        Source: CFG-4, LIFE-4.
        """
        checkpoints.write_folder(folder, self.weights, self.config, self.head, max_shard_size)

    def prune_heads(self, heads: Mapping[int, Iterable[int]]) -> None:
        """Take attention heads out for good: layer → heads, numbered as in the unpruned model (HEAD-7)."""
        self.weights, self.config = surgery.prune_heads(self.weights, self.config, heads)

    def resize_token_embeddings(self, vocab_size: int) -> None:
        """Grow or cut the vocabulary; kept rows stay as they are, new ones are drawn from the seed (HEAD-8)."""
        self.weights, self.config = surgery.resize_token_embeddings(self.weights, self.config, vocab_size, self.seed)

    def __repr__(self) -> str:
        sizes = f"{self.config.num_hidden_layers} × {self.config.hidden_size}"
        products = "" if self.compute == FULL else f", products in {self.compute}"
        return f"{type(self).__name__}({sizes}, {self.dtype}, {self.components.name}{products})"


class RoFormerModel(RoFormerBase):
    """The encoder (or decoder) itself: last_hidden_state and pooler_output."""

    head = "base"


class RoFormerForMaskedLM(RoFormerBase):
    """Predicts masked tokens: logits (batch, seq_len, vocab_size), loss (n,)."""

    head = "masked_lm"


class RoFormerForCausalLM(RoFormerBase):
    """Predicts the next token and never sees it: logits (batch, seq_len, vocab_size), loss (n,)."""

    head = "causal_lm"

    generate = generate


class RoFormerForSequenceClassification(RoFormerBase):
    """Classifies, or regresses, a whole sequence: logits (batch, num_labels), loss (batch,)."""

    head = "sequence_classification"


class RoFormerForTokenClassification(RoFormerBase):
    """Classifies every token: logits (batch, seq_len, num_labels), loss (n,)."""

    head = "token_classification"


class RoFormerForMultipleChoice(RoFormerBase):
    """Chooses one of several sequences: inputs (batch, choices, seq_len), logits (batch, choices), loss (batch,)."""

    head = "multiple_choice"


class RoFormerForQuestionAnswering(RoFormerBase):
    """Finds a span: start_logits and end_logits (batch, seq_len), loss (batch,)."""

    head = "question_answering"


MODELS: dict[str, type[RoFormerBase]] = {
    model.head: model
    for model in (
        RoFormerModel,
        RoFormerForMaskedLM,
        RoFormerForCausalLM,
        RoFormerForSequenceClassification,
        RoFormerForTokenClassification,
        RoFormerForMultipleChoice,
        RoFormerForQuestionAnswering,
    )
}


def _config(config: Any) -> RoFormerConfig:
    if not isinstance(config, RoFormerConfig):
        raise InputTypeError(f"config is a {type(config).__name__}, expected a RoFormerConfig")
    return config


def _dtype(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        known = None if dtype is None else np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):
        known = None
    if known is None or known.name not in DTYPES:
        raise InputError(f"dtype={shown(dtype)} is not one of {', '.join(DTYPES)}")
    return np.dtype(known.name)  # in this machine's byte order


def _seed(seed: Any) -> int:
    try:
        number = integer("seed", seed)
    except InputTypeError:
        number = -1
    if number < 0:
        raise InputError(f"seed={shown(seed)} is not an integer of 0 or above")
    return number
