"""Graph mode: what a call returns there (IN-9), and that every way to execute a model computes the same (LIFE-5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..protocol import Model, Outputs, flatten
from ..registry import check
from ..strategies import Case
from ..trial import TRACES, Trial, expect, heard_warnings, without_warnings

COMPILED = ("graph", "xla")
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


def _follows(model: Model, inputs: Mapping[str, Any], when: str) -> None:
    got = _execute(model, inputs, {"output_hidden_states": True, "return_dict": True}, COMPILED[0])
    states = any(tap.startswith("hidden_states.") for tap in got)
    expect(states, f"hidden_states is missing with honour_call_flags=True and output_hidden_states=True{when}")
    plain = _execute(model, inputs, {"return_dict": False}, COMPILED[0])
    tuples = all(tap.startswith("tuple.") for tap in plain)
    expect(
        tuples, f"honour_call_flags=True and return_dict=False gave {', '.join(plain)}{when}, expected a plain tuple"
    )
