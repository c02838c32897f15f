"""The calls that a failing check makes, so that each can be made again alone and compared with the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..budget import Verdict, judge
from ..oracle import Oracle
from ..partial import lacking, present, unasked
from ..precision import carried
from ..protocol import Adapter, Array, Capabilities, Model, Outputs, flatten
from ..registry import Check
from ..strategies import Case
from ..trial import TRACES, Trial, query_rows, tap_position, without_warnings

# Failures come from one of the last calls of a check.
_KEPT_CALLS = 6


@dataclass(frozen=True)
class Call:
    """A model as it was loaded, and one call of it: all that is needed to make the call again."""

    head: str
    config: Mapping[str, Any]
    weights: Mapping[str, Array]  # flat Hugging Face names, values that dtype can represent
    dtype: str
    inputs: Mapping[str, Any]
    style: str = "keywords"
    options: Mapping[str, Any] = field(default_factory=dict)

    def run(self, adapter: Adapter) -> Outputs:
        """What an implementation returns, the model loaded anew."""
        given = {name: carried(array, self.dtype) for name, array in self.weights.items()}
        model = adapter.load(self.head, dict(self.config), given, self.dtype)
        with without_warnings():
            missing = lacking(Capabilities.of(adapter))
            options = unasked(self.options, missing)
            return present(flatten(model(self.inputs, style=self.style, options=options)), missing)

    def oracle(self) -> Oracle:
        """The judge of this call."""
        return Oracle(self.head, self.config, {name: array.astype(np.float64) for name, array in self.weights.items()})

    def traced(self) -> Call:
        """The same call, asked for everything that shows inside."""
        options = {name: value for name, value in self.options.items() if name != "return_dict"}
        return replace(self, options={**options, **TRACES})

    def rows(self) -> Array | None:
        """Which positions count: tokens that are not masked."""
        return query_rows(self.inputs) if self.inputs.get("attention_mask") is not None else None


@dataclass(frozen=True)
class Comparison:
    """One call, what the implementation and the oracle make of it, and the verdicts, earliest output first."""

    call: Call
    got: Outputs
    expected: Outputs
    rows: Array | None
    oracle: Oracle
    verdicts: tuple[Verdict, ...]

    @property
    def first(self) -> Verdict | None:
        """The earliest output that lies beyond its budget."""
        return next((verdict for verdict in self.verdicts if not verdict.passed), None)


@dataclass
class RecordingTrial(Trial):
    """A trial that remembers what was loaded and called."""

    loaded: list[tuple[Model, Call]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def load(self, case: Case, weights: Mapping[str, Array] | None = None) -> Model:
        """The case's model; what it was made of is remembered."""
        model = super().load(case, weights)
        made_of = self.weights(case) if weights is None else dict(weights)
        self.loaded = [
            *self.loaded[1 - _KEPT_CALLS :],
            (model, Call(case.head, dict(case.config), made_of, self.dtype, {})),
        ]
        return model

    def call(self, model: Model, inputs: Mapping[str, Any], style: str = "keywords", **options: Any) -> Outputs:
        """The model's outputs; the call is remembered, whether it ends well or not."""
        for known, call in self.loaded:
            if known is model:
                self.calls = [
                    *self.calls[1 - _KEPT_CALLS :],
                    replace(call, inputs=dict(inputs), style=style, options=dict(options)),
                ]
        return super().call(model, inputs, style, **options)


def recorded_calls(
    adapter: Adapter, check: Check, case: Case, dtype: str, k: float
) -> tuple[list[Call], Exception | None]:
    """Try a check on a case once more: the last calls that it makes, the latest first, and why it fails, if it does."""
    trial, failure = RecordingTrial(adapter, dtype, k), None
    try:
        with without_warnings():
            check.function(trial, case)
    except Exception as error:  # whatever an implementation throws at a legitimate call is its failure
        failure = error
    return trial.calls[::-1], failure


def compare(adapter: Adapter, call: Call, k: float, *, all_rows: bool = False) -> Comparison | None:
    """Hold one call against the oracle; None where the two cannot be compared: dropout, an error, other outputs."""
    if call.options.get("training"):
        return None
    try:
        got = call.run(adapter)
        oracle = call.oracle()
        expected = oracle.run(call.inputs, call.options)
        runs = oracle.legitimate_runs(call.inputs, call.options, call.dtype)
    except Exception:  # a call that is an error on either side has no numbers to explain
        return None
    rows = None if all_rows else call.rows()
    taps = sorted(expected.keys() & got.keys(), key=tap_position)
    verdicts = [judge(tap, got[tap], expected[tap], [run[tap] for run in runs], call.dtype, rows, k) for tap in taps]
    return Comparison(call, got, expected, rows, oracle, tuple(verdicts))
