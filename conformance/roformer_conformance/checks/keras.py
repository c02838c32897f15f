"""The Keras loop: fit, evaluate and predict on the loss that a model computes itself (IN-8.2, TRAIN-3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..protocol import Array, Outputs, flatten
from ..registry import LOSS_HEADS, check
from ..strategies import Case
from ..trial import Trial, expect

# No dropout, so that a training step computes what a call computes; rows enough for two batches.
SOBER: Mapping[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
STEP = "sgd"

# A head for each kind of labels: one for each token, one for each row, two for each row.
FORMED = ("masked_lm", "sequence_classification", "question_answering")


@check("IN-8.2", "fit-loss", heads=LOSS_HEADS, needs=("keras",), effort=0.1, min_batch=2, min_seq_len=3, **SOBER)
def fit_trains_on_the_loss_of_a_call(trial: Trial, case: Case) -> None:
    """The loss that fit reports for one step is the mean of the losses that a call with the same labels returns."""
    model: Any = trial.load(case)
    inputs, labels = case.inputs(), _labels(case)
    expected = _mean_loss(trial, model, {**inputs, **labels})
    loop = model.keras_model
    loop.compile(optimizer=STEP)
    history = loop.fit({**inputs, **labels}, batch_size=case.batch, epochs=1, shuffle=False, verbose=0)
    _same_loss(trial, case, "the loss of fit", history.history["loss"][0], expected, {**inputs, **labels})


@check("TRAIN-3.1", "forms", heads=FORMED, needs=("keras",), effort=0.1, min_batch=2, min_seq_len=3, **SOBER)
def the_loop_takes_every_form(trial: Trial, case: Case) -> None:
    """evaluate gives one loss for labels in the dict, for a pair of inputs and labels, and for a dataset of either."""
    model, adapter = _prepared(trial, case, jit_compile=False), _adapter(trial)
    inputs, labels = case.inputs(), _labels(case)
    expected = _mean_loss(trial, model, {**inputs, **labels})
    forms = {
        "a dict with labels": ({**inputs, **labels},),
        "a pair": (inputs, labels),
        "a dataset of dicts": (adapter.dataset({**inputs, **labels}, case.batch),),
        "a dataset of pairs": (adapter.dataset((inputs, labels), case.batch),),
    }
    for form, given in forms.items():
        batch = {"batch_size": case.batch} if isinstance(given[0], dict) else {}
        got = model.keras_model.evaluate(*given, verbose=0, **batch)
        _same_loss(trial, case, f"the loss of evaluate on {form}", got, expected, {**inputs, **labels})


@check("TRAIN-3.1", "fit-lowers-the-loss", heads=LOSS_HEADS, needs=("keras",), effort=0.1, min_batch=2, **SOBER)
def fit_lowers_the_loss(trial: Trial, case: Case) -> None:
    """Some steps of fit lower the loss, and a call then uses the new weights."""
    _learns(trial, case, jit_compile=False)


@check("TRAIN-3.1", "predict", heads="all", needs=("keras",), effort=0.1, min_batch=2, min_seq_len=3)
def predict_gives_what_calls_give(trial: Trial, case: Case) -> None:
    """predict in batches gives what one call gives, up to rounding, also for the model without a loss."""
    _predicts(trial, case, jit_compile=False)


@check("TRAIN-3.2", "predict", needs=("keras",), effort=0.1, min_batch=2, min_seq_len=3)
def predict_works_compiled(trial: Trial, case: Case) -> None:
    """Compiled by XLA, predict gives what one call gives, up to rounding."""
    _predicts(trial, case, jit_compile=True)


@check("TRAIN-3.2", "fit-lowers-the-loss", heads=LOSS_HEADS, needs=("keras",), effort=0.1, min_batch=2, **SOBER)
def fit_works_compiled(trial: Trial, case: Case) -> None:
    """Compiled by XLA, some steps of fit lower the loss, and a call then uses the new weights."""
    _learns(trial, case, jit_compile=True)


def _adapter(trial: Trial) -> Any:
    return trial.adapter


def _prepared(trial: Trial, case: Case, *, jit_compile: bool) -> Any:
    model: Any = trial.load(case)
    model.keras_model.compile(optimizer=STEP, jit_compile=jit_compile)
    return model


def _learns(trial: Trial, case: Case, *, jit_compile: bool) -> None:
    model, given = _prepared(trial, case, jit_compile=jit_compile), {**case.inputs(), **_labels(case)}
    before = _mean_loss(trial, model, given)
    model.keras_model.fit(given, batch_size=case.batch, epochs=4, verbose=0)
    after = _mean_loss(trial, model, given)
    expect(bool(after < before), f"loss is {after:.6g} after four steps of fit, expected less than {before:.6g}")


def _predicts(trial: Trial, case: Case, *, jit_compile: bool) -> None:
    model, inputs = _prepared(trial, case, jit_compile=jit_compile), case.inputs()
    # a cache is for whoever goes on from it, and no prediction
    expected = {tap: array for tap, array in trial.call(model, inputs).items() if not tap.startswith("past_key_values")}
    got: Outputs = flatten(model.keras_model.predict(inputs, batch_size=case.batch - 1, verbose=0))
    expect(got.keys() == expected.keys(), f"predict gives {', '.join(got)}, expected {', '.join(expected)}")
    trial.match("predict", got, expected, case, inputs)


def _labels(case: Case) -> dict[str, Array]:
    """The case's labels, at least one of them no −100 in every row, so that every batch has a loss."""
    labels = case.labels()
    for array in labels.values():
        if array.ndim > 1:
            array[..., 1:2] = np.abs(array[..., 1:2]) % 2
    return labels


def _mean_loss(trial: Trial, model: Any, given: Mapping[str, Any]) -> float:
    return float(trial.call(model, given)["loss"].mean())


def _same_loss(trial: Trial, case: Case, what: str, got: float, expected: float, given: Mapping[str, Any]) -> None:
    """Equal but for rounding to single precision, which is what a Keras history keeps of any loss."""
    single = dataclasses.replace(trial, dtype="float32", drawn={})
    reported, mean = (np.asarray(number, np.float32) for number in (got, expected))
    single.close(what, reported, mean, case, given, "loss", lambda array: np.asarray(array.mean()))
