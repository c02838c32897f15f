"""TRAIN-2.6, case by case: slopes through every activation, every kind of label, every summary, and cross-attention.

Each gradient is held against the oracle's along one direction; where the two differ by more than the rounding of a
single number, differences of the implementation's own loss decide, which know nothing of the oracle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..budget import judge
from ..gradients import gradients, slope
from ..oracle import Oracle
from ..protocol import Array
from ..registry import check
from ..strategies import HIDDEN_ACTS, Case
from ..trial import Trial, expect

NEEDS = ("gradients",)
SMALL: Mapping[str, Any] = {
    "effort": 0.2, "hidden_size": 12, "num_attention_heads": 2, "num_hidden_layers": 1, "min_seq_len": 3,
    "max_seq_len": 5,
}  # fmt: skip
CLASSIFIER = ("sequence_classification",)


@check("TRAIN-2.6", "every-activation", heads=CLASSIFIER, needs=NEEDS, also=("CFG-2.1",), **SMALL)
def every_activation_is_differentiated(trial: Trial, case: Case) -> None:
    """With each of the twelve activations, in feed-forward and head, the loss moves as the gradient says."""
    for name in HIDDEN_ACTS:
        _expect_slope(trial, case.with_config(hidden_act=name), case.labels(), f"hidden_act {name!r}")


@check("TRAIN-2.6", "problem-types", heads=CLASSIFIER, needs=NEEDS, also=("LOSS-5.1", "LOSS-5.4", "LOSS-5.5"), **SMALL)
def every_kind_of_label_is_differentiated(trial: Trial, case: Case) -> None:
    """Regressions of one value and of several, and independent labels, move as their gradients say."""
    several = case.config["num_labels"]
    for kind, count in (("regression", 1), ("regression", several), ("multi_label_classification", several)):
        values = case.generator("values").standard_normal((case.batch, count)).astype(np.float32)
        labels = values if kind == "regression" else (values > 0).astype(np.float32)
        changed = case.with_config(problem_type=kind, num_labels=count)
        _expect_slope(trial, changed, {"labels": labels}, f"{kind} of {count}")


@check("TRAIN-2.6", "summaries", heads=("multiple_choice",), needs=NEEDS, also=("HEAD-5.2", "HEAD-5.3"), **SMALL)
def every_summary_is_differentiated(trial: Trial, case: Case) -> None:
    """Choices that are read at the first state, or as the mean of all, move as their gradients say."""
    for summary in ("first", "mean"):
        _expect_slope(trial, case.with_config(summary_type=summary), case.labels(), f"summary_type {summary!r}")


@check(
    "TRAIN-2.6", "spans-beyond", heads=("question_answering",), needs=NEEDS, also=("LOSS-6.3",), min_batch=3, **SMALL
)
def positions_beyond_the_sequence_pull_nothing(trial: Trial, case: Case) -> None:
    """Where one end of a span, or both, lie beyond the sequence, the loss moves as the gradient says."""
    labels = {name: array.copy() for name, array in case.labels().items()}
    labels["start_positions"][:2] = case.seq_len
    labels["end_positions"][1:] = case.seq_len + 7
    _expect_slope(trial, case, labels, "ends beyond the sequence")


@check("TRAIN-2.6", "one-word-again", heads=("masked_lm",), needs=NEEDS, also=("TRAIN-2.5",), min_batch=2, **SMALL)
def every_place_of_a_word_counts(trial: Trial, case: Case) -> None:
    """A batch of one word alone, that of the pad token, moves the loss by the sum over all of its places."""
    zeros = {name: np.zeros_like(array) for name, array in case.inputs().items() if name != "attention_mask"}
    _expect_slope(trial, case, {**zeros, "labels": np.zeros(case.lead, np.int64)}, "id 0 everywhere")


@check("TRAIN-2.6", "cross-attention", heads=("causal_lm",), needs=(*NEEDS, "cross_attention"), also=("DEC-5.1",),
       is_decoder=True, add_cross_attention=True, **SMALL)  # fmt: skip
def cross_attention_is_differentiated(trial: Trial, case: Case) -> None:
    """With states of an encoder the loss moves as the gradient says, weights of cross-attention among what moves."""
    given = {"encoder_hidden_states": case.encoder_states(), "labels": np.zeros(case.lead, np.int64)}
    _expect_slope(trial, case, given, "with cross-attention")


def _expect_slope(trial: Trial, case: Case, given: Mapping[str, Array], what: str) -> None:
    inputs, draw = {**case.inputs(), **given}, case.generator("direction")
    along = {
        name: draw.standard_normal(array.shape) * float(np.sqrt(np.mean(array**2) / array.size))
        for name, array in trial.weights(case).items()
    }
    got = gradients(trial, trial.load(case), inputs)
    exact = Oracle(case.head, case.config, trial.weights(case)).gradients(inputs, {})
    if judge("slope", _along(got, along), _along(exact, along), [], trial.dtype, None, trial.k).passed:
        return  # as near to the oracle as rounding the slope itself: no need to spend calls on differences
    change, uncertain, moved = slope(trial, case, inputs, along)
    said = float(_along(got, moved)[0])
    where = f"{what}: the loss changes by {change:.6g} ± {uncertain:.2g} along a direction"
    expect(abs(said - change) <= uncertain, f"{where}, the gradient says {said:.6g}")


def _along(slopes: Mapping[str, Array], way: Mapping[str, Array]) -> Array:
    """The product of gradients and a way that all weights go, one number."""
    return np.array([sum(float((slopes[name].astype(np.float64) * step).sum()) for name, step in way.items())])
