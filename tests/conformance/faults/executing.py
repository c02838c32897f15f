"""A graph mode and a Keras loop played by the equations, so that their checks can be shown a mistake.

`Complete` makes none: it is the definition with every capability, and the checks must pass on it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from roformer_conformance.protocol import FORMATS
from roformer_numpy.adapter import CAPABILITIES
from roformer_numpy.components import EQUATIONS

from .making import Call, Fault, FaultyModel, fault

RATE = 0.01
FLAGS = ("output_attentions", "output_hidden_states")


class Complete(Fault):
    """The definition with a graph mode and a Keras loop."""

    capabilities: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {**CAPABILITIES, "graph": True, "keras": True, "formats": FORMATS}
    )

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        model = super().load(head, config, weights, dtype)
        return CompleteModel(self, model.model, model.config)

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        model = super().load_saved(head, path, dtype, **overrides)
        return CompleteModel(self, model.model, model.config)

    def switches(self, model: CompleteModel, options: Call) -> Call:
        """The switches that count in a graph."""
        if model.config.get("honour_call_flags"):
            return options
        documented = {name: bool(model.config.get(name)) for name in FLAGS} | {"return_dict": True}
        self.say(
            model,
            {name: options[name] for name in documented if options.get(name, documented[name]) != documented[name]},
        )
        return {**options, **documented}

    def say(self, model: CompleteModel, differing: Call) -> None:
        """One warning for each set of switches without effect."""
        if differing and str(differing) not in model.memory:
            model.memory[str(differing)] = True
            warnings.warn(f"{differing} has no effect in graph mode", stacklevel=2)

    def executed(self, model: CompleteModel, inputs: Call, options: Call, mode: str) -> Any:
        """The outputs of a call in a graph."""
        return model(inputs, options=options)

    def spoiled(self, model: CompleteModel, inputs: Call, options: Call) -> Any:
        """The outputs of a compiled call: its last row is the only one that a check makes bad."""
        output = model(_clamped(model, inputs), options=options)
        return {name: _with_nan(output[name]) for name in output}

    def dataset(self, examples: Any, batch_size: int) -> list[Any]:
        """Batches of arrays, or of pairs of them."""
        parts = examples if isinstance(examples, tuple) else (examples,)
        size = len(next(iter(parts[0].values())))
        batches = [tuple(_rows(part, start, batch_size) for part in parts) for start in range(0, size, batch_size)]
        return batches if isinstance(examples, tuple) else [batch[0] for batch in batches]

    def reported(self, loss: Any) -> float:
        """What the loop tells of a batch's losses."""
        return float(np.mean(loss))

    def joined(self, x: Call, y: Call | None) -> Call:
        """The arguments of a step, from inputs and labels."""
        return {**x, **(y or {})}

    def stepped(self, loop: KerasLoop, weights: Call) -> None:
        """Take over the weights that a step ended with."""
        model = loop.holder.model
        loop.holder.model = type(model).from_weights(model.config, weights, dtype=model.dtype, components=EQUATIONS)

    def gathered(self, parts: list[Call]) -> Call:
        """The outputs of all batches as one."""
        return {name: _concatenated([part[name] for part in parts]) for name in parts[0] if name != "past_key_values"}


class CompleteModel(FaultyModel):
    """A model with both ways to execute it, and the loop."""

    fault: Any

    def execute(self, inputs: Call, options: Call, mode: str) -> Any:
        """A call in a mode."""
        if mode == "eager":
            return self(inputs, options=options)
        given, switches = dict(inputs), self.fault.switches(self, dict(options))
        if mode == "traced xla":
            return self.fault.spoiled(self, given, switches)
        return self.fault.executed(self, given, switches, mode)

    @property
    def keras_model(self) -> KerasLoop:
        """The loop of this model."""
        return KerasLoop(self)


class KerasLoop:
    """compile, fit, evaluate and predict, by hand."""

    def __init__(self, holder: CompleteModel) -> None:
        self.holder, self.fault = holder, holder.fault

    def compile(self, **options: Any) -> None:
        """Nothing to prepare."""

    def fit(self, x: Any, y: Any = None, *, epochs: int = 1, **options: Any) -> Any:
        """Steps of plain gradient descent; the loss of each epoch is that of its last step."""
        told = []
        for _ in range(epochs):
            for batch in self._batches(x, y):
                told.append(self._loss(batch))
                self._descend(batch)
        return SimpleNamespace(history={"loss": told})

    def evaluate(self, x: Any, y: Any = None, **options: Any) -> float:
        """The mean over the batches."""
        return float(np.mean([self._loss(batch) for batch in self._batches(x, y)]))

    def predict(self, x: Call, *, batch_size: int, **options: Any) -> Call:
        """Every output, batch by batch."""
        size = len(next(iter(x.values())))
        starts = range(0, size, batch_size)
        return self.fault.gathered([dict(self.holder(_rows(x, start, batch_size), options={})) for start in starts])

    def _batches(self, x: Any, y: Any) -> list[Call]:
        given = x if isinstance(x, list) else [x if y is None else (x, y)]
        return [self.fault.joined(*(batch if isinstance(batch, tuple) else (batch, None))) for batch in given]

    def _loss(self, batch: Call) -> float:
        return self.fault.reported(self.holder(batch, options={})["loss"])

    def _descend(self, batch: Call) -> None:
        weights = self.holder.model.to_weights()
        slopes = self.holder.model.gradients(**batch).to_weights()
        self.fault.stepped(self, {name: array - RATE * slopes.get(name, 0) for name, array in weights.items()})


