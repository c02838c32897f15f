"""TRAIN-1.1: what a call leaves behind: nothing. Models are called in turn in training, for gradients, with extras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..protocol import Array, Outputs, as_array, cache_of
from ..registry import DECODER_HEADS, LOSS_HEADS, check
from ..strategies import Case
from ..trial import CACHED, TRACES, Trial, expect

DROPPING: Mapping[str, Any] = {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5}


@check("TRAIN-1.1", "after-training", heads="all", effort=0.4, needs=("training",), **DROPPING)
def training_is_not_left_on(trial: Trial, case: Case) -> None:
    """A call without training gives the same before and after one with training: the model is not switched over."""
    model, inputs = trial.load(case), {**case.inputs(), **case.labels()}
    expected = _copied(trial.call(model, inputs))
    trial.call(model, inputs, training=True, seed=case.seed)
    trial.equals("after a call with training=True", trial.call(model, inputs), expected)


@check("TRAIN-1.1", "after-extras", heads="all", effort=0.3, also=("OUT-1.1", "OUT-2"))
def switches_of_one_call_are_not_left_on(trial: Trial, case: Case) -> None:
    """After a call with extras and labels the next one has what it asks for, and nothing else."""
    model, inputs = trial.load(case), case.inputs()
    expected = _copied(trial.call(model, inputs))
    trial.call(model, {**inputs, **case.labels()}, **TRACES)
    got = trial.call(model, inputs)
    left = sorted(got.keys() - expected.keys())
    expect(not left, f"after a call that asked for more, outputs that nobody asked for: {', '.join(left)}")
    trial.equals("after a call that asked for more", got, expected)


@check("TRAIN-1.1", "after-gradients", heads=LOSS_HEADS, effort=0.2, needs=("gradients",), also=("TRAIN-2.1",))
def gradients_leave_nothing(trial: Trial, case: Case) -> None:
    """Gradients asked for twice are the same, and outputs are what they were: nothing adds up and no step is taken."""
    model: Any = trial.load(case)
    inputs = {**case.inputs(), **case.labels()}
    expected = _copied(trial.call(model, inputs))
    first = _copied(_arrays(model.gradients(inputs, {})))
    second = _arrays(model.gradients(inputs, {}))
    trial.equals("gradients asked for again", second, first)
    trial.equals("after gradients", trial.call(model, inputs), expected)


@check("TRAIN-1.1", "written-over", effort=0.4, needs=("python_values",), also=("IN-4.3",), min_seq_len=2)
def arrays_are_read_in_every_call(trial: Trial, case: Case) -> None:
    """Arrays that are written over between two calls give what new arrays of the new values give."""
    inputs, model = {**case.inputs(), "attention_mask": case.attention_mask()}, trial.load(case)
    trial.call(model, inputs, **TRACES)
    for array in inputs.values():
        array[...] = array[..., ::-1].copy()
    fresh = _copied(inputs)
    trial.equals("arrays written over", trial.call(model, inputs, **TRACES), trial.call(model, fresh, **TRACES))


@check("TRAIN-1.1", "same-ids-again", heads="all", effort=0.3, min_seq_len=2, also=("MASK-2.1", "EMB-1.1"))
def nothing_is_remembered_of_ids(trial: Trial, case: Case) -> None:
    """The same ids with other types, or under another mask, give what a fresh model gives for them."""
    inputs, used = {**case.inputs(), "attention_mask": np.ones(case.lead, np.int64)}, trial.load(case)
    trial.call(used, inputs, **TRACES)
    types = (inputs["token_type_ids"] + 1) % case.config["type_vocab_size"]
    mask = np.arange(case.seq_len) > 0
    for changes in ({"token_type_ids": types}, {"attention_mask": np.broadcast_to(mask, case.lead).astype(np.int64)}):
        given = {**inputs, **changes}
        expected = trial.call(trial.load(case), given, **TRACES)
        trial.equals(f"the same ids, another {', '.join(changes)}", trial.call(used, given, **TRACES), expected)


@check("MASK-4.1", "equal-rows", effort=0.3, add_pooling_layer=False, min_batch=2, min_seq_len=2, masks=("none",))
def rows_of_equal_ids_are_rows_of_their_own(trial: Trial, case: Case) -> None:
    """Rows with the same ids, but each with a mask and types of its own, give what each gives without the others."""
    inputs = {name: np.broadcast_to(array[:1], array.shape).copy() for name, array in case.inputs().items()}
    draw = case.generator("rows")
    inputs["token_type_ids"] = draw.integers(0, case.config["type_vocab_size"], case.lead)
    inputs["attention_mask"] = (draw.random(case.lead) < 0.5).astype(np.int64)
    inputs["attention_mask"][..., 0] = 1
    trial.agrees(case, inputs, trial.call(trial.load(case), inputs, **TRACES), TRACES)


@check("TRAIN-1.4", "seed-zero", effort=0.4, needs=("training",), min_seq_len=3, **DROPPING)
def zero_is_a_seed(trial: Trial, case: Case) -> None:
    """Seed 0 is a seed like any other: it gives the same dropout again, in another model of the same weights too."""
    inputs, model = case.inputs(), trial.load(case)
    first = _copied(trial.call(model, inputs, training=True, seed=0, **TRACES))
    trial.equals("seed 0 again", trial.call(model, inputs, training=True, seed=0, **TRACES), first)
    trial.equals("seed 0 elsewhere", trial.call(trial.load(case), inputs, training=True, seed=0, **TRACES), first)


@check("DEC-4", "one-cache-for-two", heads=DECODER_HEADS, needs=("cache",), effort=0.4, is_decoder=True, min_seq_len=3,
       masks=("none",), also=("DEC-5.3", "TRAIN-1.1"))  # fmt: skip
def a_cache_can_be_used_twice(trial: Trial, case: Case) -> None:
    """Two continuations of one cache do not disturb each other, nor the cache."""
    inputs, model, half = case.inputs(), trial.load(case), case.seq_len // 2
    start = trial.call(model, {name: array[:, :half] for name, array in inputs.items()}, **CACHED)
    before = _copied(start)
    one: dict[str, Any] = {
        **{name: array[:, half:] for name, array in inputs.items()},
        "past_key_values": cache_of(start),
    }
    other = {**one, "input_ids": (one["input_ids"] + 1) % case.config["vocab_size"]}
    first = trial.call(model, one, **CACHED)
    expected = _copied(first)
    trial.call(model, other, **CACHED)
    trial.equals("a cache that went on twice", start, before)
    trial.equals("a result after the cache went on again", first, expected)
    trial.equals("the first continuation again", trial.call(model, one, **CACHED), expected)


def _copied(outputs: Outputs) -> Outputs:
    return {tap: np.array(array) for tap, array in outputs.items()}


def _arrays(gradients: Any) -> dict[str, Array]:
    return {name: as_array(array) for name, array in gradients.items()}
