"""Mixed calls and foreign arrays, misread."""

from __future__ import annotations

from collections import OrderedDict, UserDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from roformer_numpy.validation.binding import known_names

from .making import Call, Fault, FaultyModel, fault

SWITCHES = ("output_attentions", "output_hidden_states", "return_dict", "training")


@fault
class SwitchesInDictsIgnored(Fault):
    """Switches inside a dict of inputs are not read."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "dict" and type(inputs) is dict:
            inputs = {name: value for name, value in inputs.items() if name not in SWITCHES}
        return inputs, style, options


@fault
class NoNoneInDicts(Fault):
    """None in a dict of inputs is refused."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "dict" and any(value is None for value in inputs.values()):
            raise ValueError("None is no tensor")
        return inputs, style, options


@fault
class ListsDropKeywords(Fault):
    """With a list as first argument only the switches among the keywords are read."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "list":
            options = {name: value for name, value in options.items() if name in SWITCHES}
        return inputs, style, options


@fault
class LittleEndianAlone(Fault):
    """Memory is read in this machine's byte order whatever the array says."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if isinstance(inputs, Mapping) and type(inputs) is dict:
            inputs = {name: _native(value) for name, value in inputs.items()}
        return inputs, style, options


def _native(value: Any) -> Any:
    foreign = isinstance(value, np.ndarray) and not value.dtype.isnative
    return value.view(value.dtype.newbyteorder("=")) if foreign else value


def _spoilt(name: str, spoil: Callable[[Any], None]) -> Fault:
    """The argument `name`, where it is an array of floats that can be written to, is written to."""

    def call(right: Any, inputs: Call, options: Call) -> Any:
        outputs, array = right(inputs, options), inputs.get(name)
        if isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.flags.writeable:
            spoil(array)
        return outputs

    return Fault(calls=call)


@fault
def masks_of_floats_made_additive() -> Fault:
    """A mask of floats, which needs no copy, is made additive in the caller's own array."""

    def spoil(mask: Any) -> None:
        mask -= 1

    return _spoilt("attention_mask", spoil)


@fault
def head_masks_emptied() -> Fault:
    """A head_mask is worked on where it lies."""

    def spoil(mask: Any) -> None:
        mask[...] = 0

    return _spoilt("head_mask", spoil)


@fault
def encoder_masks_made_additive() -> Fault:
    """The encoder's mask of floats is made additive in the caller's own array."""

    def spoil(mask: Any) -> None:
        mask -= 1

    return _spoilt("encoder_attention_mask", spoil)


@fault
class EmbeddingsAsTheyLie(Fault):
    """Embeddings are read in the order of memory, whatever their strides say."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        given = inputs.get("inputs_embeds") if style == "keywords" else None
        if isinstance(given, np.ndarray):
            inputs = {**inputs, "inputs_embeds": given.ravel(order="K").reshape(given.shape)}
        return inputs, style, options


@fault
class BytesAreSigned(Fault):
    """Ids of type uint8 are taken for int8: those above 127 become negative, and count from the end."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        ids = inputs.get("input_ids") if style == "keywords" else None
        if isinstance(ids, np.ndarray) and ids.dtype == np.uint8:
            inputs = {**inputs, "input_ids": ids.view(np.int8).astype(np.int64) % model.model.config.vocab_size}
        return inputs, style, options


@fault
def far_spans_clamped_in_place() -> Fault:
    """Positions beyond the sequence are clamped to its length in the caller's own array."""

    def call(right: Any, inputs: Call, options: Call) -> Any:
        outputs, given = right(inputs, options), inputs.get("input_ids", inputs.get("inputs_embeds"))
        for name in ("start_positions", "end_positions"):
            if isinstance(inputs.get(name), np.ndarray) and inputs[name].flags.writeable:
                np.minimum(inputs[name], np.shape(given)[1], out=inputs[name])
        return outputs

    return Fault(calls=call)


@fault
def errors_of_a_regression_in_place() -> Fault:
    """What a regression is off by is written into the caller's own labels."""

    def spoil(labels: Any) -> None:
        labels -= 1

    return _spoilt("labels", spoil)


@fault
class UnknownKeysOfOtherMappings(Fault):
    """Of a mapping that is no dict the keys that are known are read, and no others."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "dict" and type(inputs) is not dict:
            known = known_names(model.head)
            inputs = {name: inputs[name] for name in inputs if name in known}
        return inputs, style, options


@fault
class MappingsByTheirExactType(Fault):
    """A dict, an OrderedDict and a UserDict are mappings; what is derived from them, a BatchEncoding, is not."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if style == "dict" and type(inputs) not in (dict, OrderedDict, UserDict):
            raise TypeError(f"input_ids is a {type(inputs).__name__}")
        return inputs, style, options
