"""What outlives a call, and should not."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np

from roformer_numpy.adapter import NumpyModel

from .making import Array, Call, Fault, FaultyModel, fault

EXTRAS = ("output_attentions", "output_hidden_states")


@fault
class StaysInTraining(Fault):
    """A call with training=True switches the model over for good."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        if options.get("training"):
            model.memory["seed"] = options.get("seed", 0)
        elif "seed" in model.memory:
            options = {**options, "training": True, "seed": model.memory["seed"]}
        return inputs, style, options


@fault
class ExtrasStayOn(Fault):
    """Extras that one call asks for are written to the configuration, and come with every later call."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        model.memory |= {name: value for name, value in options.items() if name in EXTRAS}
        return inputs, style, {**options, **model.memory} if style == "keywords" else options


@fault
class SeedZeroIsNone(Fault):
    """A seed of 0 is taken for one that was not given."""

    numbers = itertools.count(1000)

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        seeded = "seed" in options and not options["seed"]
        return inputs, style, {**options, "seed": next(self.numbers)} if seeded else options


@fault
class KnownByIdentity(Fault):
    """What was computed from an array is kept under the array's address: one that was written over gives the old."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        ids = inputs.get("input_ids") if style == "keywords" else None
        if not isinstance(ids, np.ndarray):
            return inputs, style, options
        known, copy = model.memory.setdefault(str(id(ids)), (ids, ids.copy()))
        return {**inputs, "input_ids": copy if known is ids else ids}, style, options


@fault
class KnownByIds(Fault):
    """Embeddings are kept under the ids alone: the same ids with other types give those of the first call."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        ids = inputs.get("input_ids") if style == "keywords" else None
        if not isinstance(ids, np.ndarray) or "token_type_ids" not in inputs:
            return inputs, style, options
        types = model.memory.setdefault(f"{ids.shape} {ids.tobytes().hex()}", np.array(inputs["token_type_ids"]))
        same = types.shape == np.shape(inputs["token_type_ids"])
        return {**inputs, "token_type_ids": types} if same else inputs, style, options


@fault
class EqualRowsOnce(Fault):
    """Rows of equal ids are computed once, whatever their masks and types."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        ids = inputs.get("input_ids") if style == "keywords" else None
        if not isinstance(ids, np.ndarray) or ids.ndim < 2 or not ids.size or ids.dtype.kind != "i":
            return inputs, style, options
        first = np.array([next(n for n, other in enumerate(ids) if np.array_equal(row, other)) for row in ids])
        names = [name for name in ("attention_mask", "token_type_ids") if np.shape(inputs.get(name)) == ids.shape]
        return {**inputs, **{name: np.asarray(inputs[name])[first] for name in names}}, style, options


@fault
class CacheGrowsInPlace(Fault):
    """The cache is one buffer that every continuation writes into."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        if "tuple" in outputs or outputs.get("past_key_values") is None:
            return outputs
        layers = outputs["past_key_values"]
        kept = tuple(tuple(self._kept(model, array, place) for place, array in enumerate(layer)) for layer in layers)
        return dataclasses.replace(outputs, past_key_values=kept)

    def _kept(self, model: FaultyModel, array: Array, place: int) -> Array:
        """A view of the buffer in which this begins: what stands at its front is the same, what follows is not."""
        for buffer in model.memory.setdefault("buffers", []):
            fits = buffer.shape[:2] == array.shape[:2] and buffer.shape[3:] == array.shape[3:]
            if fits and place < 2 and np.array_equal(buffer[:, :, :1], array[:, :, :1]):
                buffer[:, :, : array.shape[2]] = array
                return buffer[:, :, : array.shape[2]]
        room = np.zeros((*array.shape[:2], 8192, array.shape[3]), array.dtype)
        room[:, :, : array.shape[2]] = array
        model.memory["buffers"].append(room)
        return room[:, :, : array.shape[2]]


@fault
def gradients_add_up() -> Fault:
    """Gradients add up over calls until somebody clears them."""

    def gradients(model: Any, inputs: Any, options: Any) -> Any:
        found = dict(NumpyModel.gradients(model, inputs, options))
        names = [name for name in found if name not in ("loss", "inputs_embeds")]
        before = model.memory.get("gradients", {})
        found |= {name: found[name] + before[name] for name in names if name in before}
        model.memory["gradients"] = {name: found[name] for name in names}
        return found

    return Fault(methods={"gradients": gradients})


@fault
def gradients_take_a_step() -> Fault:
    """Whoever asks for gradients has the weights moved along them, too."""

    def gradients(model: Any, inputs: Any, options: Any) -> Any:
        found = dict(NumpyModel.gradients(model, inputs, options))
        own = model.model
        moved = {name: array - 1e-3 * found.get(name, 0) for name, array in own.to_weights().items()}
        model.model = type(own).from_weights(own.config, moved, dtype=own.dtype, components=own.components)
        return found

    return Fault(methods={"gradients": gradients})
