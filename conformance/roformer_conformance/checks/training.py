"""TRAIN: dropout, seeds, and determinism where nothing is random."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..precision import carried
from ..protocol import Array, Capabilities
from ..registry import check
from ..strategies import Case
from ..trial import TRACES, Trial, expect

# The probability that a correct implementation fails a statistical check.
FALSE_ALARM = 1e-9
RATES = (0.25, 0.4, 0.7)


@check("TRAIN-1.1", "repeated-calls", heads="all", effort=0.5)
def repeated_calls_are_equal(trial: Trial, case: Case) -> None:
    """The same call again gives the same result, bit for bit, and leaves the result of the first call as it was."""
    model, inputs = trial.load(case), {**case.inputs(), **case.labels()}
    first = trial.call(model, inputs, **TRACES)
    before = {tap: array.copy() for tap, array in first.items()}
    other = {"input_ids": np.zeros_like(inputs["input_ids"])}
    trial.call(model, other, **TRACES)
    trial.equals("the first result after another call", first, before)
    trial.equals("the same call again", trial.call(model, inputs, **TRACES), before)


@check("TRAIN-1.1", "nothing-is-left", heads="all", effort=0.3, masks=("right", "left", "irregular"), min_seq_len=3)
def earlier_calls_leave_nothing(trial: Trial, case: Case) -> None:
    """After a call with other ids, types and mask of the same shapes a model gives what a fresh one gives."""
    inputs, used = case.inputs(), trial.load(case)
    trial.call(used, {name: array[..., ::-1] for name, array in inputs.items()}, **TRACES)
    everything = {**inputs, "attention_mask": np.ones_like(inputs["attention_mask"])}
    trial.call(used, everything, **TRACES)
    expected = trial.call(trial.load(case), inputs, **TRACES)
    trial.equals("after calls with other masks", trial.call(used, inputs, **TRACES), expected)


@check(
    "TRAIN-1.1", "training-false", heads="all", effort=0.5, hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5
)
def training_false_is_the_default(trial: Trial, case: Case) -> None:
    """training=False is the default and drops nothing, whatever the probabilities: they change no output."""
    inputs = case.inputs()
    sober = case.with_config(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    expected = trial.call(trial.load(sober), inputs, **TRACES)
    model = trial.load(case)
    trial.equals("training left out", trial.call(model, inputs, **TRACES), expected)
    trial.equals("training=False", trial.call(model, inputs, training=False, **TRACES), expected)


@check("TRAIN-1.1", "own-weights", heads="all", effort=0.3)
def models_keep_their_own_weights(trial: Trial, case: Case) -> None:
    """A model goes on giving the same result when the arrays it was loaded from change, and changes none of them."""
    given = {name: carried(array, trial.dtype) for name, array in trial.weights(case).items()}
    before = {name: array.copy() for name, array in given.items()}
    model = trial.adapter.load(case.head, dict(case.config), given, trial.dtype)
    inputs = case.inputs()
    expected = trial.call(model, inputs, **TRACES)
    changed = [name for name, array in given.items() if not np.array_equal(array, before[name])]
    expect(not changed, f"weights that were given were changed by load or call: {', '.join(changed)}")
    for array in given.values():
        array *= 2.0
    trial.equals("after the given weights changed", trial.call(model, inputs, **TRACES), expected)


@check("TRAIN-1.1", "two-models", heads="all", effort=0.3)
def models_share_nothing(trial: Trial, case: Case) -> None:
    """A model gives the same result after another one, of other weights and sizes, was loaded and called."""
    inputs, model = case.inputs(), trial.load(case)
    expected = trial.call(model, inputs, **TRACES)
    other = dataclasses.replace(case, seed=case.seed + 1).with_config(
        num_attention_heads=1, rotary_value=not case.config["rotary_value"], hidden_act="tanh"
    )
    trial.call(trial.load(other), other.inputs(), **TRACES)
    trial.equals("after another model was loaded and called", trial.call(model, inputs, **TRACES), expected)


@check("TRAIN-1.1", "another-type-before", also=("ROT-2.8",))
def models_of_two_types_share_nothing(trial: Trial, case: Case) -> None:
    """A model called after one of the same sizes in another type is as exact as ever: no table of that type is left."""
    inputs, weights = case.inputs(), trial.weights(case)
    for dtype in Capabilities.of(trial.adapter).dtypes:
        if dtype != trial.dtype:
            given = {name: carried(array, dtype) for name, array in weights.items()}
            trial.call(trial.adapter.load(case.head, dict(case.config), given, dtype), inputs)
    trial.agrees(case, inputs, trial.call(trial.load(case), inputs, **TRACES), TRACES)


@check("TRAIN-1.2", "hidden-dropout", needs=("training",), effort=0.5)
def hidden_dropout_scales_what_it_keeps(trial: Trial, case: Case) -> None:
    """Dropout of features zeroes a share p of hidden_states[0], each alone, and scales the rest by 1/(1 − p)."""
    rate = RATES[case.seed % len(RATES)]
    many = _many(case, hidden_dropout_prob=rate, attention_probs_dropout_prob=0.0)
    _drops(trial, many, "hidden_states.0", rate)


@check("TRAIN-1.2", "attention-dropout", needs=("training",), effort=0.5, also=("OUT-1.4",))
def attention_dropout_scales_what_it_keeps(trial: Trial, case: Case) -> None:
    """Dropout of attention zeroes a share p of attentions[0], each alone, and scales the rest by 1/(1 − p)."""
    rate = RATES[case.seed % len(RATES)]
    many = _many(case, hidden_dropout_prob=0.0, attention_probs_dropout_prob=rate)
    _drops(trial, many, "attentions.0", rate)


@check("TRAIN-1.2", "anew-in-every-layer", needs=("training",), effort=0.5, also=("TRAIN-1.4",))
def every_layer_draws_anew(trial: Trial, case: Case) -> None:
    """Dropout draws anew in every layer: the attention weights of two layers lose different elements."""
    many = _many(case, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.5).with_config(num_hidden_layers=2)
    model, inputs = trial.load(many), many.inputs()
    plain = trial.call(model, inputs, **TRACES)
    got = trial.call(model, inputs, training=True, seed=case.seed, **TRACES)
    possible = (plain["attentions.0"] != 0) & (plain["attentions.1"] != 0)
    first, second = (got[f"attentions.{layer}"][possible] == 0 for layer in (0, 1))
    expect(
        not np.array_equal(first, second),
        f"attentions.0 and attentions.1 lost the same {int(first.sum())} of {first.size} elements, expected others",
    )


@check("TRAIN-1.2", "one", needs=("training",), effort=0.5)
def probability_one_drops_everything(trial: Trial, case: Case) -> None:
    """With probability 1 nothing is left: hidden_states[0] and attentions are 0, and nothing is NaN."""
    all_gone = _many(case, hidden_dropout_prob=1.0, attention_probs_dropout_prob=1.0)
    got = trial.call(trial.load(all_gone), all_gone.inputs(), training=True, seed=case.seed, **TRACES)
    for tap in ("hidden_states.0", "attentions.0"):
        expect(not got[tap].any(), f"{tap} holds {got[tap].flat[np.argmax(got[tap] != 0)]!r}, expected only 0")
    for tap, array in got.items():
        expect(bool(np.isfinite(array).all()), f"{tap} is not finite where everything is dropped")


@check(
    "TRAIN-1.3", "zero", heads="all", needs=("training",), effort=0.3, hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)  # fmt: skip
def probability_zero_drops_nothing(trial: Trial, case: Case) -> None:
    """With both probabilities 0, training and inference give the same, up to rounding."""
    model, inputs = trial.load(case), {**case.inputs(), **case.labels()}
    expected = trial.call(model, inputs, **TRACES)
    got = trial.call(model, inputs, training=True, seed=case.seed, **TRACES)
    trial.match("training=True", got, expected, case, inputs, options=TRACES)


@check("TRAIN-1.3", "head-mask", needs=("training", "head_mask"), effort=0.3, hidden_dropout_prob=0.0, min_heads=2,
       attention_probs_dropout_prob=0.0, add_pooling_layer=False, also=("ATT-3.2", "HEAD-6.2"))  # fmt: skip
def head_masks_hold_in_training(trial: Trial, case: Case) -> None:
    """Under a head_mask, too, training and inference give the same when both probabilities are 0."""
    shape = (case.config["num_hidden_layers"], case.config["num_attention_heads"])
    mask = carried(np.round(4.0 * case.generator("head mask").random(shape)) / 4.0, trial.dtype)
    model, inputs = trial.load(case), {**case.inputs(), "head_mask": mask}
    expected = trial.call(model, inputs, **TRACES)
    got = trial.call(model, inputs, training=True, seed=case.seed, **TRACES)
    trial.match("training=True under head_mask", got, expected, case, inputs, options=TRACES)


@check(
    "TRAIN-1.4", "seeds", heads="all", needs=("training",), effort=0.5, hidden_dropout_prob=0.5,
    attention_probs_dropout_prob=0.5, min_seq_len=3,
)  # fmt: skip
def seeds_reproduce(trial: Trial, case: Case) -> None:
    """The same seed gives the same result in training, bit for bit; another seed another one, and inference none."""
    model, inputs = trial.load(case), case.inputs()
    first = trial.call(model, inputs, training=True, seed=case.seed, **TRACES)
    expected = {tap: array.copy() for tap, array in first.items()}
    again = trial.call(model, inputs, training=True, seed=case.seed, **TRACES)
    trial.equals(f"training with seed {case.seed} again", again, expected)
    for further in (1, 256, 65536):  # a seed is not cut to its last bits
        other = trial.call(model, inputs, training=True, seed=case.seed + further, **TRACES)
        moved = any(not np.array_equal(other[tap], expected[tap]) for tap in ("attentions.0", "hidden_states.0"))
        expect(moved, f"attentions.0 and hidden_states.0 are the same for seeds {case.seed} and {case.seed + further}")
    plain = trial.call(model, inputs, **TRACES)
    trial.equals("a seed without training", trial.call(model, inputs, seed=case.seed, **TRACES), plain)


@check(
    "TRAIN-1.4", "head-dropout", heads=("sequence_classification", "token_classification"), needs=("training",),
    effort=0.5, attention_probs_dropout_prob=0.0, num_hidden_layers=1, also=("HEAD-2", "HEAD-3"),
)  # fmt: skip
def classification_heads_drop_features(trial: Trial, case: Case) -> None:
    """The classification heads have dropout of their own: with everything dropped their logits are the last bias."""
    dropped = case.with_config(hidden_dropout_prob=1.0)
    got = trial.call(trial.load(dropped), dropped.inputs(), training=True, seed=case.seed)["logits"]
    weights = trial.weights(case)
    last = "classifier.out_proj.bias" if case.head == "sequence_classification" else "classifier.bias"
    bias = carried(weights[last], trial.dtype)
    trial.equals("with everything dropped", {"logits": got}, {"logits": np.broadcast_to(bias, got.shape)})


def _many(case: Case, **config: Any) -> Case:
    """The case with enough elements for statistics, and with no projection behind the first dropout."""
    sizes = {"num_hidden_layers": 1, "embedding_size": case.config["hidden_size"], **config}
    return dataclasses.replace(case, batch=16, seq_len=24, mask="none").with_config(**sizes)


def _drops(trial: Trial, case: Case, tap: str, rate: float) -> None:
    """In training `tap` is 0 for a share `rate` of its elements, each on its own, and 1/(1 − rate) times as large else.

    By Hoeffding's inequality the share of n independent elements is off by more than √(ln(2/α) / 2n) with probability
    below α.
    """
    model, inputs = trial.load(case), case.inputs()
    plain = trial.call(model, inputs, **TRACES)[tap]
    got = trial.call(model, inputs, training=True, seed=case.seed, **TRACES)[tap]
    possible = plain != 0  # a causal model has attention weights that are 0 anyway
    dropped, count = (got == 0) & possible, int(possible.sum())
    share, bound = float(dropped.sum() / count), float(np.sqrt(np.log(2 / FALSE_ALARM) / (2 * count)))
    told = f"{tap}: a share of {share:.4f} of {count} elements was dropped, expected {rate} ± {bound:.4f}"
    expect(abs(share - rate) <= bound, told)
    _each_alone(dropped, possible, tap)
    kept = possible & ~dropped
    scale = 1.0 / (1.0 - rate)
    what = f"kept values beside those of inference times 1/(1 − {rate})"
    trial.close(what, got[kept], plain[kept] * scale, case, inputs, tap, lambda array: array[kept] * scale, TRACES)


def _each_alone(dropped: Array, possible: Array, tap: str) -> None:
    """No axis shares one drawing: along each, some element differs from the first."""
    for axis in range(dropped.ndim):
        both = possible & possible.take([0], axis)
        shared = bool(((dropped == dropped.take([0], axis)) | ~both).all()) and dropped.shape[axis] > 1
        expect(not shared, f"{tap}: axis {axis} shares one drawing of dropout, expected one for each element")
