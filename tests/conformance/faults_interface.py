"""Faulty implementations for the checks of the interface: each makes one mistake that somebody has made.

A fault changes what goes into our own model, or what comes out of it; nothing else differs from the reference.
"""

from __future__ import annotations

import itertools
import json
import socket
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from roformer_conformance.oracle import schema
from roformer_conformance.protocol import flatten
from roformer_numpy import RoFormerTokenizer
from roformer_numpy.adapter import NumpyAdapter, NumpyModel
from roformer_numpy.components import EQUATIONS, Components
from roformer_numpy.errors import ConfigError
from roformer_numpy.models import MODELS
from roformer_numpy.outputs import ModelOutput
from roformer_numpy.validation.binding import argument_order

Call = dict[str, Any]
KNOWN = ("input_ids", "attention_mask", "token_type_ids", "head_mask", "inputs_embeds", "labels", "start_positions",
         "end_positions", "output_attentions", "output_hidden_states", "return_dict", "training", "seed", "use_cache",
         "past_key_values", "encoder_hidden_states", "encoder_attention_mask")  # fmt: skip


class Fault(NumpyAdapter):
    """The reference, with places to go wrong."""

    components_used: Components = EQUATIONS

    def __init__(self) -> None:
        super().__init__(self.components_used)
        self.name = f"fault:{type(self).__name__}"

    def prepare(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        """The configuration and weights that are loaded in place of the given ones."""
        return config, weights

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        """The call that is made in place of the given one."""
        return inputs, style, options

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        """The outputs that are returned in place of the true ones."""
        return outputs

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        """The faulty model."""
        changed, given = self.prepare(head, dict(config), dict(weights))
        return FaultyModel(self, super().load(head, changed, given, dtype), changed)

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        """The faulty model that was saved."""
        loaded = super().load_saved(head, path, dtype, **overrides)
        return FaultyModel(self, loaded, loaded.model.config.to_dict())


class FaultyModel:
    """A model of the reference behind the places of its adapter."""

    def __init__(self, fault: Fault, inner: NumpyModel, config: Call) -> None:
        self.fault, self.inner, self.config = fault, inner, config
        self.head = inner.model.head
        self.memory: dict[str, Any] = {}

    def __call__(self, inputs: Any, *, style: str, options: Any) -> Any:
        """Call the true model with what `before` makes of the call; return what `after` makes of its outputs."""
        inputs, style, options = self.fault.before(self, inputs, style, dict(options))
        return self.fault.after(self, self.plain(inputs, style, options), inputs, options)

    def plain(self, inputs: Any, style: str, options: Call) -> Any:
        """The true model's outputs."""
        return self.inner(inputs, style=style, options=options)

    def save(self, path: Any) -> None:
        """Save the true model."""
        self.inner.save(path)


# Configuration


class BertDefaults(Fault):
    """Fields that are absent get BERT's defaults."""

    def prepare(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        bert = {"vocab_size": 30522, "hidden_size": 24, "num_hidden_layers": 6, "num_attention_heads": 8,
                "intermediate_size": 1024, "max_position_embeddings": 512, "layer_norm_eps": 1e-5,
                "embedding_size": 768}  # fmt: skip
        return {**bert, **config}, weights


class IgnoresConfigSwitches(Fault):
    """output_hidden_states and output_attentions of the configuration are not read."""

    def prepare(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        return {name: value for name, value in config.items() if not name.startswith("output_")}, weights


class RefusesUnknownKeys(Fault):
    """A config.json with a key of a later version is refused."""

    def prepare(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        if "transformers_version" in config:
            raise ConfigError("unexpected key 'transformers_version'")
        return config, weights


class AlwaysTwoLabels(Fault):
    """num_labels is 2 when absent, whatever id2label says."""

    def prepare(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        return {"num_labels": 2, **config}, weights


class NoSelu(Fault):
    """selu is documented and missing, as in every published implementation."""

    def prepare(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        if config.get("hidden_act") == "selu":
            raise KeyError("selu")
        return config, weights


class OneQuickGelu(Fault):
    """gelu_fast is computed as quick_gelu."""

    def prepare(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        act = config.get("hidden_act")
        return {**config, "hidden_act": "quick_gelu" if act == "gelu_fast" else act}, weights


class NeverChecksConfig(Fault):
    """A configuration that breaks a rule is accepted, and its mistake noticed later or never."""

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        try:
            return super().load(head, config, weights, dtype)
        except (ConfigError, ValueError):
            return lambda inputs, **_: {}


class AnonymousErrors(Fault):
    """Everything that is refused is refused with the same two words."""

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        try:
            return super().load(head, config, weights, dtype)
        except (ValueError, TypeError) as error:
            raise ValueError("invalid configuration") from error


# Inputs


def _items(model: FaultyModel, inputs: Call) -> list[Any]:
    """The positional list of a call, without trailing None."""
    items = [inputs.get(name) for name in argument_order(model.head)]
    while items and items[-1] is None:
        items.pop()
    return items


class BertOrder(Fault):
    """Lists are read in the order of BERT's Keras layers: token types before the mask."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style in ("list", "tuple"):
            other = {"attention_mask": "token_type_ids", "token_type_ids": "attention_mask"}
            inputs = {other.get(name, name): value for name, value in inputs.items()}
        return inputs, style, options


class NoneShiftsItems(Fault):
    """None in a list of inputs takes no place, so that what stands behind it moves forward."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style in ("list", "tuple"):
            present = [item for item in _items(model, inputs) if item is not None]
            inputs = dict(zip(argument_order(model.head), present, strict=False))
        return inputs, style, options


class OneTensorHasTypeOne(Fault):
    """A single tensor is taken for a second segment."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "single" and list(inputs) == ["input_ids"]:
            inputs = {**inputs, "token_type_ids": np.ones_like(inputs["input_ids"])}
        return inputs, style, options


class ValuesOfTheDict(Fault):
    """A dict of inputs is unpacked in the order of insertion, its names unread."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "dict":
            inputs = dict(zip(argument_order(model.head), inputs.values(), strict=False))
        return inputs, style, options


class OnlyPlainDicts(Fault):
    """Only a dict is a mapping: a tokenizer's BatchEncoding is refused."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "dict" and type(inputs) is not dict:
            raise TypeError(f"input_ids is a {type(inputs).__name__}")
        return inputs, style, options


class PositionalDropsKeywords(Fault):
    """With a first argument by position, the keywords are dropped."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return ({"input_ids": inputs["input_ids"]} if style == "single" else inputs), style, options


class NeedsIds(Fault):
    """Keywords without input_ids are refused, as in transformers' TensorFlow code."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "keywords" and "input_ids" not in inputs:
            raise ValueError("input_ids is missing")
        return inputs, style, options


class IgnoresStrides(Fault):
    """A kernel reads memory from the first byte on, whatever the strides say."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        read = {name: np.asarray(array).ravel(order="K").reshape(array.shape) for name, array in inputs.items()}
        return read, style, options


class TwoIntegerTypes(Fault):
    """Ids are int32 or int64, every other integer type is refused."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if np.asarray(inputs["input_ids"]).dtype.name not in ("int32", "int64"):
            raise TypeError(f"input_ids has dtype {inputs['input_ids'].dtype}")
        return inputs, style, options


class InvertsTheMaskInPlace(Fault):
    """The additive mask is made in the caller's own array."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        if "attention_mask" in inputs:
            inputs["attention_mask"] -= 1
        return outputs


class PopsTheCallersKeys(Fault):
    """input_ids is taken out of the caller's own dict."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        del inputs["input_ids"]
        return outputs


class NoLists(Fault):
    """Nested lists of numbers are refused: only arrays are inputs."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        for name, value in inputs.items():
            if isinstance(value, list):
                raise TypeError(f"{name} is a list")
        return inputs, style, options


class RowsAreInputs(Fault):
    """A nested list by position is a list of inputs: its rows are input_ids, attention_mask, ..."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "single" and isinstance(inputs["input_ids"], list):
            rows = [np.asarray(row) for row in inputs["input_ids"]]
            inputs, style = dict(zip(argument_order(model.head), rows, strict=False)), "keywords"
        return inputs, style, options


class BoolMaskMeansMasked(Fault):
    """A bool mask is True where a key is masked, as torch.nn.MultiheadAttention has it."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        mask = inputs.get("attention_mask")
        return (inputs if mask is None or mask.dtype != bool else {**inputs, "attention_mask": ~mask}), style, options


class GuessesPadding(Fault):
    """Without a mask, tokens whose id is the padding's are masked."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if inputs.get("attention_mask") is None and "input_ids" in inputs:
            inputs = {**inputs, "attention_mask": np.asarray(inputs["input_ids"]) != 0}
        return inputs, style, options


class AbsentTypesAreOnes(Fault):
    """Without token_type_ids the last type is added."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if inputs.get("token_type_ids") is None and "input_ids" in inputs:
            inputs = {**inputs, "token_type_ids": np.ones_like(inputs["input_ids"])}
        return inputs, style, options


class EmbeddingsOfHiddenSize(Fault):
    """inputs_embeds is expected in the hidden size, as the documentation's text says."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if "inputs_embeds" in inputs and inputs["inputs_embeds"].shape[-1] != model.config["hidden_size"]:
            raise ValueError("inputs_embeds is not of hidden_size")
        return inputs, style, options


class EmbeddingsWithoutTypes(Fault):
    """Token types are not added to inputs_embeds."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if inputs.get("inputs_embeds") is not None:
            inputs = {name: value for name, value in inputs.items() if name != "token_type_ids"}
        return inputs, style, options


class TypesOfTheFirstChoice(Fault):
    """The token types of the first choice serve all choices."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        types = inputs["token_type_ids"]
        return {**inputs, "token_type_ids": np.broadcast_to(types[:, :1], types.shape)}, style, options


class LabelsInDictsIgnored(Fault):
    """Labels are only looked for among the keywords."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        labels = ("labels", "start_positions", "end_positions")
        if style == "dict":
            inputs = {name: value for name, value in inputs.items() if name not in labels}
        return inputs, style, options


# Errors


class NeitherMeansZeros(Fault):
    """Without any input a row of padding is computed."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if not {"input_ids", "inputs_embeds"} & inputs.keys():
            inputs = {**inputs, "input_ids": np.zeros_like(inputs["attention_mask"])}
        return inputs, style, options


class PrefersIds(Fault):
    """With both input_ids and inputs_embeds, the embeddings are dropped."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if {"input_ids", "inputs_embeds"} <= inputs.keys():
            inputs = {name: value for name, value in inputs.items() if name != "inputs_embeds"}
        return inputs, style, options


class ClampsIntegers(Fault):
    """Ids, types and labels out of range are clamped, as XLA does."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        classes = {"masked_lm": "vocab_size", "causal_lm": "vocab_size"}.get(model.head, "num_labels")
        limits = {
            "input_ids": model.config["vocab_size"],
            "token_type_ids": model.config["type_vocab_size"],
            "labels": 3 if model.head == "multiple_choice" else model.config[classes],
            "start_positions": 10**6,
            "end_positions": 10**6,
        }
        clamped = {
            name: np.clip(value, 0, limits[name] - 1) if name in limits else value for name, value in inputs.items()
        }
        return clamped, style, options


class TwoTokenTypes(Fault):
    """Token types above 1 are refused, also in a model that has them."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if np.asarray(inputs.get("token_type_ids", 0)).max() > 1:
            raise ValueError("token_type_ids holds a value above 1")
        return inputs, style, options


class NothingFromNothing(Fault):
    """A sequence without tokens returns nothing."""

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        model = super().load(head, config, weights, dtype)

        def call(inputs: Any, *, style: str, options: Any) -> Any:
            return {} if inputs["input_ids"].shape[-1] == 0 else model(inputs, style=style, options=options)

        return call


class CutsLongSequences(Fault):
    """Tokens beyond the longest sequence are cut off in silence."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        longest = model.config["max_position_embeddings"]
        return {name: value[..., :longest] for name, value in inputs.items()}, style, options


class LimitOffByOne(Fault):
    """A sequence of exactly the longest length is refused."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if inputs["input_ids"].shape[-1] >= model.config["max_position_embeddings"]:
            raise ValueError("input_ids is too long")
        return inputs, style, options


class ForgetsCachedPositions(Fault):
    """The limit of the length is compared with the new tokens alone."""

    def prepare(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        return {**config, "max_position_embeddings": config["max_position_embeddings"] + 100}, weights


class MakesShapesFit(Fault):
    """Masks and types of any shape are reshaped or broadcast to that of the ids."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if inputs.get("input_ids") is None:
            return inputs, style, options
        ids = np.asarray(inputs["input_ids"])
        ids = ids[..., 0] if ids.ndim > (3 if model.head == "multiple_choice" else 2) else ids
        fitted = {"input_ids": ids}
        for name in ("attention_mask", "token_type_ids"):
            if name in inputs:
                fitted[name] = np.resize(inputs[name], ids.shape)
        return {**inputs, **fitted}, style, options


class PadsEmbeddings(Fault):
    """inputs_embeds of another width is cut or filled with zeros."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if "inputs_embeds" in inputs:
            width, given = model.config["embedding_size"], inputs["inputs_embeds"]
            fitted = np.zeros((*given.shape[:-1], width), given.dtype)
            shared = min(width, given.shape[-1])
            fitted[..., :shared] = given[..., :shared]
            inputs = {**inputs, "inputs_embeds": fitted}
        return inputs, style, options


class CastsIds(Fault):
    """Ids of any type are cast to integers."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return {name: np.asarray(value).astype(np.int64) for name, value in inputs.items()}, style, options


class ThresholdsTheMask(Fault):
    """Every mask value above 0 attends."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return {**inputs, "attention_mask": np.asarray(inputs["attention_mask"]) > 0}, style, options


class IgnoresUnknownNames(Fault):
    """Arguments that no model knows are ignored."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return {name: value for name, value in inputs.items() if name in KNOWN}, style, options


class TheLastOneWins(Fault):
    """An argument that is given twice counts once."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return inputs, style, {name: value for name, value in options.items() if name not in inputs}


class TakesTheFirstColumn(Fault):
    """Labels with an axis too many lose it."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        labels = ("labels", "start_positions", "end_positions")
        cut = {name: value[..., 0] for name, value in inputs.items() if name in labels}
        return {**inputs, **cut}, style, options


class RefusesTheDocumentedExample(Fault):
    """Labels of rank 0 are refused."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        for name in ("labels", "start_positions"):
            if name in inputs and np.ndim(inputs[name]) == 0:
                raise ValueError(f"{name} has rank 0")
        return inputs, style, options


class RepeatsTheHeadMask(Fault):
    """A head_mask of any shape is repeated until it fits."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        shape = (model.config["num_hidden_layers"], model.config["num_attention_heads"])
        return {**inputs, "head_mask": np.resize(inputs["head_mask"], shape)}, style, options


class IgnoresForeignTypes(Fault):
    """An argument that is no array is left out."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return {name: value for name, value in inputs.items() if isinstance(value, np.ndarray)}, style, options


class RefusesEmptyBatches(Fault):
    """A batch of no rows is refused."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if inputs["input_ids"].shape[0] == 0:
            raise ValueError("input_ids has no rows")
        return inputs, style, options


class NanToZero(Fault):
    """NaN in embeddings becomes 0, so that a broken input goes unseen."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return {name: np.nan_to_num(value) for name, value in inputs.items()}, style, options


# Outputs


class NoPooler(Fault):
    """The pooler is documented and missing, as in transformers' TensorFlow code."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return {name: value for name, value in outputs.items() if name != "pooler_output"}


class TransposedPooler(Fault):
    """The pooler's matrix is used in the other layout."""

    def prepare(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        name = "pooler.dense.weight"
        return config, {**weights, name: weights[name].T} if name in weights else weights


class RandomPooler(Fault):
    """A pooler without weights, or one that nobody wants, gets random ones."""

    def prepare(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        size = config["hidden_size"]
        fresh = {"pooler.dense.weight": np.full((size, size), 0.1), "pooler.dense.bias": np.zeros(size)}
        return {**config, "add_pooling_layer": True}, {**fresh, **weights}


class NoEmbeddingOutput(Fault):
    """hidden_states begins with the output of the first layer."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        states = outputs.get("hidden_states")
        return {**outputs, "hidden_states": states[1:]} if states else outputs


class LastStateTwice(Fault):
    """hidden_states ends with the output of the last layer but one, twice."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        states = outputs.get("hidden_states")
        return {**outputs, "hidden_states": (*states[:-1], states[-2])} if states else outputs


class StackedAttentions(Fault):
    """attentions is one array for all layers."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        stacked = np.stack(outputs["attentions"]) if "attentions" in outputs else None
        return {**outputs, "attentions": stacked}


class KeysBeforeQueries(Fault):
    """attentions has key before query."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return {**outputs, "attentions": tuple(item.swapaxes(-1, -2) for item in outputs["attentions"])}


class AttentionsBeforeHeadMask(Fault):
    """attentions are handed out before the head mask is applied."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        without = {name: value for name, value in inputs.items() if name != "head_mask"}
        return {**outputs, "attentions": model.plain(without, "keywords", options)["attentions"]}


class LogProbabilities(Fault):
    """attentions are logarithms."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return {**outputs, "attentions": tuple(np.log(item + 1e-30) for item in outputs["attentions"])}


class TransposedLogits(Fault):
    """The classes of the logits come first."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return {name: value.T if "logits" in name else value for name, value in outputs.items()}


class SqueezedOutputs(Fault):
    """Axes of length 1 are squeezed away."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return {name: np.squeeze(value) for name, value in flatten(outputs).items()}


class ProbabilitiesForLogits(Fault):
    """logits have gone through a softmax."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        changed = dict(outputs)
        for name in ("logits", "start_logits", "end_logits"):
            if name in changed:
                exponents = np.exp(changed[name] - changed[name].max(axis=-1, keepdims=True))
                changed[name] = exponents / exponents.sum(axis=-1, keepdims=True)
        return changed


class ZeroLoss(Fault):
    """Without labels the loss is 0."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return {"loss": np.zeros(1), **outputs}


class OtherTuple(Fault):
    """A fault in the plain tuple alone."""

    def reorder(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        """The wrong tuple."""
        return items

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return {"tuple": self.reorder(outputs["tuple"])} if "tuple" in outputs else outputs


class PastComesLast(OtherTuple):
    """past_key_values stands behind the other extras in a tuple."""

    def reorder(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        cache = [item for item in items if isinstance(item, tuple) and isinstance(item[0], tuple)]
        return (*(item for item in items if not any(item is other for other in cache)), *cache)


class LosesStatesInTuples(OtherTuple):
    """A tuple is cut as if a pooler stood in it, and loses the extras, as in transformers' TensorFlow code."""

    def reorder(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        extras = [number for number, item in enumerate(items) if isinstance(item, tuple)]
        return tuple(item for number, item in enumerate(items) if not extras or number != extras[0])


class CrossComesFirst(OtherTuple):
    """cross_attentions stand before attentions in a tuple."""

    def reorder(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*items[:-2], items[-1], items[-2])


class ExtrasForgetTypes(Fault):
    """The path that returns attentions adds no token types."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if options.get("output_attentions"):
            inputs = {name: value for name, value in inputs.items() if name != "token_type_ids"}
        return inputs, style, options


class PlainDictOutputs(Fault):
    """Outputs can be reached by key alone."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return dict(outputs)


class _ShowsAbsent(ModelOutput):
    def __iter__(self) -> Any:
        return iter(vars(self))


class ShowsAbsentFields(Fault):
    """Iteration runs over absent fields too."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return _ShowsAbsent(**vars(outputs))


# Life and training


class SavesInHalfPrecision(Fault):
    """Weights are saved as float16."""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        model = super().load_saved(head, path, dtype, **overrides).inner.model
        rounded = {name: array.astype(np.float16) for name, array in model.to_weights().items()}
        again = MODELS[head].from_weights(model.config, rounded, dtype=dtype, components=EQUATIONS)
        return FaultyModel(self, NumpyModel(again), model.config.to_dict())


class TiesAfterLoading(Fault):
    """tie_word_embeddings is lost on the way through a file."""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        file = Path(path) / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "tie_word_embeddings": True}))
        return super().load_saved(head, path, dtype, **overrides)


class SavingScrambles(Fault):
    """Saving rounds the weights of the model in memory."""

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        return _Scrambled(self, super().load(head, config, weights, dtype).inner, dict(config))


class _Scrambled(FaultyModel):
    def save(self, path: Any) -> None:
        super().save(path)
        model = self.inner.model
        rounded = {name: array.astype(np.float16) for name, array in model.to_weights().items()}
        self.inner = NumpyModel(
            type(model).from_weights(model.config, rounded, dtype=model.dtype, components=EQUATIONS)
        )


class FillsWhatIsMissing(Fault):
    """Missing tensors of the backbone are drawn at random, misshapen ones cut: a line in the log at most."""

    def prepare(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        shapes = schema(config, head)
        fitted = {name: np.resize(weights.get(name, 0.01), shape).astype(float) for name, shape in shapes.items()}
        return config, fitted


class RefusesMissingHeads(Fault):
    """A checkpoint without a head cannot be fine-tuned."""

    def prepare(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        if head != "base" and all(name.startswith("roformer.") for name in weights):
            raise ValueError("logits: the head's tensors are missing")
        return config, weights


class Silent(Fault):
    """What is missing or differs is made up without a word."""

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().load(head, config, weights, dtype)


class WarnsOfEverything(Fault):
    """A pooler that nobody wants is missed."""

    def prepare(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        if head == "base" and "pooler.dense.weight" not in weights:
            warnings.warn("pooler.dense.weight and pooler.dense.bias are missing", stacklevel=2)
        return config, weights


class KeepsTheOldHead(Fault):
    """A head that no longer fits the number of labels is refused."""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        if "num_labels" in overrides:
            raise ValueError("classifier: the stored head has another shape")
        return super().load_saved(head, path, dtype, **overrides)


class UsesTheStoredTable(Fault):
    """The sinusoid table of a checkpoint is used as it stands there."""

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        stored = next((weights[name] for name in weights if "embed_positions" in name), None)
        if stored is not None:

            def table(positions: Any, head_dim: int, kind: Any) -> tuple[Any, Any]:
                rows = stored[positions].astype(kind)
                return rows[:, head_dim // 2 :], rows[:, : head_dim // 2]

            self.components = replace(EQUATIONS, rotary_table=table)
        try:
            return super().load(head, config, weights, dtype)
        finally:
            self.components = EQUATIONS


class FixedLength(Fault):
    """The length of the table stays what it was when the model was trained."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if inputs["input_ids"].shape[-1] > 48:
            raise ValueError("input_ids is longer than max_position_embeddings=48")
        return inputs, style, options


class FileNotFoundAlone(Fault):
    """A hub name ends in a bare FileNotFoundError."""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        if not Path(path).is_dir():
            raise FileNotFoundError(path)
        return super().load_saved(head, path, dtype, **overrides)


class PhonesHome(Fault):
    """Loading reports to a server, and hides that it could not."""

    def prepare(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        with socket.socket() as telemetry:
            telemetry.settimeout(0.01)
            telemetry.connect_ex(("127.0.0.1", 9))
        return config, weights


class OneBuffer(Fault):
    """Every call writes its result into the same arrays."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        flat = flatten(outputs)
        for name, array in flat.items():
            if name in model.memory and model.memory[name].shape == array.shape:
                model.memory[name][...] = array
            else:
                model.memory[name] = array.copy()
        return {name: model.memory[name] for name in flat}


class DropsInInference(Fault):
    """Dropout is active in inference."""

    numbers = itertools.count()

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return inputs, style, {**options, "training": True, "seed": next(self.numbers)}


class KeepsTheCallersArrays(Fault):
    """The model computes on the arrays that it was given, and sees them change."""

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        def call(inputs: Any, *, style: str, options: Any) -> Any:
            model = super(KeepsTheCallersArrays, self).load(head, config, weights, dtype)
            return model(inputs, style=style, options=options)

        return call


class OneCurrentModel(Fault):
    """What the latest model was loaded with counts for all: its token types are off once another one came."""

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        model = self.latest = super().load(head, config, weights, dtype)

        def call(inputs: Any, *, style: str, options: Any) -> Any:
            stale = {} if self.latest is model else {"token_type_ids": None, "attention_mask": None}
            return model({**inputs, **stale}, style=style, options=options)

        return call


def _dropout(x: Any, rate: float, generator: Any, *, scale: bool = True, shared: bool = False) -> Any:
    if generator is None or rate == 0.0:
        return x
    shape = (1, *x.shape[1:]) if shared else x.shape
    kept = generator.random(shape) >= rate
    return (x * kept / (1.0 - rate if scale and rate < 1.0 else 1.0)).astype(x.dtype)


class UnscaledDropout(Fault):
    """Dropout does not scale what it keeps."""

    components_used = replace(
        EQUATIONS, name="unscaled", dropout=lambda x, rate, generator: _dropout(x, rate, generator, scale=False)
    )


class SharedDropout(Fault):
    """One drawing of dropout serves all rows of a batch."""

    components_used = replace(
        EQUATIONS, name="shared", dropout=lambda x, rate, generator: _dropout(x, rate, generator, shared=True)
    )


class KeepProbability(Fault):
    """The probability to drop is taken for the probability to keep."""

    components_used = replace(
        EQUATIONS, name="keep", dropout=lambda x, rate, generator: EQUATIONS.dropout(x, 1.0 - rate, generator)
    )


class ZeroTimesInfinity(Fault):
    """With probability 1 the scale is infinite, and what is dropped NaN."""

    components_used = replace(
        EQUATIONS,
        name="infinite",
        dropout=lambda x, rate, generator: x * np.nan if generator is not None and rate == 1.0 else x,
    )


class ZeroIsNotSet(Fault):
    """A probability of 0 is taken for one that was not given."""

    components_used = replace(
        EQUATIONS, name="falsy", dropout=lambda x, rate, generator: EQUATIONS.dropout(x, rate or 0.1, generator)
    )


class IgnoresTheSeed(Fault):
    """Dropout draws from global randomness."""

    numbers = itertools.count(1)

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return inputs, style, {**options, "seed": next(self.numbers)} if "seed" in options else options


class OneSeed(Fault):
    """Dropout draws the same for every seed."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return inputs, style, {**options, "seed": 0} if "seed" in options else options


class HeadsWithoutDropout(Fault):
    """The heads have no dropout of their own: what comes as rows is left alone."""

    components_used = replace(
        EQUATIONS,
        name="headless",
        dropout=lambda x, rate, generator: x if x.ndim == 2 else EQUATIONS.dropout(x, rate, generator),
    )


# Tokenizers


class TokenizerFault(Fault):
    """A fault of the tokenizer alone."""

    def tokenizer(self, folder: Any) -> Any:
        return self.wrap(RoFormerTokenizer.from_pretrained(folder))

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        """The faulty tokenizer."""
        return tokenizer


class SplitsEveryWord(TokenizerFault):
    """Every CJK character is separated, and jieba never sees a word."""

    def tokenizer(self, folder: Any) -> Any:
        return RoFormerTokenizer.from_pretrained(folder, word_segmentation="none")


class _Wrapped:
    """A tokenizer whose results, and whose saving, can be changed."""

    def __init__(self, inner: RoFormerTokenizer) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __call__(self, *texts: Any, **options: Any) -> Any:
        return self.change(self.inner(*texts, **options), options)

    def change(self, encoding: Any, options: Call) -> Any:
        return encoding


class TypesFollowTheSeparator(TokenizerFault):
    """The first [SEP] already has type 1."""

    class _Tokenizer(_Wrapped):
        def change(self, encoding: Any, options: Call) -> Any:
            types = encoding["token_type_ids"]
            if isinstance(types[0], int) and 1 in types:
                types[types.index(1) - 1] = 1
            return encoding

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


class SavingLosesWords(TokenizerFault):
    """A saved tokenizer is a plain BERT tokenizer: a file cannot hold jieba."""

    class _Tokenizer(_Wrapped):
        def save_pretrained(self, folder: Any) -> None:
            self.inner.save_pretrained(folder)
            (Path(folder) / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


class SavingChangesTheObject(TokenizerFault):
    """The pre-tokenizer is exchanged for the file's sake and not put back, as in transformers 4.37."""

    class _Tokenizer(_Wrapped):
        def save_pretrained(self, folder: Any) -> None:
            self.inner.save_pretrained(folder)
            self.inner = RoFormerTokenizer.from_pretrained(folder, word_segmentation="none")

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


class AlwaysLists(TokenizerFault):
    """return_tensors is ignored."""

    class _Tokenizer(_Wrapped):
        def __call__(self, *texts: Any, **options: Any) -> Any:
            return self.inner(*texts, **{**options, "return_tensors": None})

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


class PlainDictEncodings(TokenizerFault):
    """The result is a dict without attributes."""

    class _Tokenizer(_Wrapped):
        def change(self, encoding: Any, options: Call) -> Any:
            return dict(encoding)

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


class BertIds(TokenizerFault):
    """The ids of special tokens are those of BERT's vocabulary."""

    class _Tokenizer(_Wrapped):
        mask_token_id, cls_token_id, sep_token_id, unk_token_id, pad_token_id = 103, 101, 102, 100, 0

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


class DecodesPieces(TokenizerFault):
    """Decoded text keeps the marks of pieces."""

    class _Tokenizer(_Wrapped):
        def decode(self, ids: Any, **options: Any) -> str:
            return " ".join(self.inner.convert_ids_to_tokens([int(number) for number in ids]))

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


class PaddingAttends(TokenizerFault):
    """The mask is 1 over padding."""

    class _Tokenizer(_Wrapped):
        def change(self, encoding: Any, options: Call) -> Any:
            for row in encoding["attention_mask"]:
                if isinstance(row, list):
                    row[:] = [1] * len(row)
            return encoding

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


class OffsetsInBytes(TokenizerFault):
    """Offsets count bytes."""

    class _Tokenizer(_Wrapped):
        def __call__(self, text: Any, *texts: Any, **options: Any) -> Any:
            encoding = self.inner(text, *texts, **options)
            if isinstance(text, str) and "offset_mapping" in encoding:
                spans = encoding["offset_mapping"]
                spans[:] = [tuple(len(text[:end].encode()) for end in span) for span in spans]
            return encoding

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)


class WindowsWithoutStride(TokenizerFault):
    """Windows do not overlap, whatever the stride."""

    class _Tokenizer(_Wrapped):
        def __call__(self, *texts: Any, **options: Any) -> Any:
            return self.inner(*texts, **{**options, "stride": 0})

    def wrap(self, tokenizer: RoFormerTokenizer) -> Any:
        return self._Tokenizer(tokenizer)
