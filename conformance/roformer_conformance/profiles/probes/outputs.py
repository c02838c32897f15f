"""What a call returns: in a graph, from the pooler, and for a choice."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...protocol import flatten
from ...strategies import Case
from ...trial import Trial
from ..seeing import OTHER, probe, same


@probe("IN-9.1", needs=("graph",), answers=("the configuration wins", "the argument of the call wins"))
def extras_in_a_graph(trial: Trial, case: Case) -> str:
    """Hidden states that the call asks for and the configuration does not."""
    model: Any = trial.load(case.with_config(output_hidden_states=False))
    got = flatten(model.execute(case.inputs(), {"output_hidden_states": True}, "graph"))
    asked = any(tap.startswith("hidden_states.") for tap in got)
    return "the argument of the call wins" if asked else "the configuration wins"


@probe("IN-9.2", needs=("graph",), answers=("always an output object", "the argument of the call wins"))
def form_in_a_graph(trial: Trial, case: Case) -> str:
    """A plain tuple that the call asks for."""
    model: Any = trial.load(case)
    got = flatten(model.execute(case.inputs(), {"return_dict": False}, "graph"))
    plain = all(tap.startswith("tuple.") for tap in got)
    return "the argument of the call wins" if plain else "always an output object"


@probe("OUT-4.1", answers=("tanh of a dense layer over the first token", "absent", OTHER))
def pooler(trial: Trial, case: Case) -> str:
    """The pooler's output beside its formula."""
    got = trial.call(trial.load(case), case.inputs())
    if "pooler_output" in trial.lacking or "pooler_output" not in got:
        return "absent"
    weights = trial.weights(case)
    first = got["last_hidden_state"][:, 0].astype(np.float64)
    expected = np.tanh(first @ weights["pooler.dense.weight"].T + weights["pooler.dense.bias"])
    return "tanh of a dense layer over the first token" if same(got["pooler_output"], expected) else OTHER


SUMMARIES = {"index 0": 0, "index −1": -1, "the mean over all positions": None}


@probe("HEAD-5.2", head="multiple_choice", needs=("hidden_states",), answers=(*SUMMARIES, OTHER), summary_type="first")
@probe("HEAD-5.3", head="multiple_choice", needs=("hidden_states",), answers=(*SUMMARIES, OTHER), summary_type="mean")
def summary_of_a_choice(trial: Trial, case: Case) -> str:
    """The logits beside those of the first state, of the last and of the mean."""
    got, weights = trial.call(trial.load(case), case.inputs(), output_hidden_states=True), trial.weights(case)
    states = got[case.last].astype(np.float64)
    for words, index in SUMMARIES.items():
        summary = states.mean(1) if index is None else states[:, index]
        logits = (summary @ weights["classifier.weight"].T + weights["classifier.bias"]).reshape(got["logits"].shape)
        if same(got["logits"], logits):
            return words
    return OTHER
