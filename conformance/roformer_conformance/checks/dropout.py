"""TRAIN-1.2: where dropout stands, and where it does not.

With probability 1 every place that drops leaves 0, so that each state of a layer is known from the one before it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..formulas import Weights, activation, dense, edited, layer_norm, part
from ..precision import carried
from ..protocol import Array, Outputs
from ..registry import DECODER_HEADS, LANGUAGE_HEADS, check
from ..strategies import Case
from ..trial import TRACES, Trial, expect

GONE: Mapping[str, Any] = {
    "needs": ("training",), "effort": 0.4, "hidden_dropout_prob": 1.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip
HALF: Mapping[str, Any] = {
    "hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.0, "num_hidden_layers": 2, "add_pooling_layer": False,
    "hidden_size": 8, "embedding_size": 8, "num_attention_heads": 2,
}  # fmt: skip
# The probability that a correct implementation fails a statistical check.
FALSE_ALARM = 1e-9


@check("TRAIN-1.2", "places", also=("EMB-1.1", "EMB-1.2", "ATT-3.4", "FFN-4.2"), projected=True, **GONE)
def what_is_dropped_is_known(trial: Trial, case: Case) -> None:
    """With all features dropped hidden_states[0] is the projection's bias, and each layer normalises its input twice.

    So dropout comes after the LayerNorm of the embeddings and before the projection, and in each layer after both
    branches and before the sums.
    """
    weights, eps = trial.weights(case), _eps(case)
    bias = part(weights, "embeddings_project.bias")
    for inputs in (case.inputs(), {"inputs_embeds": carried(case.embeddings(), trial.dtype)}):
        got = trial.call(trial.load(case), inputs, training=True, seed=case.seed, **TRACES)
        expected = {"hidden_states.0": np.broadcast_to(bias, got["hidden_states.0"].shape)}
        for layer in range(case.config["num_hidden_layers"]):
            after = layer_norm(got[f"hidden_states.{layer}"], weights, f"layer.{layer}.attention.output.LayerNorm", eps)
            expected[f"hidden_states.{layer + 1}"] = layer_norm(after, weights, f"layer.{layer}.output.LayerNorm", eps)
        _expect(trial, case, got, expected)


@check("TRAIN-1.2", "cross-attention-output", heads=DECODER_HEADS, also=("DEC-5.1",), is_decoder=True,
       add_cross_attention=True, add_pooling_layer=False,
       **{**GONE, "needs": ("training", "cross_attention")})  # fmt: skip
def what_cross_attention_adds_is_dropped(trial: Trial, case: Case) -> None:
    """With all features dropped a layer with cross-attention normalises its input three times, and adds nothing."""
    inputs, weights = {**case.inputs(), "encoder_hidden_states": case.encoder_states()}, trial.weights(case)
    eps = _eps(case)
    got = trial.call(trial.load(case), inputs, training=True, seed=case.seed, **TRACES)
    expected = {}
    for layer in range(case.config["num_hidden_layers"]):
        state = got[f"hidden_states.{layer}"]
        for norm in ("attention.output", "crossattention.output", "output"):
            state = layer_norm(state, weights, f"layer.{layer}.{norm}.LayerNorm", eps)
        expected[f"hidden_states.{layer + 1}"] = state
    options = {**TRACES, "training": True, "seed": case.seed}
    trial.match("with everything dropped", got, expected, case, inputs, options=options)


@check("TRAIN-1.2", "heads-that-do-not-drop", heads=("base", *LANGUAGE_HEADS, "multiple_choice", "question_answering"),
       also=("HEAD-1.1", "HEAD-4", "HEAD-5.1", "OUT-4.1"), **GONE)  # fmt: skip
def other_heads_drop_nothing(trial: Trial, case: Case) -> None:
    """Poolers, language models, choices and spans have no dropout: with everything dropped they read the last state."""
    got, weights = _dropped(trial, case), trial.weights(case)
    _expect(trial, case, got, _read(case, weights, got[case.last]))


@check("TRAIN-1.2", "heads-that-drop", heads=("sequence_classification", "token_classification"), needs=("training",),
       effort=0.4, min_batch=4, hidden_dropout_prob=0.5, num_hidden_layers=1, hidden_act="relu",
       also=("HEAD-2", "HEAD-3"))  # fmt: skip
def heads_drop_as_often_as_they_say(trial: Trial, case: Case) -> None:
    """What is left of features of 1 is 4 behind the two dropouts of a sequence's head, 2 behind that of tokens'."""
    left = 4.0 if case.head == "sequence_classification" else 2.0
    passed_on: Mapping[str, Any] = {
        r"^classifier\..*weight": lambda kernel: np.eye(*kernel.shape),
        r"^classifier\..*bias": np.zeros_like,
    }
    ones = {r"\d\.output\.LayerNorm\.weight": np.zeros_like, r"\d\.output\.LayerNorm\.bias": np.ones_like}
    model = trial.load(case, edited(trial.weights(case), {**ones, **passed_on}))
    seen = {0.0}
    for seed in range(8):
        seen |= set(trial.call(model, case.inputs(), training=True, seed=seed)["logits"].ravel().tolist())
    expect(seen == {0.0, left}, f"logits of features of 1 are {sorted(seen)} in training, expected 0 and {left:g}")


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
    bound = _bound(lit.size)
    told = (
        f"of {lit.size} features a share of {lit.mean():.3f} got what the feed-forward adds, expected 0.5 ± {bound:.3f}"
    )
    expect(bound > 0.2 or abs(float(lit.mean()) - 0.5) <= bound, f"{case.last}: {told}")


@check("TRAIN-1.2", "every-place-draws-anew", needs=("training",), effort=0.4, min_seq_len=8, **HALF)
def no_two_places_share_a_drawing(trial: Trial, case: Case) -> None:
    """The embeddings and both branches of two layers drop features independently: half of their drawings agree."""
    places = _drawings(trial, dataclasses.replace(case, batch=8, mask="none"))
    bound = _bound(places["the embeddings"].size)
    for (one, first), (other, second) in itertools.combinations(places.items(), 2):
        share = float((first == second).mean())
        told = f"{share:.3f} of the features that {one} and {other} drop are the same, expected 0.5 ± {bound:.3f}"
        expect(abs(share - 0.5) <= bound, told)


@check("TRAIN-1.2", "no-period", needs=("training",), effort=0.4, **HALF)
def drawings_do_not_repeat(trial: Trial, case: Case) -> None:
    """What is dropped of hidden_states[0] and of attentions repeats at no distance: between rows, heads or tokens."""
    many = dataclasses.replace(case, batch=12, seq_len=24, mask="none").with_config(attention_probs_dropout_prob=0.5)
    got = trial.call(trial.load(many), many.inputs(), training=True, seed=case.seed, **TRACES)
    for tap in ("hidden_states.0", "attentions.0")[: 1 if many.causal else 2]:  # what is not visible is 0 anyway
        dropped = np.where(got[tap] == 0, 1.0, -1.0).reshape(-1)
        distance, share = _repeated(dropped)
        told = f"{tap}: {share:.2f} of what is dropped is dropped again {distance} elements later, expected about 0.5"
        expect(share < 0.75, told)


def _drawings(trial: Trial, case: Case) -> dict[str, Array]:
    """For each place that drops features which ones it kept, bool (batch, seq_len, hidden_size).

    A branch that would add 1000 to every feature tells by the features that get it; in the rare row where all or none
    do, the answer means nothing.
    """
    plain = {
        r"\d\.(attention\.)?output\.LayerNorm\.weight": np.ones_like,
        r"\d\.(attention\.)?output\.(LayerNorm\.bias|dense\.)": np.zeros_like,
    }
    kept: dict[str, Array] = {}
    for branch, bias in (
        ("attention", r"\.attention\.output\.dense\.bias"),
        ("feed-forward", r"\d\.output\.dense\.bias"),
    ):
        weights = edited(trial.weights(case), {**plain, bias: lambda old: np.full_like(old, 1000.0)})
        got = trial.call(trial.load(case, weights), case.inputs(), training=True, seed=case.seed, **TRACES)
        kept["the embeddings"] = got["hidden_states.0"] != 0
        for layer in (0, 1):
            states = got[f"hidden_states.{layer + 1}"]
            middle = (states.max(axis=-1, keepdims=True) + states.min(axis=-1, keepdims=True)) / 2
            kept[f"the {branch} of layer {layer}"] = states > middle
    return kept


def _repeated(signs: Array) -> tuple[int, float]:
    """The distance at which a sequence of ±1 is most like itself, and the share of elements that agree there.

    Distances that leave less than a quarter of the sequence, or 256 elements, are not looked at.
    """
    size = signs.size
    spectrum = np.fft.rfft(signs, 2 * size)
    pairs = size - np.arange(size)
    like = np.fft.irfft(np.abs(spectrum) ** 2, 2 * size)[:size] / pairs
    like[0], like[pairs < max(size // 4, 256)] = 0.0, 0.0
    return int(like.argmax()), float((1.0 + like.max()) / 2.0)


def _bound(count: int) -> float:
    """How far the share of `count` independent events is off with a probability below FALSE_ALARM (Hoeffding)."""
    return float(np.sqrt(np.log(2 / FALSE_ALARM) / (2 * count)))


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
    if case.head == "base":
        return {"pooler_output": np.tanh(dense(last[:, 0], weights, "pooler.dense"))}
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
