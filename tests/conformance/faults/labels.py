"""Losses at the edge: one token, one class, broken rows, sizes that are alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from roformer_numpy.equations import losses
from roformer_numpy.heads import LOSS_FUNCTIONS

from .making import Array, Call, Fault, FaultyModel, fault


@fault
def one_token_is_refused() -> Fault:
    """A causal language model reduces the logits that are left after the shift, and cannot where none are."""

    def wrong(fields: Any, context: Any) -> Any:
        float(fields["logits"][:, :-1].max() if fields["logits"].size else 0.0)
        return LOSS_FUNCTIONS["causal_lm"](fields, context)

    return Fault(patches={"models.LOSS_FUNCTIONS": {**LOSS_FUNCTIONS, "causal_lm": wrong}})


@fault
def one_class_is_a_regression() -> Fault:
    """One class for each token means a squared error, as it does for a whole sequence."""

    def wrong(logits: Array, labels: Array) -> Array:
        active = labels != losses.IGNORED
        if logits.shape[-1] > 1:
            return losses.active_cross_entropy(logits, labels)
        return ((logits[active][:, 0] - labels[active]) ** 2).astype(logits.dtype)

    return Fault({"active_cross_entropy": wrong})


@fault
class IgnoredTimesZero(Fault):
    """A mean multiplies ignored losses by 0, which leaves NaN what it is."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        logits = outputs.get("logits")
        if model.model.config.loss_reduction != "mean" or logits is None or "labels" not in inputs:
            return outputs
        zero = np.asarray(0.0 * logits.sum(), outputs["loss"].dtype)
        return dataclasses.replace(outputs, loss=outputs["loss"] + zero)


def _square(right: Callable[[Array, Array], Array], each: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def wrong(logits: Array, labels: Array) -> Array:
        return each(logits, labels).mean(axis=0) if len(logits) == logits.shape[1] else right(logits, labels)

    return wrong


@fault
def rows_and_labels_told_by_size() -> Fault:
    """Where there are as many labels as rows, a regression is averaged over the rows."""
    return Fault({"squared_error": _square(losses.squared_error, lambda x, y: (x - y) ** 2)})
