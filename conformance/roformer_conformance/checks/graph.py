"""Graph mode: what a call returns there (IN-9), and that every way to execute a model computes the same (LIFE-5)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ..protocol import Array, Model, Outputs, flatten
from ..registry import check
from ..strategies import Case
from ..trial import TRACES, Trial, Violation, expect, heard_warnings, without_warnings

COMPILED = ("graph", "xla")
# A head for each kind of argument: those of every call, labels of tokens, of rows, of choices, and spans.
BAD_HEADS = ("base", "masked_lm", "sequence_classification", "multiple_choice", "question_answering")
EXTRAS = ("hidden_states", "attentions")


@check("IN-9.1", "configuration-decides", heads="all", needs=("graph",), effort=0.1)
def the_configuration_decides_about_extras(trial: Trial, case: Case) -> None:
    """In a graph output_attentions and output_hidden_states are those of the configuration, both ways round."""
    for number, wanted in enumerate(EXTRAS):
        configured = {f"output_{name}": name == wanted for name in EXTRAS}
        asked = {f"output_{name}": name != wanted for name in EXTRAS}
        model = trial.load(case.with_config(**configured))
        with without_warnings():
            got = _execute(model, case.inputs(), asked, COMPILED[0])
        for name in EXTRAS:
            present = any(tap.startswith(f"{name}.") for tap in got)
            told = (
                f"{name} {'came back' if present else 'is missing'} though output_{name}={configured[f'output_{name}']}"
            )
            expect(present == (name == wanted), f"graph: {told} in the configuration (case {number})")


@check("IN-9.2", "never-a-tuple", heads="all", needs=("graph",), effort=0.1)
def the_result_is_an_output_object(trial: Trial, case: Case) -> None:
    """In a graph the result has names, though the call or the configuration asks for a plain tuple."""
    for configured, asked in ((True, {"return_dict": False}), (False, {})):
        model = trial.load(case.with_config(return_dict=configured))
        with without_warnings():
            got = _execute(model, case.inputs(), asked, COMPILED[0])
        named = [tap for tap in got if not tap.startswith("tuple.")]
        expect(len(named) == len(got), f"return_dict={not configured} gave a plain tuple in a graph, expected names")


@check("IN-9.3", "one-warning", needs=("graph", "warnings"), effort=0.1)
def what_has_no_effect_is_said_once(trial: Trial, case: Case) -> None:
    """Several calls with a switch that differs from what is used give one warning that names it; others give none."""
    model, inputs = trial.load(case), case.inputs()
    differing = {"output_attentions": True, "return_dict": False}
    agreeing = {"output_attentions": False, "return_dict": True}
    for asked, expected in ((agreeing, 0), (differing, 1)):
        with heard_warnings() as heard:
            for _ in range(3):
                _execute(model, inputs, asked, COMPILED[0])
        for name in asked:
            naming = [text for text in heard if name in text]
            told = f"{len(naming)} warnings name {name} in three calls with {name}={asked[name]}"
            expect(len(naming) == expected, f"{told}, expected {expected}; heard: {heard}")


@check("IN-9.4", "follows-the-call", needs=("graph",), effort=0.1)
def a_model_can_follow_the_call(trial: Trial, case: Case) -> None:
    """With honour_call_flags=True in the configuration the call's switches count in a graph."""
    _follows(trial.load(case.with_config(honour_call_flags=True)), case.inputs(), "")


@check("IN-9.4", "survives-saving", needs=("graph", "saving"), effort=0.1)
def the_switch_survives_saving(trial: Trial, case: Case) -> None:
    """honour_call_flags=True still counts after saving and loading."""
    model = trial.load(case.with_config(honour_call_flags=True))
    _follows(trial.reload(case, model), case.inputs(), " after saving and loading")


@check("IN-9.5", "bad-values", heads=BAD_HEADS, needs=("graph",), effort=0.1, min_batch=2, min_seq_len=2)
def known_values_are_checked_before_tracing(trial: Trial, case: Case) -> None:
    """A compiled call refuses bad ids, types, masks and labels with the words of the eager call, in graph and XLA."""
    model = trial.load(case)
    for name, value, inputs in _bad_calls(case):
        for mode in COMPILED:
            trial.refuses(partial(_execute, model, inputs, {}, mode), name, str(value))


@check("IN-9.6", "graph-raises", heads=BAD_HEADS, needs=("graph",), effort=0.1, min_batch=2, min_seq_len=2)
def a_running_graph_raises(trial: Trial, case: Case) -> None:
    """A bad value that a graph only sees when it runs is an error of the graph that names argument and value."""
    model = trial.load(case)
    for name, value, inputs in _bad_calls(case):
        try:
            _execute(model, inputs, {}, "traced graph")
        except Exception as error:  # a framework's own class
            missing = [word for word in (name, str(value)) if word not in str(error)]
            expect(not missing, f"the error for {name} does not mention {', '.join(missing)}: {error}")
        else:
            raise Violation(f"{name}: expected an error that mentions {value}, got a result")


