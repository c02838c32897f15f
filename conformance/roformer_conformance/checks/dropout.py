"""TRAIN-1.2: where dropout stands, and where it does not.

With probability 1 every place that drops leaves 0, so that each state of a layer is known from the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..formulas import Weights, activation, dense, edited, layer_norm, part
from ..protocol import Array, Outputs
from ..registry import LANGUAGE_HEADS, check
from ..strategies import Case
from ..trial import TRACES, Trial, expect

GONE: Mapping[str, Any] = {
    "needs": ("training",), "effort": 0.4, "hidden_dropout_prob": 1.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip
# The probability that a correct implementation fails a statistical check.
FALSE_ALARM = 1e-9


@check("TRAIN-1.2", "places", also=("EMB-1.1", "EMB-1.2", "ATT-3.4", "FFN-4.2"), projected=True, **GONE)
def what_is_dropped_is_known(trial: Trial, case: Case) -> None:
    """With all features dropped hidden_states[0] is the projection's bias, and each layer normalises its input twice.

    So dropout comes after the LayerNorm of the embeddings and before the projection, and in each layer after both
    branches and before the sums.
    """
    got, weights, eps = _dropped(trial, case), trial.weights(case), _eps(case)
    bias = part(weights, "embeddings_project.bias")
    expected = {"hidden_states.0": np.broadcast_to(bias, got["hidden_states.0"].shape)}
    for layer in range(case.config["num_hidden_layers"]):
        before = got[f"hidden_states.{layer}"]
        after = layer_norm(before, weights, f"layer.{layer}.attention.output.LayerNorm", eps)
        after = layer_norm(after, weights, f"layer.{layer}.output.LayerNorm", eps)
        expected[f"hidden_states.{layer + 1}"] = after
    _expect(trial, case, got, expected)


@check("TRAIN-1.2", "heads-that-do-not-drop", heads=(*LANGUAGE_HEADS, "multiple_choice", "question_answering"),
       also=("HEAD-1.1", "HEAD-4", "HEAD-5.1"), **GONE)  # fmt: skip
def other_heads_drop_nothing(trial: Trial, case: Case) -> None:
    """Language models, choices and spans have no dropout: with everything dropped they read the last state."""
    got, weights = _dropped(trial, case), trial.weights(case)
    _expect(trial, case, got, _read(case, weights, got[case.last]))


@check("TRAIN-1.2", "inner-units", needs=("training",), effort=0.4, hidden_dropout_prob=0.5, num_hidden_layers=1,
       attention_probs_dropout_prob=0.0, hidden_act="relu", also=("FFN-4.2",))  # fmt: skip
def inner_units_are_not_dropped(trial: Trial, case: Case) -> None:
    """Of a feed-forward that adds 1000 to every feature half the features get it: inner units are not dropped."""
    units, width = case.config["intermediate_size"], case.config["hidden_size"]
    reading = np.zeros((width, units))
    reading[np.arange(width), np.arange(width) % units] = 1.0  # each feature reads one unit
    weights = edited(
        trial.weights(case),
        {
            r"\d\.(intermediate|output)\.dense\.(weight|bias)": np.zeros_like,
            r"\d\.intermediate\.dense\.bias": lambda bias: np.full_like(bias, 1000.0),
            r"\d\.output\.dense\.weight": lambda kernel: reading,
            r"layer\.0\.output\.LayerNorm\.weight": np.ones_like,
            r"layer\.0\.output\.LayerNorm\.bias": np.zeros_like,
        },
    )
    model, inputs = trial.load(case, weights), case.inputs()
    added = [_added(trial.call(model, inputs, training=True, seed=seed, **TRACES)[case.last]) for seed in range(24)]
    lit = np.concatenate(added)
    # Hoeffding: the share of n independent features is further off with probability below FALSE_ALARM
    bound = float(np.sqrt(np.log(2 / FALSE_ALARM) / (2 * lit.size)))
    told = (
        f"of {lit.size} features a share of {lit.mean():.3f} got what the feed-forward adds, expected 0.5 ± {bound:.3f}"
    )
    expect(bound > 0.2 or abs(float(lit.mean()) - 0.5) <= bound, f"{case.last}: {told}")


def _added(states: Array) -> Array:
    """Which features stand above their row's middle, of the rows that have features on both sides."""
    spread = states.max(axis=-1) - states.min(axis=-1)
    middle = (states.max(axis=-1) + states.min(axis=-1)) / 2
    # a row all of whose features got it, or none, is as narrow as what was there before
    return (states > middle[..., None])[spread > 0.0].reshape(-1)


def _dropped(trial: Trial, case: Case) -> Outputs:
    return trial.call(trial.load(case), case.inputs(), training=True, seed=case.seed, **TRACES)


def _read(case: Case, weights: Weights, last: Array) -> dict[str, Array]:
    """What a head without dropout makes of the last state, by hand."""
    if case.head == "multiple_choice":
        return {"logits": dense(last[:, -1], weights, "classifier").reshape(case.lead[:-1])}
    if case.head == "question_answering":
        both = dense(last, weights, "qa_outputs")
        return {"start_logits": both[..., 0], "end_logits": both[..., 1]}
    x = activation(case.config["hidden_act"], dense(last, weights, "predictions.transform.dense"))
    x = layer_norm(x, weights, "predictions.transform.LayerNorm", _eps(case))
    table = part(weights, "word_embeddings.weight")
    return {"logits": np.einsum("bse,ve->bsv", x, table) + part(weights, "predictions.bias")}


def _expect(trial: Trial, case: Case, got: Outputs, expected: Mapping[str, Array]) -> None:
    options = {**TRACES, "training": True, "seed": case.seed}
    shaped = {tap: np.asarray(array).astype(np.float64) for tap, array in expected.items()}
    trial.match("with everything dropped", got, shaped, case, case.inputs(), options=options)


def _eps(case: Case) -> float:
    return float(case.config.get("layer_norm_eps", 1e-12))
