"""An implementation without hidden states, attention weights or a pooler is judged by what it has."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pytest

import roformer_conformance
from roformer_conformance import check_implementation
from roformer_conformance.growth import measure_growth
from roformer_conformance.planning import plan
from roformer_conformance.protocol import Capabilities, is_unsupported
from roformer_conformance.registry import all_checks
from roformer_conformance.report.pictures import growth_picture
from roformer_conformance.running import run_job
from roformer_conformance.trial import NotRefused, Trial
from roformer_conformance.vectors import load_vectors, verify_vector
from roformer_numpy.adapter import CAPABILITIES, NumpyAdapter, NumpyModel

HIDDEN = ("hidden_states", "attentions", "pooler_output")
SWITCHES = ("output_hidden_states", "output_attentions")


class Unsupported(Exception):
    """Somebody's own class of that name."""


class Outside(NumpyModel):
    """A model that shows no more than its last output; `blank` makes that zeros."""

    blank = False

    def __call__(self, inputs: Any, *, style: str = "keywords", options: Any = None) -> Any:
        """The outputs without those that are not claimed."""
        assert not any((options or {}).get(switch) for switch in SWITCHES), "was asked for what it does not have"
        shown = super().__call__(inputs, style=style, options=options)
        return {name: _zeros(shown[name]) if self.blank else shown[name] for name in shown if name not in HIDDEN}


class Blank(Outside):
    """The same, and every output zero."""

    blank = True


class Lacking(NumpyAdapter):
    """Claims none of the three."""

    capabilities: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {**CAPABILITIES, "output_objects": False, "saving": False, **dict.fromkeys(HIDDEN, False)}
    )

    def __init__(self, kind: type[Outside] = Outside) -> None:
        super().__init__("equations")
        self.kind = kind

    def load(self, head: str, config: Any, weights: Any, dtype: str) -> Any:
        """The model behind the screen."""
        return self.kind(super().load(head, config, weights, dtype).model)


def _zeros(value: Any) -> Any:
    return tuple(map(_zeros, value)) if isinstance(value, tuple) else np.zeros_like(value)


