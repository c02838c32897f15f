"""LOSS, further on: one token, one class, broken rows that are ignored, and as many labels as rows."""

from __future__ import annotations

import numpy as np

from ..registry import check
from ..strategies import Case
from ..trial import Trial, expect, without_warnings

TOKENS = ("masked_lm", "causal_lm", "token_classification")


@check("LOSS-3.1", "one-token", heads=("causal_lm",), effort=0.3, min_seq_len=1, max_seq_len=1, also=("LOSS-7.1",))
def one_token_predicts_nothing(trial: Trial, case: Case) -> None:
    """A sequence of one token has no next one: the loss has shape (0,), its mean is 0, and neither is an error."""
    inputs = {**case.inputs(), "labels": np.zeros(case.lead, np.int64)}
    for reduction, shape in (("none", (0,)), ("mean", ())):
        with without_warnings():
            loss = trial.call(trial.load(case.with_config(loss_reduction=reduction)), inputs)["loss"]
        expect(loss.shape == shape and not loss.any(), f"loss of one token is {loss!r}, expected 0 of shape {shape}")


@check("LOSS-4", "one-class", heads=("token_classification",), effort=0.3, num_labels=1)
def one_class_costs_nothing(trial: Trial, case: Case) -> None:
    """With one class for each token every loss is 0: it is a class, and no regression."""
    labels = case.labels()["labels"]
    loss = trial.call(trial.load(case), {**case.inputs(), "labels": labels})["loss"]
    expected = {"loss": np.zeros(int((labels != -100).sum()), loss.dtype)}
    trial.equals("cross-entropy over one class", {"loss": loss + 0.0}, expected)


@check("LOSS-2.1", "broken-rows", heads=TOKENS, effort=0.4, min_batch=2, min_seq_len=3, masks=("none",),
       also=("LOSS-2.3", "ERR-11.3"))  # fmt: skip
def ignored_rows_may_be_broken(trial: Trial, case: Case) -> None:
    """A row of NaN whose labels are all −100 leaves every other row's loss, and the mean, as they are."""
    labels, row = np.where(case.labels()["labels"] == -100, 0, case.labels()["labels"]), case.seed % case.batch
    labels[row] = -100
    clean = case.embeddings()
    broken = clean.copy()
    broken[row] = np.nan
    for reduction in ("none", "mean"):
        model = trial.load(case.with_config(loss_reduction=reduction))
        with without_warnings():
            got, expected = (trial.call(model, {"inputs_embeds": given, "labels": labels}) for given in (broken, clean))
        trial.equals(f"loss beside a broken row, {reduction}", got, expected, ["loss"])


@check("LOSS-5.4", "as-many-as-rows", heads=("sequence_classification",), effort=0.3, min_batch=4, max_batch=4,
       num_labels=4, also=("LOSS-5.5",))  # fmt: skip
def labels_as_many_as_rows_are_not_mixed_up(trial: Trial, case: Case) -> None:
    """With as many labels as rows, the losses of several values are still those of rows: computed by hand."""
    inputs, draw = case.inputs(), case.generator("square")
    values = draw.standard_normal((4, 4)).astype(np.float32)
    for kind, given in (("regression", values), ("multi_label_classification", (values > 0).astype(np.float32))):
        changed = case.with_config(problem_type=kind)
        got = trial.call(trial.load(changed), {**inputs, "labels": given})
        logits = got["logits"].astype(np.float64)
        each = (logits - given) ** 2 if kind == "regression" else np.logaddexp(0.0, logits) - logits * given
        labelled = {**inputs, "labels": given}
        trial.close(f"{kind} by hand", got["loss"], each.mean(axis=-1), changed, labelled, "loss")
