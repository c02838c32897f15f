"""Losses, labels and their reduction, done wrong."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from roformer_numpy.equations import losses
from roformer_numpy.heads import LOSS_FUNCTIONS

from .making import Array, Call, Fault, FaultyModel, fault


def _active(wrong: Callable[[Array, Array], Array]) -> Fault:
    return Fault({"active_cross_entropy": wrong})


@fault
def losses_in_column_order() -> Fault:
    """The losses come column by column."""
    return _active(lambda logits, labels: losses.active_cross_entropy(logits.swapaxes(0, 1), labels.T))


@fault
def losses_averaged() -> Fault:
    """One mean is returned where n values are promised."""
    return _active(lambda logits, labels: losses.active_cross_entropy(logits, labels).mean(keepdims=True))


@fault
def zeros_kept_at_ignored() -> Fault:
    """Ignored positions are kept as losses of 0."""

    def wrong(logits: Array, labels: Array) -> Array:
        each = losses.cross_entropy(logits.reshape(-1, logits.shape[-1]), np.maximum(labels, 0).ravel())
        return each * (labels.ravel() != losses.IGNORED)

    return _active(wrong)


@fault
def ignored_taken_for_zero() -> Fault:
    """The label −100 is clamped to class 0 and trained."""
    return _active(lambda logits, labels: losses.active_cross_entropy(logits, np.maximum(labels, 0)))


@fault
def label_zero_ignored() -> Fault:
    """Labels count when they are above 0."""
    return _active(lambda logits, labels: losses.active_cross_entropy(logits, np.where(labels > 0, labels, -100)))


@fault
def pad_label_ignored() -> Fault:
    """A label equal to pad_token_id is taken for ignored; here the pad token is 1."""
    return _active(lambda logits, labels: losses.active_cross_entropy(logits, np.where(labels == 1, -100, labels)))


@fault
def mask_selects_labels() -> Fault:
    """attention_mask decides which labels count."""

    def masked(name: str) -> Callable[..., Any]:
        def wrong(fields: Any, context: Any) -> Any:
            labels = np.where(context.inputs.attention_mask, context.inputs.labels, losses.IGNORED)
            inputs = dataclasses.replace(context.inputs, labels=labels)
            return LOSS_FUNCTIONS[name](fields, dataclasses.replace(context, inputs=inputs))

        return wrong

    return _losses(**{name: masked(name) for name in ("masked_lm", "causal_lm", "token_classification")})


def _losses(**functions: Callable[..., Any]) -> Fault:
    return Fault(patches={"models.LOSS_FUNCTIONS": {**LOSS_FUNCTIONS, **functions}})


@fault
def labels_not_shifted() -> Fault:
    """A causal language model's logits meet the label of their own position."""
    return _losses(causal_lm=LOSS_FUNCTIONS["masked_lm"])


@fault
def labels_shifted_twice() -> Fault:
    """A causal language model's logits meet the label after the next."""

    def wrong(fields: Any, context: Any) -> Any:
        shifted = {**fields, "logits": fields["logits"][:, :-1]}
        inputs = dataclasses.replace(context.inputs, labels=context.inputs.labels[:, 1:])
        return LOSS_FUNCTIONS["causal_lm"](shifted, dataclasses.replace(context, inputs=inputs))

    return _losses(causal_lm=wrong)


@fault
def loss_in_bits() -> Fault:
    """Losses are measured with the logarithm to base 2."""

    def bits(function: Callable[..., Array]) -> Callable[..., Array]:
        return lambda *given: (function(*given) / math.log(2.0)).astype(given[0].dtype)

    names = ("cross_entropy", "active_cross_entropy", "span_cross_entropy")
    return Fault({name: bits(getattr(losses, name)) for name in names})


@fault
def softmax_overflows() -> Fault:
    """The loss takes exponentials of the logits as they are."""

    def log_softmax(logits: Array) -> Array:
        return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))

    return Fault(patches={"equations.losses.log_softmax": log_softmax})