def statuses(adapter: Any, *names: str) -> dict[tuple[str, str], str]:
    """What became of these families or checks at smoke level."""
    checks = [check for check in all_checks().values() if check.id.startswith(names)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        jobs = plan(checks, Capabilities.of(adapter), "smoke")
        return {(job.check.id, job.head): run_job(adapter, job, "smoke", 0, shrink=False).status for job in jobs}


def test_what_is_not_there_fails_nothing_and_passes_nothing() -> None:
    """Checks that need it are not claimed; the others go on with the outputs that there are."""
    found = statuses(Lacking(), "ATT", "EMB", "FFN", "MASK", "OUT", "ROT", "NUM")
    assert set(found.values()) == {"passed", "not_claimed"}
    assert found[("NUM-1.1/parity", "base")] == found[("MASK-2.1/content-is-irrelevant", "base")] == "passed"
    assert {found[("ROT-2.1/plane-probe", "base")], found[("EMB-1.3/no-position", "base")]} == {"not_claimed"}
    ran = {identifier for identifier, _ in found}
    assert not ran & {"OUT-1.2/shapes", "OUT-1.3/shapes", "OUT-4.1/formula", "OUT-4.3/no-weights"}


def test_nothing_passes_for_want_of_something_to_compare() -> None:
    """With zeros for all that is left, nothing that compares with the oracle or a calculation by hand passes."""
    found = statuses(Lacking(Blank), "ATT", "FFN", "NUM-1.1/parity", "HEAD-1", "HEAD-2", "HEAD-3", "HEAD-4")
    words = ("every", "by-hand", "parity", "probe", "dense")
    assert {found[key] for key in found if any(word in key[0] for word in words)} <= {"failed", "not_claimed"}


def test_golden_vectors_are_compared_by_the_outputs_that_are_there() -> None:
    """And by none of the others."""
    vectors = [vector for vector in load_vectors() if vector.head == "base"][:6]
    statuses = [verify_vector(Lacking(), vector, "float64").status for vector in vectors]
    assert set(statuses) <= {"passed", "not_claimed"}  # one of them records nothing else
    assert "passed" in statuses
    blank = [verify_vector(Lacking(Blank), vector, "float64").status for vector in vectors]
    assert blank == ["failed" if status == "passed" else status for status in statuses]


def test_an_exception_of_that_name_is_not_claimed() -> None:
    """An adapter imports nothing of ours to say that it does not have something."""

    class Refusing(NumpyAdapter):
        def load(self, head: str, config: Any, weights: Any, dtype: str) -> Any:
            """No model at all."""
            raise Unsupported("gelu")

    assert set(statuses(Refusing("equations"), "CFG-2.1", "FFN-4.1").values()) == {"not_claimed"}
    assert verify_vector(Refusing("equations"), load_vectors()[0], "float64").status == "not_claimed"
    assert is_unsupported(roformer_conformance.Unsupported("why"))


class Ordinary(NumpyAdapter):
    """Can neither turn values nor project embeddings nor compute another activation, as most implementations."""

    def load(self, head: str, config: Any, weights: Any, dtype: str) -> Any:
        """The model, if it is an ordinary one."""
        if config.get("rotary_value") or config["embedding_size"] != config["hidden_size"]:
            raise Unsupported("rotary_value or E != H")
        if config.get("hidden_act", "gelu") != "gelu":
            raise Unsupported("hidden_act")
        return super().load(head, config, weights, dtype)


def test_who_lacks_switches_is_asked_everything_that_is_not_about_them() -> None:
    """A case that draws them is tried without; a check that asks for them is not claimed."""
    tried = ("MASK", "ROT-2", "EMB-1", "FFN-4.1", "CFG-2.2/selu", "NUM-1.1/parity")
    found = statuses(Ordinary("equations"), *tried)
    about = {"ROT-2.4/value-turns", "ROT-2.6/left-padding-with-value", "EMB-1.2/projection", "CFG-2.2/selu"}
    left = {identifier for (identifier, _), status in found.items() if status != "passed"}
    assert about < left
    assert {found[(name, "base")] for name in about} == {"not_claimed"}
    assert not [identifier for identifier in left if identifier.startswith("MASK")]
    assert not left & {"NUM-1.1/parity", "FFN-4.1/two-dense-layers", "FFN-4.1/every-unit-matters"}


def test_one_row_of_one_token_is_judged_without_a_pooler() -> None:
    """What is not claimed is not missing."""
    adapter = Lacking()
    jobs = plan([all_checks()["OUT-1.6/shapes-of-one"]], Capabilities.of(adapter))
    assert "base" in {job.head for job in jobs}
    assert {run_job(adapter, job, "smoke", 0).status for job in jobs} == {"passed"}


def test_an_output_that_should_be_there_is_called_missing() -> None:
    """No trace of the suite's own code instead."""

    class WithoutLoss(NumpyAdapter):
        def load(self, head: str, config: Any, weights: Any, dtype: str) -> Any:
            """A model that never returns a loss."""
            model = super().load(head, config, weights, dtype)

            def call(inputs: Any, *, style: str, options: Any) -> Any:
                return {name: value for name, value in model(inputs, style=style, options=options).items()
                        if name != "loss"}  # fmt: skip

            return call

    adapter = WithoutLoss("equations")
    job = next(job for job in plan(all_checks().values(), Capabilities.of(adapter)) if job.check.id == "LOSS-1.3/mean")
    assert run_job(adapter, job, "smoke", 0).message.startswith("loss is missing among the outputs, which are logits")


def test_an_error_of_another_kind_is_told_as_one() -> None:
    """What should have been a ValueError is named beside what it was."""

    class Raising(NumpyAdapter):
        def load(self, head: str, config: Any, weights: Any, dtype: str) -> Any:
            """A model that fails somewhere inside."""

            def call(inputs: Any, *, style: str, options: Any) -> Any:
                raise RuntimeError("size of tensor a must match b")

            return call

    adapter = Raising("equations")
    job = next(job for job in plan(all_checks().values(), Capabilities.of(adapter)) if job.check.id == "ERR-1/neither")
    message = run_job(adapter, job, "smoke", 0).message
    assert "expected a ValueError or TypeError that mentions" in message
    assert "got RuntimeError: size of tensor a must match b" in message


class Naming(NumpyAdapter):
    """Supports these arguments alone, and names others, or the same, in its errors."""

    def __init__(self, takes: tuple[str, ...], names: tuple[str, ...]) -> None:
        super().__init__("equations")
        self.takes, self.names = takes, names
        self.capabilities = {**CAPABILITIES, "output_objects": False, "call_styles": ["keywords", "dict"]}

    def load(self, head: str, config: Any, weights: Any, dtype: str) -> Any:
        """A model with errors of its own."""
        model = super().load(head, config, weights, dtype)

        def call(inputs: Any, *, style: str, options: Any) -> Any:
            unknown = [name for name in inputs if name == "attention_masks"]
            if unknown or ("input_ids" not in inputs and "inputs_embeds" not in inputs):
                raise ValueError(f"{unknown}: needed or allowed are {', '.join(self.names)}")
            if inputs.keys() - set(self.takes):
                raise Unsupported(", ".join(inputs.keys() - set(self.takes)))
            return model(inputs, style=style, options=options)

        return call


ERRORS = ("ERR-1/neither", "ERR-8.1/unknown-keyword", "ERR-8.1/unknown-key")


def test_an_error_need_not_name_an_argument_that_is_not_there() -> None:
    """Without inputs_embeds and token types, a list of the allowed names holds neither."""
    takes = ("input_ids", "attention_mask")
    found = statuses(Naming(takes, takes), *ERRORS)
    assert {identifier for identifier, _ in found} == set(ERRORS)
    assert set(found.values()) == {"passed"}


def test_an_error_has_to_name_every_argument_that_is_there() -> None:
    """A list that leaves out what the model takes fails, whoever lacks something else."""
    names = ("input_ids", "attention_mask")
    everything = (*names, "token_type_ids", "inputs_embeds")
    assert set(statuses(Naming(everything, names), *ERRORS).values()) == {"failed"}
    found = statuses(Naming((*names, "token_type_ids"), names), *ERRORS)
    assert {status for (identifier, _), status in found.items() if identifier.startswith("ERR-8.1")} == {"failed"}
    assert {status for (identifier, _), status in found.items() if identifier.startswith("ERR-1")} == {"passed"}


def test_one_of_many_ways_to_say_a_thing_is_told() -> None:
    """Who reads of a missing refusal sees a shape, not every way to write it."""
    with pytest.raises(NotRefused, match=r"mask: expected an error that mentions mask, 3 or 4, \(1, 2\) \(or as much"):
        Trial(Lacking(), "float32").refuses(lambda: None, "mask", ("3", "4", "4"), ("(1, 2)", "[1, 2]", "1, 2"))


def test_a_page_draws_the_errors_of_who_shows_no_layers() -> None:
    """By the outputs that there are."""
    growth = measure_growth(Lacking())
    assert not growth.problem
    assert [tap.tap for tap in growth.taps] == ["last_hidden_state"]
    drawn = growth_picture([{"implementation": "lacking", "growth": asdict(growth)}])
    assert ">last_hidden_state<" in drawn


def test_the_three_are_there_unless_said_otherwise() -> None:
    """The least adapter claims what the documentation promises."""
    least = Capabilities(heads=("base",))
    assert all(getattr(least, name) for name in HIDDEN)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.zeros((1, 2, 8)), "the call returned a ndarray, expected a mapping of output names to arrays"),
        ({"states": np.zeros((1, 2, 8))}, "last_hidden_state, pooler_output; there is states"),
        ({}, "pooler_output; there is nothing"),
    ],
)
def test_what_a_call_returns_instead_of_outputs_is_told(returned: Any, message: str) -> None:
    """In words about the adapter, without a trace of the suite's own code, and without a word on arithmetic."""

    class Odd(NumpyAdapter):
        def load(self, head: str, config: Any, weights: Any, dtype: str) -> Any:
            """What returns the same whatever is asked."""
            return lambda inputs, *, style, options: returned

    result = check_implementation(Odd("equations"), level="smoke", clauses=["NUM-1.1/parity"])
    assert {record.status for record in result.records} == {"failed"}
    record = next(record for record in result.records if record.head == "base")
    assert record.message.endswith(message)
    assert "agrees with the oracle" not in " ".join(record.diagnosis)
    vector = next(vector for vector in load_vectors() if vector.id == "base-plain")
    assert verify_vector(Odd("equations"), vector, "float32").status == "failed"


def test_a_load_that_returns_nothing_is_told() -> None:
    """The most common slip of a first adapter: the function is not returned."""

    class Forgetful(NumpyAdapter):
        def load(self, head: str, config: Any, weights: Any, dtype: str) -> Any:
            """Without a return."""

    result = check_implementation(Forgetful("equations"), level="smoke", clauses=["NUM-1.1/parity"])
    assert {record.message for record in result.failed} == {
        "load returned a NoneType, expected what is called with the inputs"
    }
