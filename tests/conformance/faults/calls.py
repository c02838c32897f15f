"""Mixed calls and foreign arrays, misread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

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
