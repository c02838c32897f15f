"""The commands that look for false alarms and for runs that differ do what they say."""

from __future__ import annotations

import numpy as np
import pytest

from roformer_conformance.planning import plan
from roformer_conformance.protocol import Capabilities
from roformer_conformance.registry import all_checks
from roformer_conformance.running import run_job
from roformer_numpy.components import EQUATIONS

from .no_false_alarm import drawn, reordered
from .repeat import timeless


def test_sums_in_another_order_are_another_arithmetic() -> None:
    """Correct to rounding, and not to the last bit: else the variant would show nothing."""
    draw = np.random.default_rng(0)
    x, kernel, bias = (draw.normal(size=shape).astype("float32") for shape in ((5, 64), (64, 32), (32,)))
    right, other = EQUATIONS.dense(x, kernel, bias), reordered().components.dense(x, kernel, bias)
    np.testing.assert_allclose(other, right, atol=1e-4)
    assert not np.array_equal(other, right)


@pytest.mark.parametrize("identifier", ["NUM-1.1/parity", "TRAIN-2.1/parity"])
def test_the_reordered_definition_is_not_accused(identifier: str) -> None:
    """Of the outputs and of the gradients, at smoke level."""
    adapter = reordered()
    jobs = plan([all_checks()[identifier]], Capabilities.of(adapter), "smoke")
    assert {run_job(adapter, job, "smoke", seed=7).status for job in jobs} == {"passed"}


def test_no_time_means_no_draws() -> None:
    """The command ends when its time is over, whatever is left."""
    assert drawn(0, 0.0) == ({}, [], {})


def test_times_are_all_that_is_left_out_of_a_comparison() -> None:
    """At any depth of the document."""
    document = {"seconds": 1.0, "records": [{"id": "a", "seconds": 2.0}], "preparation_seconds": 0.5, "level": "smoke"}
    assert timeless(document) == {"records": [{"id": "a"}], "level": "smoke"}
