"""The shapes of losses, and what counts in them."""

from __future__ import annotations

import numpy as np

from ...protocol import Array, is_unsupported
from ...strategies import Case
from ...trial import Trial
from ..seeing import OTHER, probe, same


@probe("LOSS-1.2", head="masked_lm", answers=("(n,)", "(1,), the mean", "(), the mean", OTHER))
def shape_of_a_loss(trial: Trial, case: Case) -> str:
    """The loss of all tokens but one a row."""
    labels = case.inputs()["input_ids"].copy()
    labels[:, 0] = -100
    shape = trial.call(trial.load(case), {**case.inputs(), "labels": labels})["loss"].shape
    return {((labels >= 0).sum(),): "(n,)", (1,): "(1,), the mean", (): "(), the mean"}.get(shape, OTHER)


HALVED, IGNORED = "the term is 0, the row is divided by 2", "ignored"


@probe("LOSS-6.3", head="question_answering", answers=(HALVED, IGNORED, "an error", OTHER))
def a_span_beyond_the_sequence(trial: Trial, case: Case) -> str:
    """A start position behind the last token: an error, a half of the row's loss, or a row that nobody counts."""
    starts, ends = np.zeros(case.batch, np.int64), np.ones(case.batch, np.int64)
    starts[0] = case.seq_len + 3
    inputs = {**case.inputs(), "start_positions": starts, "end_positions": ends}
    try:
        got = trial.call(trial.load(case), inputs)
    except Exception as error:  # the class is the framework's own
        if is_unsupported(error):
            raise
        return "an error"
    start, end = (_losses(got[name], at) for name, at in (("start_logits", starts), ("end_logits", ends)))
    if same(got["loss"], (start + end) / 2):
        return HALVED
    return IGNORED if same(got["loss"], (start.sum() / (case.batch - 1) + end.mean()) / 2) else OTHER


@probe("LOSS-7.1", head="masked_lm", answers=("(0,), mean 0.0", "nan, shape (1,)", "nan, shape ()", OTHER))
def no_labels_at_all(trial: Trial, case: Case) -> str:
    """The loss when every label is −100."""
    loss = trial.call(trial.load(case), {**case.inputs(), "labels": np.full(case.lead, -100)})["loss"]
    if loss.shape == (0,):
        return "(0,), mean 0.0"
    return f"nan, shape {loss.shape}" if loss.shape in ((), (1,)) and np.isnan(loss).all() else OTHER


def _losses(logits: Array, positions: Array) -> Array:
    """−log softmax at a position of each row, 0 where the position is beyond the row."""
    logits = logits.astype(np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    inside = positions < logits.shape[1]
    picked = np.take_along_axis(log_probs, np.where(inside, positions, 0)[:, None], axis=1)[:, 0]
    picked_losses: Array = np.where(inside, -picked, 0.0)
    return picked_losses
