"""OUT, further on: the kind of thing that comes back, and what does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..protocol import flatten
from ..registry import DECODER_HEADS, check
from ..strategies import Case
from ..trial import CACHED, Trial, expect, without_warnings


@check("OUT-3.1", "a-tuple", heads="all", effort=0.2, needs=("output_objects",))
def plain_tuples_are_tuples(trial: Trial, case: Case) -> None:
    """return_dict=False gives a tuple, not a list, with one and with several outputs."""
    model = trial.load(case)
    for inputs in (case.inputs(), {**case.inputs(), **case.labels()}):
        plain = model(inputs, style="keywords", options={"return_dict": False}).get("tuple")
        expect(isinstance(plain, tuple), f"return_dict=False gave a {type(plain).__name__}, expected a tuple")


@check("OUT-3.1", "no-place-for-no-pooler", heads=("base",), effort=0.3, needs=("pooler_output",), also=("OUT-4.3",))
def an_absent_pooler_takes_no_place(trial: Trial, case: Case) -> None:
    """Without pooler weights a plain tuple holds no None: hidden states follow the last state."""
    without = {name: array for name, array in trial.weights(case).items() if "pooler" not in name}
    with without_warnings():
        model = trial.load(case, without)
        options: Mapping[str, Any] = {"output_hidden_states": True}
        expected = trial.call(model, case.inputs(), **options)
        plain = model(case.inputs(), style="keywords", options={**options, "return_dict": False})["tuple"]
    expect(len(plain) == 2, f"the tuple without a pooler has {len(plain)} elements, expected 2")
    got = flatten({"last_hidden_state": plain[0], "hidden_states": plain[1]})
    trial.equals("the tuple without a pooler", got, expected)


@check("OUT-5.2", "nothing-empty", heads="all", effort=0.2, needs=("output_objects",), also=("OUT-1.1",))
def what_nobody_asked_for_is_absent(trial: Trial, case: Case) -> None:
    """Extras that nobody asked for are absent: no empty tuple stands for them."""
    output: Any = trial.load(case)(case.inputs(), style="keywords", options={})
    for name in ("hidden_states", "attentions", "cross_attentions"):
        expect(output.get(name) is None, f"{name} is {output.get(name)!r}, though nobody asked for it")


@check("OUT-1.9", "not-without-asking", heads=DECODER_HEADS, effort=0.3, needs=("cache",), is_decoder=True)
def no_cache_where_none_is_wanted(trial: Trial, case: Case) -> None:
    """use_cache=False returns no past_key_values, and the same numbers."""
    model = trial.load(case)
    expected, got = (trial.call(model, case.inputs(), **options) for options in (CACHED, {"use_cache": False}))
    kept = sorted(tap for tap in got if tap.startswith("past_key_values"))
    expect(not kept, f"use_cache=False returned {', '.join(kept[:2])}")
    trial.match("use_cache=False", got, {tap: expected[tap] for tap in got}, case, case.inputs())
