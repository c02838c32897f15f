"""Nothing to see and numbers without end, dealt with by a shortcut."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from .making import Call, Fault, FaultyModel, fault, models_validate


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
