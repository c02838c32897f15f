"""TRAIN-2.1, case by case: gradients through every activation, every kind of label, every summary, cross-attention.

They are held against the oracle's along one direction, one number for each weight. Where these differ by more than the
rounding of a number, which sums of many terms may, each gradient is judged by its own budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..budget import judge
from ..formulas import Weights, edited
from ..gradients import agree, expect_complete, gradients, smooth
from ..oracle import Oracle
from ..precision import is_half, rounded
from ..protocol import Array, Outputs, Unsupported
from ..registry import check
from ..strategies import ANY_ACTIVATION, Case
from ..trial import Trial, Violation

NEEDS = ("gradients",)
SMALL: Mapping[str, Any] = {
    "effort": 0.1, "hidden_size": 12, "num_attention_heads": 2, "num_hidden_layers": 1, "min_seq_len": 3,
    "max_seq_len": 5, "masks": ("none",),
}  # fmt: skip
CLASSIFIER = ("sequence_classification",)


@check("TRAIN-2.1", "every-activation", heads=CLASSIFIER, needs=NEEDS, also=("CFG-2.1",), **SMALL)
def every_activation_is_differentiated(trial: Trial, case: Case) -> None:
    """With each of the activations, in feed-forward and head, the gradients are the oracle's."""
    for name in ANY_ACTIVATION.values:  # selu, which every published implementation lacks, is asked for apart
        one = smooth(case.with_config(hidden_act=name), trial.dtype)
        _expect_slopes(trial, one, case.labels(), f"hidden_act {one.config['hidden_act']!r}")


@check("TRAIN-2.1", "selu", heads=CLASSIFIER, needs=NEEDS, also=("CFG-2.2",), hidden_act="selu", **SMALL)
def selu_is_differentiated(trial: Trial, case: Case) -> None:
    """With selu, in feed-forward and head, the gradients are the oracle's."""
    if is_half(trial.dtype):
        raise Unsupported("a type with digits enough to tell on which side of 0 a unit lies")
    _expect_slopes(trial, case, case.labels(), "hidden_act 'selu'")


@check("TRAIN-2.1", "problem-types", heads=CLASSIFIER, needs=NEEDS, also=("LOSS-5.1", "LOSS-5.4", "LOSS-5.5"), **SMALL)
def every_kind_of_label_is_differentiated(trial: Trial, case: Case) -> None:
    """Regressions of one value and of several, and independent labels, have the oracle's gradients."""
    several = case.config["num_labels"]
    for kind, count in (("regression", 1), ("regression", several), ("multi_label_classification", several)):
        values = case.generator("values").standard_normal((case.batch, count)).astype(np.float32)
        labels = values if kind == "regression" else (values > 0).astype(np.float32)
        changed = case.with_config(problem_type=kind, num_labels=count)
        _expect_slopes(trial, changed, {"labels": labels}, f"{kind} of {count}")


@check("TRAIN-2.1", "summaries", heads=("multiple_choice",), needs=NEEDS, also=("HEAD-5.2", "HEAD-5.3"), **SMALL)
def every_summary_is_differentiated(trial: Trial, case: Case) -> None:
    """Choices that are read at the first state, or as the mean of all, have the oracle's gradients."""
    for summary in ("first", "mean"):
        _expect_slopes(trial, case.with_config(summary_type=summary), case.labels(), f"summary_type {summary!r}")


@check(
    "TRAIN-2.1", "spans-beyond", heads=("question_answering",), needs=NEEDS, also=("LOSS-6.3",), min_batch=3, **SMALL
)
def positions_beyond_the_sequence_pull_nothing(trial: Trial, case: Case) -> None:
    """Where one end of a span, or both, lie beyond the sequence, the gradients are the oracle's."""
    labels = {name: array.copy() for name, array in case.labels().items()}
    labels["start_positions"][:2] = case.seq_len
    labels["end_positions"][1:] = case.seq_len + 7
    _expect_slopes(trial, case, labels, "ends beyond the sequence")


