"""Bad input that is not refused, and good input that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from roformer_numpy.validation.binding import argument_order

from .making import Call, Fault, FaultyModel, fault

KNOWN = ("input_ids", "attention_mask", "token_type_ids", "head_mask", "inputs_embeds", "labels", "start_positions",
         "end_positions", "output_attentions", "output_hidden_states", "return_dict", "training", "seed", "use_cache",
         "past_key_values", "encoder_hidden_states", "encoder_attention_mask")  # fmt: skip


@fault
class NeitherMeansZeros(Fault):
    """Without any input a row of padding is computed."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if not {"input_ids", "inputs_embeds"} & inputs.keys():
            inputs = {**inputs, "input_ids": np.zeros_like(inputs["attention_mask"])}
        return inputs, style, options


@fault
class PrefersIds(Fault):
    """With both input_ids and inputs_embeds, the embeddings are dropped."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if {"input_ids", "inputs_embeds"} <= inputs.keys():
            inputs = {name: value for name, value in inputs.items() if name != "inputs_embeds"}
        return inputs, style, options


@fault
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


@fault
class TwoTokenTypes(Fault):
    """Token types above 1 are refused, also in a model that has them."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if np.asarray(inputs.get("token_type_ids", 0)).max() > 1:
            raise ValueError("token_type_ids holds a value above 1")
        return inputs, style, options


@fault
class NothingFromNothing(Fault):
    """A sequence without tokens returns nothing."""

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        model = super().load(head, config, weights, dtype)

        def call(inputs: Any, *, style: str, options: Any) -> Any:
            return {} if inputs["input_ids"].shape[-1] == 0 else model(inputs, style=style, options=options)

        return call


@fault
class CutsLongSequences(Fault):
    """Tokens beyond the longest sequence are cut off in silence."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        longest = model.config["max_position_embeddings"]
        return {name: value[..., :longest] for name, value in inputs.items()}, style, options


@fault
class LimitOffByOne(Fault):
    """A sequence of exactly the longest length is refused."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if inputs["input_ids"].shape[-1] >= model.config["max_position_embeddings"]:
            raise ValueError("input_ids is too long")
        return inputs, style, options


@fault
class ForgetsCachedPositions(Fault):
    """The limit of the length is compared with the new tokens alone."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        return {**config, "max_position_embeddings": config["max_position_embeddings"] + 100}, weights


@fault
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


@fault
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


@fault
class CastsIds(Fault):
    """Ids of any type are cast to integers."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return {name: np.asarray(value).astype(np.int64) for name, value in inputs.items()}, style, options


@fault
class ThresholdsTheMask(Fault):
    """Every mask value above 0 attends."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return {**inputs, "attention_mask": np.asarray(inputs["attention_mask"]) > 0}, style, options


@fault
class IgnoresUnknownNames(Fault):
    """Arguments that no model knows are ignored."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return {name: value for name, value in inputs.items() if name in KNOWN}, style, options


@fault
class TheLastOneWins(Fault):
    """An argument that is given twice counts once."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return inputs, style, {name: value for name, value in options.items() if name not in inputs}


@fault
class TakesTheFirstColumn(Fault):
    """Labels with an axis too many lose it."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        labels = ("labels", "start_positions", "end_positions")
        cut = {name: value[..., 0] for name, value in inputs.items() if name in labels}
        return {**inputs, **cut}, style, options


@fault
class RefusesTheDocumentedExample(Fault):
    """Labels of rank 0 are refused."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        for name in ("labels", "start_positions"):
            if name in inputs and np.ndim(inputs[name]) == 0:
                raise ValueError(f"{name} has rank 0")
        return inputs, style, options


@fault
class RepeatsTheHeadMask(Fault):
    """A head_mask of any shape is repeated until it fits."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        shape = (model.config["num_hidden_layers"], model.config["num_attention_heads"])
        return {**inputs, "head_mask": np.resize(inputs["head_mask"], shape)}, style, options


@fault
class IgnoresForeignTypes(Fault):
    """An argument that is no array is left out."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return {name: value for name, value in inputs.items() if isinstance(value, np.ndarray)}, style, options


@fault
class RefusesEmptyBatches(Fault):
    """A batch of no rows is refused."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if inputs["input_ids"].shape[0] == 0:
            raise ValueError("input_ids has no rows")
        return inputs, style, options


@fault
class NanToZero(Fault):
    """NaN in embeddings becomes 0, so that a broken input goes unseen."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return {name: np.nan_to_num(value) for name, value in inputs.items()}, style, options


@fault
class DropsTooManyItems(Fault):
    """Items of a list behind the last argument are dropped."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        known = len(argument_order(model.head))
        return (dict(list(inputs.items())[:known]) if style == "items" else inputs), style, options


@fault
class EncoderStatesByPosition(Fault):
    """One item behind the last argument is taken for what a decoder looks at."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        items, known = list(inputs.values()), len(argument_order(model.head))
        if style != "items" or len(items) != known + 1:
            return inputs, style, options
        item = items[-1]
        name = "use_cache" if item is True else f"encoder_{'hidden_states' if item.ndim == 3 else 'attention_mask'}"
        kept = dict(list(inputs.items())[:known])
        return kept, style, {**options, **({name: item} if model.config.get("add_cross_attention") else {})}


class _Ignoring(Fault):
    names: ClassVar[tuple[str, ...]] = ()

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "keywords":
            inputs = {name: value for name, value in inputs.items() if name not in self.names}
        return inputs, style, options


@fault
class ArgumentsOfBertIgnored(_Ignoring):
    """What BERT takes beside these arguments is accepted and not read."""

    names: ClassVar = ("position_ids", "next_sentence_label", "cache_position", "decoder_input_ids")


@fault
class MisspeltSwitchesIgnored(_Ignoring):
    """A switch that no model knows is passed over."""

    names: ClassVar = ("output_attention",)


@fault
class LabelsMayBeTwice(Fault):
    """Labels in the dict and again by keyword: the keyword counts."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "dict" and "labels" in options:
            inputs = {name: value for name, value in inputs.items() if name != "labels"}
        return inputs, style, options


@fault
class AdditiveMasksUnderstood(Fault):
    """A mask of floats that is 0 or far below is taken for one that is added to scores."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        mask = inputs.get("attention_mask") if style == "keywords" else None
        if (
            isinstance(mask, np.ndarray)
            and mask.dtype.kind == "f"
            and mask.size
            and mask.min() < -1
            and mask.max() <= 0
        ):
            inputs = {**inputs, "attention_mask": (mask == 0).astype(np.int64)}
        return inputs, style, options
