"""Nothing to see, nothing to compute, numbers without end: where programs divide by what is not there."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..protocol import Array
from ..registry import LOSS_HEADS, check
from ..strategies import Case
from ..trial import TRACES, Trial, expect, without_warnings


@check("MASK-6.1", "all-rows-blind", masks=("blind_row",), effort=0.5, profiles=("strong", "high_score"),
       add_pooling_layer=False, also=("MASK-6.3",))  # fmt: skip
def a_mask_of_nothing_but_zeros_is_a_mask(trial: Trial, case: Case) -> None:
    """A mask that hides everything in every row, of one row or of several, is no absent mask: weights are uniform."""
    model = trial.load(case)
    for rows in {1, case.batch}:
        inputs = {name: array[:rows] for name, array in case.inputs().items()}
        inputs["attention_mask"] = np.zeros_like(inputs["attention_mask"])
        trial.agrees(case, inputs, trial.call(model, inputs, **TRACES), TRACES, rows=np.ones(_rows(inputs), bool))


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


def _rows(inputs: dict[str, Array]) -> tuple[int, ...]:
    return inputs["attention_mask"].shape


def _of(outputs: dict[str, Array], rows: Array) -> dict[str, Array]:
    return {tap: array[rows] for tap, array in outputs.items()}