@check("IN-9.6", "xla-spoils-the-row", heads=BAD_HEADS, needs=("graph",), effort=0.1, min_batch=2, min_seq_len=2)
def a_compiled_function_spoils_the_row(trial: Trial, case: Case) -> None:
    """A bad value inside XLA makes every output of its row NaN, and the other rows stay as they are."""
    model = trial.load(case)
    for name, value, inputs in _bad_calls(case):
        try:
            got = _execute(model, inputs, {}, "traced xla")
        except Exception as error:  # whoever can raise may
            expect(name in str(error), f"the error for {name} does not mention it: {error}")
            continue
        for tap, array in got.items():
            if tap.startswith("loss"):
                expect(bool(np.isnan(array).any()), f"{name}={value} under XLA: {tap} holds no NaN, it was clamped")
                continue
            nan = np.isnan(array).reshape(len(array), -1)
            expect(bool(nan[-1].all()), f"{name}={value} under XLA: {tap} of the row is not all NaN, it was clamped")
            expect(not nan[:-1].any(), f"{name}={value} under XLA: {tap} of other rows holds NaN")


@check("LIFE-5", "three-ways", heads="all", needs=("graph",), effort=0.1, min_batch=2, min_seq_len=3)
def eager_graph_and_xla_agree(trial: Trial, case: Case) -> None:
    """Eager, graph and XLA give the same outputs up to rounding: loss, states and attention weights."""
    seeing = case.with_config(**TRACES)
    inputs = {**case.inputs(), **case.labels()}
    model = trial.load(seeing)
    expected = _execute(model, inputs, {}, "eager")
    for mode in COMPILED:
        got = _execute(model, inputs, {}, mode)
        expect(got.keys() == expected.keys(), f"{mode} gives {', '.join(got)}, expected {', '.join(expected)}")
        trial.match(f"{mode} beside eager", got, expected, seeing, inputs)


@check("LIFE-5", "another-call", needs=("graph",), effort=0.1, masks=("irregular",), min_batch=2, min_seq_len=3)
def a_traced_call_freezes_nothing(trial: Trial, case: Case) -> None:
    """After a first call a graph still reads other ids, types, masks and lengths: they agree with eager calls."""
    model, first = trial.load(case), case.inputs()
    _execute(model, {name: array for name, array in first.items() if name != "attention_mask"}, {}, "graph")
    _execute(model, {name: array[..., ::-1] for name, array in first.items()}, {}, "graph")
    shorter = {name: array[..., :-1] for name, array in first.items()}
    for inputs in (first, shorter):
        got, expected = (_execute(model, inputs, {}, mode) for mode in ("graph", "eager"))
        trial.match("graph after other calls", got, expected, case, inputs)


def _execute(model: Model, inputs: Mapping[str, Any], options: Mapping[str, Any], mode: str) -> Outputs:
    executable: Any = model
    return flatten(executable.execute(inputs, options, mode))


def _bad_calls(case: Case) -> list[tuple[str, int, dict[str, Array]]]:
    """Calls with one value in the last row that is not allowed: argument, value, all inputs."""
    right = {**case.inputs(), "attention_mask": np.ones(case.lead, np.int64), **case.labels()}
    config = case.config
    bad = {"input_ids": config["vocab_size"], "token_type_ids": config["type_vocab_size"], "attention_mask": 2}
    if "labels" in right:
        bad = {"labels": -7}
    elif "start_positions" in right:
        bad = {"start_positions": -1}
    calls = []
    for name, value in bad.items():
        wrong = right[name].copy()
        wrong[(-1, *(0,) * (wrong.ndim - 1))] = value
        calls.append((name, value, {**right, name: wrong}))
    return calls


def _follows(model: Model, inputs: Mapping[str, Any], when: str) -> None:
    got = _execute(model, inputs, {"output_hidden_states": True, "return_dict": True}, COMPILED[0])
    states = any(tap.startswith("hidden_states.") for tap in got)
    expect(states, f"hidden_states is missing with honour_call_flags=True and output_hidden_states=True{when}")
    plain = _execute(model, inputs, {"return_dict": False}, COMPILED[0])
    tuples = all(tap.startswith("tuple.") for tap in plain)
    expect(
        tuples, f"honour_call_flags=True and return_dict=False gave {', '.join(plain)}{when}, expected a plain tuple"
    )