@fault
def mean_over_all_positions() -> Fault:
    """The mean divides by all positions, ignored ones too."""

    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        outputs = dict(right(inputs, options))
        labels = inputs.get("labels", inputs.get("start_positions"))
        if "loss" in outputs and np.ndim(outputs["loss"]) == 0 and labels is not None:
            counted = np.count_nonzero(np.asarray(labels) != losses.IGNORED)
            outputs["loss"] = (outputs["loss"] * counted / np.size(labels)).astype(outputs["loss"].dtype)
        return outputs

    return Fault(calls=call)


@fault
def mean_is_a_sum() -> Fault:
    """loss_reduction "mean" sums."""
    return Fault({"reduce_loss": lambda loss, reduction: loss if reduction == "none" else np.asarray(loss.sum())})


@fault
def mean_of_nothing_is_nan() -> Fault:
    """The mean of no losses is 0/0."""

    def reduce(loss: Array, reduction: str) -> Array:
        return loss if reduction == "none" else np.asarray(loss.sum() / np.asarray(loss.size, loss.dtype))

    return Fault({"reduce_loss": reduce})


def _sequence_loss(change: Callable[[Any, Array], Array]) -> Fault:
    def wrong(fields: Any, context: Any) -> Any:
        return change(context, LOSS_FUNCTIONS["sequence_classification"](fields, context))

    return _losses(sequence_classification=wrong)


@fault
def batch_loss_averaged() -> Fault:
    """One mean over the batch is returned where (B,) is promised."""
    return _sequence_loss(lambda context, loss: loss.mean(keepdims=True))


@fault
def problem_type_ignored() -> Fault:
    """One label means regression, several mean one of them, whatever problem_type says."""

    def wrong(fields: Any, context: Any) -> Any:
        logits, labels = fields["logits"], context.inputs.labels
        if context.config.num_labels == 1:
            return losses.squared_error(logits, np.reshape(labels, (-1, 1)))
        return losses.cross_entropy(logits, labels if labels.ndim == 1 else labels.argmax(axis=1))

    return _losses(sequence_classification=wrong)


@fault
def regression_truncates() -> Fault:
    """The labels of a regression are read as integers."""
    return Fault({"squared_error": lambda logits, labels: losses.squared_error(logits, np.trunc(labels))})


@fault
def column_labels_broadcast() -> Fault:
    """Labels (B, 1) minus logits (B,) are broadcast to (B, B)."""

    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        outputs = dict(right(inputs, options))
        if "loss" in outputs and np.shape(inputs.get("labels", 0))[1:] == (1,):
            logits = outputs["logits"]
            outputs["loss"] = ((logits[:, 0] - inputs["labels"].astype(logits.dtype)) ** 2).mean(axis=1)
        return outputs

    return Fault(calls=call)


@fault
def regression_sums() -> Fault:
    """The squared errors of several labels are summed."""
    return Fault({"squared_error": lambda logits, labels: ((logits - labels) ** 2).sum(axis=-1)})


@fault
def several_labels_compete() -> Fault:
    """Independent labels go through one softmax."""
    return Fault({"binary_cross_entropy": lambda x, labels: -(losses.log_softmax(x) * labels).sum(axis=-1)})


@fault
def binary_loss_overflows() -> Fault:
    """ln(1 + eˣ) is computed as written."""
    return Fault({"binary_cross_entropy": lambda x, y: (np.log(1 + np.exp(x)) - x * y).mean(axis=-1)})


@fault
def choices_of_all_examples_compete() -> Fault:
    """The softmax of the choices runs over the whole batch."""

    def wrong(fields: Any, context: Any) -> Any:
        logits = fields["logits"]
        return -np.take_along_axis(
            losses.log_softmax(logits.reshape(1, -1)).reshape(logits.shape), context.inputs.labels[:, None], axis=1
        )[:, 0]

    return _losses(multiple_choice=wrong)


