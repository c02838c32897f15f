"""What comes back, in another form."""

from __future__ import annotations

import dataclasses
from typing import Any

from roformer_numpy.outputs import ModelOutput

from .making import Call, Fault, FaultyModel, fault


@fault
class TuplesAreLists(Fault):
    """return_dict=False gives a list."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        return {"tuple": list(outputs["tuple"])} if "tuple" in outputs else outputs


@fault
class NoneForThePooler(Fault):
    """In a tuple None stands for a pooler without weights."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        if "tuple" not in outputs or model.head != "base" or model.model.weights.pooler is not None:
            return outputs
        return {"tuple": (outputs["tuple"][0], None, *outputs["tuple"][1:])}


@fault
class EmptyTuples(Fault):
    """Hidden states that nobody asked for are an empty tuple."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        absent = isinstance(outputs, ModelOutput) and outputs.hidden_states is None
        return dataclasses.replace(outputs, hidden_states=()) if absent else outputs


@fault
class AlwaysCaches(Fault):
    """use_cache=False is not read."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return inputs, style, {**options, "use_cache": True} if options.get("use_cache") is False else options
