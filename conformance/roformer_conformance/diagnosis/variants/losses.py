"""Losses, as they are done wrong: worked out by hand from the right logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ...formulas import negative_log_likelihood
from ...protocol import Array, Outputs
from ..calls import Call
from .making import Variant

Edited = dict[str, Array]
IGNORED = -100


def _given(call: Call) -> Array:
    labels: Any = call.inputs.get("labels", call.inputs.get("start_positions"))
    return np.asarray(labels)


def _counted(call: Call) -> int:
    return int(np.count_nonzero(_given(call) != IGNORED))


def _reduced(each: Array, like: Array) -> Array:
    """As many losses as the right model returns: each, or their mean, which is 0 for none."""
    return each if np.ndim(like) else np.asarray(each.sum() / max(each.size, 1))


def _loss(change: Callable[[Array, Call], Array]) -> Callable[[Outputs, Call], Edited]:
    """What becomes of the right loss."""
    return lambda outputs, call: {"loss": np.asarray(change(outputs["loss"], call))}


def _by_rows(formula: Callable[[Array, Array], Array]) -> Callable[[Outputs, Call], Edited]:
    """formula(logits, labels) in place of the loss of each row."""
    return lambda outputs, call: {"loss": _reduced(formula(outputs["logits"], _given(call)), outputs["loss"])}


def _squared(change: Callable[[Array], Array], reduce: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    return lambda logits, labels: reduce((logits - change(labels.reshape(logits.shape))) ** 2)


def _by_tokens(
    formula: Callable[[Array, Array, Call], Array], shift: int | None = None
) -> Callable[[Outputs, Call], Edited]:
    """formula(logits, labels, call) in place of the losses of single tokens; labels `shift` places further on."""

    def outputs(outputs: Outputs, call: Call) -> Edited:
        ahead = int(call.head == "causal_lm") if shift is None else shift
        labels = _given(call)[:, ahead:]
        return {"loss": _reduced(formula(outputs["logits"][:, : labels.shape[1]], labels, call), outputs["loss"])}

    return outputs


def _active(logits: Array, labels: Array, call: Call) -> Array:
    counts = labels != IGNORED
    return negative_log_likelihood(logits[counts], labels[counts])


def _relabelled(change: Callable[[Array, Call], Array]) -> Callable[[Outputs, Call], Edited]:
    """Other labels in place of the given ones."""
    return lambda outputs, call: _by_tokens(_active)(
        outputs, replace(call, inputs={**call.inputs, "labels": change(_given(call), call)})
    )


def _kept_at_ignored(logits: Array, labels: Array, call: Call) -> Array:
    return (negative_log_likelihood(logits, np.maximum(labels, 0)) * (labels != IGNORED)).ravel()


def _smoothed(logits: Array, labels: Array, call: Call) -> Array:
    classes = range(logits.shape[-1])
    every = np.stack([_active(logits, np.where(labels == IGNORED, labels, label), call) for label in classes])
    return 0.9 * _active(logits, labels, call) + 0.1 * every.mean(axis=0)


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def _of_all_choices(logits: Array, labels: Array) -> Array:
    logs = _log_softmax(logits.reshape(1, -1)).reshape(logits.shape)
    return -np.take_along_axis(logs, labels.reshape(-1, 1), axis=1)[:, 0]


def _by_number_of_labels(logits: Array, labels: Array) -> Array:
    """problem_type guessed: one label is a regression, several are one of them."""
    if logits.shape[-1] == 1:
        return np.asarray((logits[:, 0] - labels.reshape(-1)) ** 2)
    return negative_log_likelihood(logits, labels if labels.ndim == 1 else labels.argmax(axis=1))


VARIANTS = (
    Variant("losses with the logarithm to base 2 (LOSS-1.1)", outputs=_loss(lambda loss, call: loss / np.log(2.0))),
    Variant(
        "losses averaged where one each is promised (LOSS-1.1)",
        outputs=_loss(lambda loss, call: loss.mean(keepdims=True)),
    ),
    Variant("a loss twice as large (LOSS-6.2)", outputs=_loss(lambda loss, call: 2.0 * loss)),
    Variant(
        "a mean over ignored labels too (LOSS-1.3)",
        outputs=_loss(lambda loss, call: loss * _counted(call) / _given(call).size),
    ),
    Variant("a sum in place of the mean (LOSS-1.3)", outputs=_loss(lambda loss, call: loss * _counted(call))),
    Variant(
        "the mean of no losses is NaN (LOSS-7.1)",
        outputs=_loss(lambda loss, call: np.where(_counted(call) > 0, loss, np.nan)),
    ),
    Variant("labels that are not shifted (LOSS-3.1)", outputs=_by_tokens(_active, 0)),
    Variant("labels shifted where they should not be (LOSS-1.1)", outputs=_by_tokens(_active, 1)),
    Variant("labels shifted twice (LOSS-3.1)", outputs=_by_tokens(_active, 2)),
    Variant(
        "the label −100 taken for class 0 (LOSS-2.1)", outputs=_relabelled(lambda labels, call: np.maximum(labels, 0))
    ),
    Variant("ignored labels kept as losses of 0 (LOSS-2.3)", outputs=_by_tokens(_kept_at_ignored)),
    Variant(
        "label 0 ignored (LOSS-2.4)",
        outputs=_relabelled(lambda labels, call: np.where(labels > 0, labels, IGNORED)),
    ),
    Variant(
        "the label of the pad token ignored (LOSS-2.4)",
        outputs=_relabelled(lambda labels, call: np.where(labels == call.config["pad_token_id"], IGNORED, labels)),
    ),
    Variant(
        "attention_mask decides which labels count (LOSS-1.1)",
        outputs=_relabelled(
            lambda labels, call: np.where(np.asarray(call.inputs["attention_mask"]) > 0, labels, IGNORED)
        ),
    ),
    Variant(
        "losses column by column (LOSS-1.1)",
        outputs=_by_tokens(lambda logits, labels, call: _active(logits.swapaxes(0, 1), labels.T, call)),
    ),
    Variant("smoothed labels (LOSS-1.1)", outputs=_by_tokens(_smoothed)),
    Variant(
        "several labels through one softmax (LOSS-5.5)",
        outputs=_by_rows(lambda logits, labels: -(_log_softmax(logits) * labels).sum(-1)),
    ),
    Variant(
        "squared errors summed in place of averaged (LOSS-5.4)",
        outputs=_by_rows(_squared(lambda labels: labels, lambda squares: squares.sum(-1))),
    ),
    Variant(
        "labels of a regression read as integers (LOSS-5.1)",
        outputs=_by_rows(_squared(np.trunc, lambda squares: squares.mean(-1))),
    ),
    Variant(
        "labels (B, 1) broadcast against logits (B,) (LOSS-5.1)",
        outputs=_by_rows(lambda logits, labels: ((logits[:, 0] - labels.reshape(-1, 1)) ** 2).mean(axis=1)),
    ),
    Variant("problem_type ignored: the number of labels decides (LOSS-5.3)", outputs=_by_rows(_by_number_of_labels)),
    Variant("choices of all examples in one softmax (LOSS-6.1)", outputs=_by_rows(_of_all_choices)),
)