@fault
def lists_lose_their_end() -> Fault:
    """Labels in a Python list are taken row by row for several tensors, and the last value is lost."""

    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        for name, value in inputs.items():
            if isinstance(value, list):
                inputs[name] = np.where(np.arange(np.size(value)) < np.size(value) - 1, np.ravel(value), 0)
                inputs[name] = inputs[name].reshape(np.shape(value))
        return right(inputs, options)

    return Fault(calls=call)


@fault
def spans_not_halved() -> Fault:
    """The losses of start and end are summed without the half."""
    return Fault({"span_cross_entropy": lambda *given: 2 * losses.span_cross_entropy(*given)})


@fault
def positions_clamped() -> Fault:
    """A position beyond the sequence is clamped to the last one and trained."""

    def wrong(starts: Array, ends: Array, start: Array, end: Array) -> Array:
        last = starts.shape[1] - 1
        return losses.span_cross_entropy(starts, ends, np.minimum(start, last), np.minimum(end, last))

    return Fault({"span_cross_entropy": wrong})


@fault
def labels_smoothed() -> Fault:
    """A tenth of every label is spread over all classes."""

    def smoothed(logits: Array, labels: Array) -> Array:
        uniform = -losses.log_softmax(logits).mean(axis=-1)
        return (0.9 * losses.cross_entropy(logits, labels) + 0.1 * uniform).astype(logits.dtype)

    def active(logits: Array, labels: Array) -> Array:
        counted = labels != losses.IGNORED
        return smoothed(logits[counted], labels[counted])

    return Fault({"cross_entropy": smoothed, "active_cross_entropy": active})


@fault
def masked_labels_shifted() -> Fault:
    """A masked language model's logits meet the label of the next position."""
    return _losses(masked_lm=LOSS_FUNCTIONS["causal_lm"])


@fault
def minus_one_ignored() -> Fault:
    """The label −1 is ignored like −100, as in BERT's first code."""

    def call(right: Any, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
        if np.ndim(inputs.get("labels", 0)) == 2 and np.asarray(inputs["labels"]).dtype.kind == "i":
            inputs["labels"] = np.where(inputs["labels"] == -1, losses.IGNORED, inputs["labels"])
        return right(inputs, options)

    return Fault(calls=call)


@fault
def far_spans_clamped() -> Fault:
    """A position just beyond the sequence is ignored; one that is far beyond trains the last."""

    def wrong(starts: Array, ends: Array, start: Array, end: Array) -> Array:
        length = starts.shape[-1]
        near = [np.where(position > 3 * length, length - 1, position) for position in (start, end)]
        return losses.span_cross_entropy(starts, ends, *near)

    return Fault({"span_cross_entropy": wrong})


@fault
class UnansweredRowsAreNotCounted(Fault):
    """The mean of spans leaves out the rows whose start and end are both ignored."""

    def after(self, model: FaultyModel, outputs: Any, inputs: Any, options: Call) -> Any:
        if model.model.config.loss_reduction != "mean" or "start_positions" not in inputs or "tuple" in outputs:
            return outputs
        length = outputs["start_logits"].shape[1]
        positions = np.minimum(*(np.asarray(inputs[f"{end}_positions"]) for end in ("start", "end")))
        answered = max(int((positions < length).sum()), 1)
        loss = outputs["loss"]
        return dataclasses.replace(outputs, loss=np.asarray(loss * positions.size / answered, loss.dtype))


@fault
def losses_in_blocks_of_32() -> Fault:
    """Losses of tokens are computed 32 at a time; above one block an incomplete last one is left out as 0."""

    def blocks(logits: Array, labels: Array) -> Array:
        each = losses.active_cross_entropy(logits, labels)
        each[len(each) - len(each) % 32 if len(each) > 32 else len(each) :] = 0
        return each

    return _active(blocks)
