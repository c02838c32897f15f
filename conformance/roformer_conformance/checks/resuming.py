"""LIFE-4.1 in the middle of a training: who stops, saves, loads and goes on learns what he would have learnt."""

from __future__ import annotations

from ..gradients import gradients
from ..registry import LOSS_HEADS, check
from ..strategies import Case
from ..trial import Trial

# Of gradient descent: far enough that every weight moves in every type.
STEP = 0.125


@check("LIFE-4.1", "resumed", heads=LOSS_HEADS, effort=0.2, needs=("gradients", "saving"), also=("TRAIN-2.1",),
       min_seq_len=3)  # fmt: skip
def a_training_is_gone_on_with(trial: Trial, case: Case) -> None:
    """After a step of training a saved and loaded model has the loss and the gradients of the one that went on."""
    inputs = {**case.inputs(), **case.labels()}
    weights, found = trial.weights(case), gradients(trial, trial.load(case), inputs)
    model = trial.load(case, {name: array - STEP * found[name] for name, array in weights.items()})
    loaded = trial.reload(case, model)
    trial.equals("after a step, save and load", gradients(trial, loaded, inputs), gradients(trial, model, inputs))