def _clamped(model: CompleteModel, inputs: Call) -> Call:
    """Every argument with 0 in place of what is not allowed."""
    limits = {"input_ids": "vocab_size", "token_type_ids": "type_vocab_size"}
    tops = {name: model.config[limit] for name, limit in limits.items()} | {"attention_mask": 2}
    return {
        name: np.where((array < 0) & (array != -100) | (array >= tops.get(name, np.inf)), 0, array)
        for name, array in inputs.items()
    }


def _with_nan(value: Any) -> Any:
    spoiled = value.copy()
    spoiled[-1] = np.nan
    return spoiled


def _rows(arrays: Call, start: int, count: int) -> Call:
    return {name: array[start : start + count] for name, array in arrays.items()}


def _concatenated(parts: list[Any]) -> Any:
    if isinstance(parts[0], tuple):
        return tuple(_concatenated(list(items)) for items in zip(*parts, strict=True))
    return np.concatenate(parts)


@fault
class CallDecides(Complete):
    """In a graph the call's switches win, as in transformers' TensorFlow code."""

    def switches(self, model: CompleteModel, options: Call) -> Call:
        return options


@fault
class SilentGraph(Complete):
    """A switch without effect is dropped without a word."""

    def say(self, model: CompleteModel, differing: Call) -> None:
        """Nothing."""


@fault
class WarnsInEveryStep(Complete):
    """A switch without effect is complained about in every call."""

    def say(self, model: CompleteModel, differing: Call) -> None:
        model.memory.clear()
        super().say(model, differing)


@fault
class NeverFollowsTheCall(Complete):
    """honour_call_flags is read by nobody."""

    def loads(self, head: str, config: Call, weights: Call) -> tuple[Call, Call]:
        return {name: value for name, value in config.items() if name != "honour_call_flags"}, weights


@fault
class ForgetsTheSwitch(Complete):
    """honour_call_flags is lost when the model is saved."""

    def load_saved(self, head: str, path: Any, dtype: str, **overrides: Any) -> Any:
        model = super().load_saved(head, path, dtype, **overrides)
        model.config.pop("honour_call_flags", None)
        return model


@fault
class CompilesToHalfPrecision(Complete):
    """The compiler computes in the accelerator's favourite type."""

    def executed(self, model: CompleteModel, inputs: Call, options: Call, mode: str) -> Any:
        output = super().executed(model, inputs, options, mode)
        return {name: _rounded(output[name]) for name in output} if mode == "xla" else output


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_rounded(item) for item in value)
    return value.astype(np.float16).astype(value.dtype)


@fault
class ClampsWhenCompiled(Complete):
    """A compiled function reads what is not allowed as the nearest that is, as XLA reads an index."""

    def executed(self, model: CompleteModel, inputs: Call, options: Call, mode: str) -> Any:
        return super().executed(model, _clamped(model, inputs), options, mode)

    def spoiled(self, model: CompleteModel, inputs: Call, options: Call) -> Any:
        return self.executed(model, inputs, options, "xla")


@fault
class SpoilsTheBatch(Complete):
    """One bad row makes NaN of all."""

    def spoiled(self, model: CompleteModel, inputs: Call, options: Call) -> Any:
        output = model(_clamped(model, inputs), options=options)
        return {name: np.full_like(output[name], np.nan) for name in output}


@fault
class FreezesTheMask(Complete):
    """A Python branch is taken when the graph is traced: a first call without a mask leaves none to later ones."""

    def executed(self, model: CompleteModel, inputs: Call, options: Call, mode: str) -> Any:
        masked = model.memory.setdefault("masked", "attention_mask" in inputs)
        if not masked:
            inputs.pop("attention_mask", None)
        return super().executed(model, inputs, options, mode)


@fault
class FitSumsTheLoss(Complete):
    """The loop trains on a formula of its own: the sum of the losses."""

    def reported(self, loss: Any) -> float:
        return float(np.sum(loss))


@fault
class NoLossToCompute(Complete):
    """Labels that come as y are not seen: there is no loss to compute."""

    def joined(self, x: Call, y: Call | None) -> Call:
        if y is not None:
            raise ValueError("no loss to compute: labels are not among the inputs")
        return x


@fault
class TrainsOnCopies(Complete):
    """The weights that calls compute with never change."""

    def stepped(self, loop: KerasLoop, weights: Call) -> None:
        """Nothing."""


@fault
class PredictsTheLastBatch(Complete):
    """The outputs of batches are not gathered."""

    def gathered(self, parts: list[Call]) -> Call:
        return super().gathered(parts[-1:])
