"""The ways to write a call, read wrong."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from roformer_conformance.precision import rounded
from roformer_numpy.validation.binding import argument_order

from .making import Call, Fault, FaultyModel, fault


def _items(model: FaultyModel, inputs: Call) -> list[Any]:
    """The positional list of a call, without trailing None."""
    items = [inputs.get(name) for name in argument_order(model.head)]
    while items and items[-1] is None:
        items.pop()
    return items


@fault
class BertOrder(Fault):
    """Lists are read in the order of BERT's Keras layers: token types before the mask."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style in ("list", "tuple"):
            other = {"attention_mask": "token_type_ids", "token_type_ids": "attention_mask"}
            inputs = {other.get(name, name): value for name, value in inputs.items()}
        return inputs, style, options


@fault
class NoneShiftsItems(Fault):
    """None in a list of inputs takes no place, so that what stands behind it moves forward."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style in ("list", "tuple"):
            present = [item for item in _items(model, inputs) if item is not None]
            inputs = dict(zip(argument_order(model.head), present, strict=False))
        return inputs, style, options


@fault
class OneTensorHasTypeOne(Fault):
    """A single tensor is taken for a second segment."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "single" and list(inputs) == ["input_ids"]:
            inputs = {**inputs, "token_type_ids": np.ones_like(inputs["input_ids"])}
        return inputs, style, options


@fault
class ValuesOfTheDict(Fault):
    """A dict of inputs is unpacked in the order of insertion, its names unread."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "dict":
            inputs = dict(zip(argument_order(model.head), inputs.values(), strict=False))
        return inputs, style, options


@fault
class OnlyPlainDicts(Fault):
    """Only a dict is a mapping: a tokenizer's BatchEncoding is refused."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "dict" and type(inputs) is not dict:
            raise TypeError(f"input_ids is a {type(inputs).__name__}")
        return inputs, style, options


@fault
class PositionalDropsKeywords(Fault):
    """With a first argument by position, the keywords are dropped."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return ({"input_ids": inputs["input_ids"]} if style == "single" else inputs), style, options


@fault
class NeedsIds(Fault):
    """Keywords without input_ids are refused, as in transformers' TensorFlow code."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "keywords" and "input_ids" not in inputs:
            raise ValueError("input_ids is missing")
        return inputs, style, options


@fault
class IgnoresStrides(Fault):
    """A kernel reads memory from the first byte on, whatever the strides say."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        read = {name: np.asarray(array).ravel(order="K").reshape(array.shape) for name, array in inputs.items()}
        return read, style, options


@fault
class TwoIntegerTypes(Fault):
    """Ids are int32 or int64, every other integer type is refused."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if np.asarray(inputs["input_ids"]).dtype.name not in ("int32", "int64"):
            raise TypeError(f"input_ids has dtype {inputs['input_ids'].dtype}")
        return inputs, style, options


@fault
class InvertsTheMaskInPlace(Fault):
    """The additive mask is made in the caller's own array."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        if "attention_mask" in inputs:
            inputs["attention_mask"] -= 1
        return outputs


@fault
class PopsTheCallersKeys(Fault):
    """input_ids is taken out of the caller's own dict."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        del inputs["input_ids"]
        return outputs


@fault
class NoLists(Fault):
    """Nested lists of numbers are refused: only arrays are inputs."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        for name, value in inputs.items():
            if isinstance(value, list):
                raise TypeError(f"{name} is a list")
        return inputs, style, options


@fault
class RowsAreInputs(Fault):
    """A nested list by position is a list of inputs: its rows are input_ids, attention_mask, ..."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "single" and isinstance(inputs["input_ids"], list):
            rows = [np.asarray(row) for row in inputs["input_ids"]]
            inputs, style = dict(zip(argument_order(model.head), rows, strict=False)), "keywords"
        return inputs, style, options


@fault
class BoolMaskMeansMasked(Fault):
    """A bool mask is True where a key is masked, as torch.nn.MultiheadAttention has it."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        mask = inputs.get("attention_mask")
        return (inputs if mask is None or mask.dtype != bool else {**inputs, "attention_mask": ~mask}), style, options


@fault
class GuessesPadding(Fault):
    """Without a mask, tokens whose id is the padding's are masked."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if inputs.get("attention_mask") is None and "input_ids" in inputs:
            inputs = {**inputs, "attention_mask": np.asarray(inputs["input_ids"]) != 0}
        return inputs, style, options


@fault
class AbsentTypesAreOnes(Fault):
    """Without token_type_ids the last type is added."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if inputs.get("token_type_ids") is None and "input_ids" in inputs:
            inputs = {**inputs, "token_type_ids": np.ones_like(inputs["input_ids"])}
        return inputs, style, options


@fault
class EmbeddingsOfHiddenSize(Fault):
    """inputs_embeds is expected in the hidden size, as the documentation's text says."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if "inputs_embeds" in inputs and inputs["inputs_embeds"].shape[-1] != model.config["hidden_size"]:
            raise ValueError("inputs_embeds is not of hidden_size")
        return inputs, style, options


@fault
class EmbeddingsWithoutTypes(Fault):
    """Token types are not added to inputs_embeds."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if inputs.get("inputs_embeds") is not None:
            inputs = {name: value for name, value in inputs.items() if name != "token_type_ids"}
        return inputs, style, options


@fault
class TypesOfTheFirstChoice(Fault):
    """The token types of the first choice serve all choices."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        types = inputs["token_type_ids"]
        return {**inputs, "token_type_ids": np.broadcast_to(types[:, :1], types.shape)}, style, options


@fault
class LabelsInDictsIgnored(Fault):
    """Labels are only looked for among the keywords."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        labels = ("labels", "start_positions", "end_positions")
        if style == "dict":
            inputs = {name: value for name, value in inputs.items() if name not in labels}
        return inputs, style, options


class _Narrowed(Fault):
    """inputs_embeds goes through a narrower type on its way in."""

    dtype: ClassVar[str]

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if inputs.get("inputs_embeds") is not None:
            given = np.asarray(inputs["inputs_embeds"])
            inputs = {**inputs, "inputs_embeds": rounded(given, self.dtype) if given.dtype.kind == "f" else given}
        return inputs, style, options


@fault
class EmbeddingsInFloat16(_Narrowed):
    """inputs_embeds is cast to float16 in a model of float32."""

    dtype = "float16"


@fault
class EmbeddingsInBfloat16(_Narrowed):
    """inputs_embeds is cast to bfloat16 in a model of float32."""

    dtype = "bfloat16"