@check("TRAIN-2.1", "one-word-again", heads=("masked_lm",), needs=NEEDS, also=("TRAIN-2.5",), min_batch=2, **SMALL)
def every_place_of_a_word_counts(trial: Trial, case: Case) -> None:
    """A batch of one word and one token type alone has the gradient of all of its places."""
    ones = {name: np.ones_like(array) for name, array in case.inputs().items()}
    _expect_slopes(trial, case, {**ones, "labels": np.zeros(case.lead, np.int64)}, "id 1 everywhere")


@check("TRAIN-2.1", "cross-attention", heads=("causal_lm",), needs=(*NEEDS, "cross_attention"), also=("DEC-5.1",),
       is_decoder=True, add_cross_attention=True, **SMALL)  # fmt: skip
def cross_attention_is_differentiated(trial: Trial, case: Case) -> None:
    """With states of an encoder the gradients are the oracle's, those of cross-attention among them."""
    given = {"encoder_hidden_states": case.encoder_states(), "labels": np.zeros(case.lead, np.int64)}
    _expect_slopes(trial, case, given, "with cross-attention")


@check("TRAIN-2.1", "eps", heads=("masked_lm",), needs=NEEDS, also=("FFN-4.4",), layer_norm_eps=0.25, **SMALL)
def eps_is_differentiated_where_it_counts(trial: Trial, case: Case) -> None:
    """With layer_norm_eps 0.25 every LayerNorm, that of the head too, has the oracle's gradients."""
    _expect_slopes(trial, case, case.labels(), "layer_norm_eps 0.25")


@check("TRAIN-2.1", "large-and-small", heads=CLASSIFIER, needs=NEEDS, also=("LOSS-5.4",), problem_type="regression",
       **SMALL)  # fmt: skip
def gradients_are_neither_clipped_nor_lost(trial: Trial, case: Case) -> None:
    """Errors near 10000 have gradients in the thousands, a last kernel near 1e-9 has such as small: the oracle's."""
    large, small = (40.0, 1e-3) if is_half(trial.dtype) else (1e4, 1e-9)  # half precision holds no 1e8
    labels = case.generator("values").standard_normal((case.batch, case.config["num_labels"])).astype(np.float32)
    _expect_slopes(trial, case, {"labels": np.float32(large) * labels}, f"labels near {large:g}")
    faint = {r"^classifier\.out_proj\.weight$": lambda kernel: rounded(small * kernel, trial.dtype)}
    weights = edited(trial.weights(case), faint)
    _expect_slopes(trial, case, {"labels": labels}, f"a last kernel near {small:g}", weights)


def _expect_slopes(
    trial: Trial, case: Case, given: Mapping[str, Array], what: str, weights: Weights | None = None
) -> None:
    weights = trial.weights(case) if weights is None else weights
    inputs, draw = {**case.inputs(), **given}, case.generator("direction")
    inputs["input_ids"] = np.maximum(inputs["input_ids"], 1)  # the row of padding has claims of its own (TRAIN-2.3)
    along = {
        name: draw.standard_normal(array.shape) * float(np.sqrt(np.mean(array**2) / array.size))
        for name, array in weights.items()
    }
    got = gradients(trial, trial.load(case, weights), inputs)
    expect_complete(case, inputs, got)
    exact = Oracle(case.head, case.config, weights).gradients(inputs, {})
    if not judge("slope", _along(got, along), _along(exact, along), [], trial.dtype, None, trial.k).passed:
        _expect_agreement(trial, case, inputs, got, what, weights)


def _expect_agreement(
    trial: Trial, case: Case, inputs: Mapping[str, Any], got: Outputs, what: str, weights: Weights
) -> None:
    """Each gradient lies within the budget of the oracle's, which takes its honest runs."""
    try:
        agree(trial, case, inputs, got, weights=weights)
    except Violation as violation:
        raise Violation(f"{what}: {violation}", violation.grade) from violation


def _along(slopes: Mapping[str, Array], way: Mapping[str, Array]) -> Array:
    """For each weight the product of its gradient and the way it goes: how much of the slope is its share."""
    return np.array([(slopes[name].astype(np.float64) * step).sum() for name, step in way.items()])
