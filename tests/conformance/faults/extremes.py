"""Nothing to see and numbers without end, dealt with by a shortcut."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from roformer_numpy.equations import losses

from .making import Array, Call, Fault, FaultyModel, fault, models_validate


@fault
def nothing_but_zeros_is_no_mask() -> Fault:
    """A mask without a single 1 in the batch counts as none."""

    def validate(given: Any, config: Any, head: str, dtype: Any) -> Any:
        checked = models_validate(given, config, head, dtype)
        mask = checked.attention_mask
        return checked if mask.any() else dataclasses.replace(checked, attention_mask=np.ones_like(mask))

    return Fault(patches={"models.validate": validate})


@fault
class EmptyBatchesLoseTheLoss(Fault):
    """Without rows there is no loss, though labels were given."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        empty = "tuple" not in outputs and np.size(inputs.get("input_ids", 0)) == 0
        return dataclasses.replace(outputs, loss=None) if empty else outputs


@fault
class InfinityClipped(Fault):
    """Infinities in embeddings are clipped to a large number."""

    def before(self, model: FaultyModel, inputs: Any, style: str, options: Call) -> tuple[Any, str, Call]:
        given = inputs.get("inputs_embeds") if style == "keywords" else None
        if isinstance(given, np.ndarray) and given.dtype.kind == "f":
            inputs = {**inputs, "inputs_embeds": np.clip(given, -1e6, 1e6)}
        return inputs, style, options


@fault
def probabilities_cut() -> Fault:
    """Losses are logarithms of probabilities that are cut at 1e-7, as Keras does: none is above 16.2."""

    def cut(function: Callable[..., Array]) -> Callable[..., Array]:
        return lambda *arguments: np.minimum(function(*arguments), -np.log(1e-7)).astype(arguments[0].dtype)

    names = ("cross_entropy", "active_cross_entropy", "span_cross_entropy")
    return Fault({name: cut(getattr(losses, name)) for name in names})


@fault
def large_errors_count_once() -> Fault:
    """Errors above 10 count as in Huber's loss: their size, no longer their square."""

    def huber(logits: Array, labels: Array) -> Array:
        error = np.abs(logits - labels)
        return np.where(error < 10, error * error, 20 * error - 100).mean(axis=-1).astype(logits.dtype)

    return Fault({"squared_error": huber})
