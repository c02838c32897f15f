"""Dropout, seeds and state that outlives a call, done wrong."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from roformer_conformance.protocol import flatten
from roformer_numpy.components import EQUATIONS

from .making import Call, Fault, FaultyModel, fault


@fault
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


@fault
class DropsInInference(Fault):
    """Dropout is active in inference."""

    numbers = itertools.count()

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return inputs, style, {**options, "training": True, "seed": next(self.numbers)}


@fault
class KeepsTheCallersArrays(Fault):
    """The model computes on the arrays that it was given, and sees them change."""

    def load(self, head: str, config: Mapping[str, Any], weights: Mapping[str, Any], dtype: str) -> Any:
        def call(inputs: Any, *, style: str, options: Any) -> Any:
            model = super(KeepsTheCallersArrays, self).load(head, config, weights, dtype)
            return model(inputs, style=style, options=options)

        return call


@fault
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


@fault
class UnscaledDropout(Fault):
    """Dropout does not scale what it keeps."""

    exchanged: ClassVar = {"dropout": lambda x, rate, generator: _dropout(x, rate, generator, scale=False)}


@fault
class SharedDropout(Fault):
    """One drawing of dropout serves all rows of a batch."""

    exchanged: ClassVar = {"dropout": lambda x, rate, generator: _dropout(x, rate, generator, shared=True)}


@fault
class KeepProbability(Fault):
    """The probability to drop is taken for the probability to keep."""

    exchanged: ClassVar = {"dropout": lambda x, rate, generator: EQUATIONS.dropout(x, 1.0 - rate, generator)}


@fault
class ZeroTimesInfinity(Fault):
    """With probability 1 the scale is infinite, and what is dropped NaN."""

    exchanged: ClassVar = {
        "dropout": lambda x, rate, generator: x * np.nan if generator is not None and rate == 1.0 else x
    }


@fault
class ZeroIsNotSet(Fault):
    """A probability of 0 is taken for one that was not given."""

    exchanged: ClassVar = {"dropout": lambda x, rate, generator: EQUATIONS.dropout(x, rate or 0.1, generator)}


@fault
class IgnoresTheSeed(Fault):
    """Dropout draws from global randomness."""

    numbers = itertools.count(1)

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return inputs, style, {**options, "seed": next(self.numbers)} if "seed" in options else options


@fault
class OneSeed(Fault):
    """Dropout draws the same for every seed."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return inputs, style, {**options, "seed": 0} if "seed" in options else options


@fault
class HeadsWithoutDropout(Fault):
    """The heads have no dropout of their own: what comes as rows is left alone."""

    exchanged: ClassVar = {
        "dropout": lambda x, rate, generator: x if x.ndim == 2 else EQUATIONS.dropout(x, rate, generator)
    }


@fault
def slight_dropout_in_inference() -> Fault:
    """One element in a thousand is dropped in inference, too, the same ones in every call."""
    drop = lambda x, rate, generator: (  # noqa: E731
        EQUATIONS.dropout(x, rate, generator) if generator is not None else EQUATIONS.dropout(x, 1e-3, _fixed())
    )
    return Fault({"dropout": drop})


def _fixed() -> Any:
    return np.random.default_rng(0)


@fault
class NoisyInTheFourthDigit(Fault):
    """A race of threads: results differ from call to call by one part in ten thousand."""

    numbers = itertools.count()

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        noise = np.random.default_rng(next(self.numbers))
        return {
            name: (array * (1 + 1e-4 * noise.standard_normal(array.shape))).astype(array.dtype)
            for name, array in flatten(outputs).items()
        }


@fault
def one_drawing_for_every_layer() -> Fault:
    """Every dropout starts again from the seed: tensors of one shape lose the same elements."""
    again = lambda x, rate, generator: EQUATIONS.dropout(x, rate, copy.deepcopy(generator))  # noqa: E731
    return Fault({"dropout": again})


@fault
class HeadMaskInInferenceAlone(Fault):
    """The fused attention of training takes no head_mask, and it is not read there."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if options.get("training") and style == "keywords":
            inputs = {name: value for name, value in inputs.items() if name != "head_mask"}
        return inputs, style, options


@fault
class SeedsOfEightBits(Fault):
    """A seed is kept in one byte."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return inputs, style, {**options, "seed": options["seed"] % 256} if "seed" in options else options


@fault
class SeedsMeanTraining(Fault):
    """A call with a seed drops, whatever it says of training."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        return inputs, style, {**options, "training": True} if "seed" in options else options
