"""Nothing to see, nothing to compute, numbers without end: where programs divide by what is not there."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..formulas import edited, negative_log_likelihood
from ..precision import is_half
from ..protocol import Array, Outputs
from ..registry import LOSS_HEADS, check
from ..strategies import Case
from ..trial import TRACES, Trial, expect, without_warnings
from .losses import IGNORED, LAST_LAYERS


@check("MASK-6.1", "all-rows-blind", masks=("blind_row",), effort=0.5, profiles=("strong", "high_score"),
       add_pooling_layer=False, also=("MASK-6.3",))  # fmt: skip
def a_mask_of_nothing_but_zeros_is_a_mask(trial: Trial, case: Case) -> None:
    """A mask that hides everything in every row, of one row or of several, is no absent mask: weights are uniform."""
    model = trial.load(case)
    for rows in {1, case.batch}:
        inputs = {name: array[:rows] for name, array in case.inputs().items()}
        inputs["attention_mask"] = np.zeros_like(inputs["attention_mask"])
        trial.agrees(case, inputs, trial.call(model, inputs, **TRACES), TRACES, rows=np.ones(_rows(inputs), bool))


@check("LOSS-1.1", "large-losses", heads=LOSS_HEADS, effort=0.4, min_seq_len=3, masks=("none", "right"),
       also=("LOSS-3.1", "LOSS-4", "LOSS-5.2", "LOSS-6.1", "LOSS-6.2"))  # fmt: skip
def large_losses_are_not_cut(trial: Trial, case: Case) -> None:
    """Logits in the hundreds give losses in the hundreds, by hand: no probability is cut, smoothed or rounded to 0."""
    grown = 16.0 if is_half(trial.dtype) else 256.0  # there nothing may come near 65504
    weights = edited(trial.weights(case), {LAST_LAYERS: lambda array: grown * array})
    inputs = {**case.inputs(), **case.labels()}
    got = trial.call(trial.load(case, weights), inputs)
    expected = _losses(case, got)
    expect(
        got["loss"].shape == expected.shape, f"loss has shape {got['loss'].shape}, expected one each: {expected.shape}"
    )
    # a small loss is what two numbers in the hundreds leave: who honestly subtracts them may have its first digit wrong
    large = ~(expected < 1.0)
    trial.close(
        "by hand", got["loss"][large], expected[large], case, inputs, "loss", lambda loss: loss[large], weights=weights
    )


@check("LOSS-5.4", "large-errors", heads=("sequence_classification",), effort=0.4, problem_type="regression",
       also=("LOSS-5.1",))  # fmt: skip
def large_errors_are_squared(trial: Trial, case: Case) -> None:
    """Labels in the thousands, of one regression or of several, cost the mean of their squared errors, by hand."""
    size = 40.0 if is_half(trial.dtype) else 1000.0  # half precision holds no more than 65504
    labels = size * case.generator("far").standard_normal((case.batch, case.config["num_labels"]))
    for count in (1, case.config["num_labels"]):
        changed = case.with_config(num_labels=count)
        inputs = {**case.inputs(), "labels": labels[:, :count].astype(np.float32)}
        got = trial.call(trial.load(changed), inputs)
        errors = got["logits"].astype(np.float64) - inputs["labels"]
        trial.close(f"{count} by hand", got["loss"], (errors**2).mean(axis=1), changed, inputs, "loss")


@check("ERR-11.2", "no-rows-with-labels", heads=LOSS_HEADS, effort=0.3, masks=("none", "right"), also=("OUT-1.7",))
def an_empty_batch_has_no_losses(trial: Trial, case: Case) -> None:
    """Labels of a batch of no rows give a loss of shape (0,), and a mean of 0."""
    empty = dataclasses.replace(case, batch=0)
    inputs = {**empty.inputs(), **empty.labels()}
    for reduction, shape in (("none", (0,)), ("mean", ())):
        with without_warnings():
            got = trial.call(trial.load(case.with_config(loss_reduction=reduction)), inputs)
        expect("loss" in got, f"loss is missing for an empty batch with labels, loss_reduction {reduction!r}")
        loss = got["loss"]
        expect(loss.shape == shape, f"loss of an empty batch has shape {loss.shape}, expected {shape}")
        expect(not loss.any(), f"loss of an empty batch is {loss!r}, expected 0 for loss_reduction {reduction!r}")


@check("ERR-11.3", "infinity", effort=0.4, masks=("none", "right"), min_batch=2, also=("NUM-1.3",))
def infinity_is_not_clipped(trial: Trial, case: Case) -> None:
    """Infinity in one row of inputs_embeds makes this row's outputs NaN and leaves every other row as it is."""
    clean, model, row = case.embeddings(), trial.load(case), case.seed % case.batch
    for value in (np.inf, -np.inf):
        broken = clean.copy()
        broken[row, 0, 0] = value
        with without_warnings():
            got, expected = (trial.call(model, {"inputs_embeds": given}, **TRACES) for given in (broken, clean))
        others = np.arange(case.batch) != row
        first: Array = got["hidden_states.0"]
        trial.equals(f"{value} in row {row}", _of(got, others), _of(expected, others))
        expect(
            bool(np.isnan(first[row, 0]).all()), f"hidden_states.0[{row}, 0] is finite where inputs_embeds is {value}"
        )


def _losses(case: Case, got: Outputs) -> Array:
    """The losses of a call with the case's labels, by hand from its logits."""
    labels = case.labels()
    if case.head == "question_answering":
        both = [negative_log_likelihood(got[f"{end}_logits"], labels[f"{end}_positions"]) for end in ("start", "end")]
        return (both[0] + both[1]) / 2
    logits, wanted = got["logits"], labels["labels"]
    if case.head == "causal_lm":
        logits, wanted = logits[:, :-1], wanted[:, 1:]
    active = wanted != IGNORED
    return negative_log_likelihood(logits[active], wanted[active])


def _rows(inputs: dict[str, Array]) -> tuple[int, ...]:
    return inputs["attention_mask"].shape


def _of(outputs: dict[str, Array], rows: Array) -> dict[str, Array]:
    return {tap: array[rows] for tap, array in outputs.items()}
