"""The TensorFlow implementation against the contract: every check once eagerly, a selection in a graph and under XLA.

All of them in a graph and under XLA take far longer, most of it tracing and compiling:

    roformer-conformance check tensorflow:graph --level smoke
    roformer-conformance check tensorflow:xla --level smoke
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from roformer_conformance import parametrize_with_checks
from roformer_conformance.planning import plan
from roformer_conformance.protocol import Capabilities
from roformer_conformance.registry import Check, all_checks
from roformer_conformance.running import run_job
from roformer_conformance.vectors import load_vectors
from roformer_tensorflow.adapter import TensorFlowAdapter, graph_adapter, xla_adapter

ADAPTER = TensorFlowAdapter()


def test_every_golden_vector_is_judged_strictly() -> None:
    """What transformers gave in float64 is to be met to 1e-11: the vectors are among the checks below, in float64."""
    assert Capabilities.of(ADAPTER).dtypes[-1] == "float64"
    assert all(vector.described["tolerance"]["relative"] <= 1e-11 for vector in load_vectors())


@parametrize_with_checks(ADAPTER, level="smoke")
def test_the_contract_holds(check) -> None:
    """Each check that the adapter's claims allow, and each golden vector in the last type it claims."""
    check()


def group_of(check: Check) -> str:
    """What checks of one clause have in common, `MASK-1`."""
    return check.clause.partition(".")[0]


def family_of(check: Check) -> str:
    """What checks of one family have in common, `MASK`."""
    return check.clause.partition("-")[0]


def first_of_each(adapter: Any, kind: Callable[[Check], str]) -> list[Any]:
    """The first check of each kind, on the first head it is about; what executes in every mode anyway is left out."""
    jobs = plan(all_checks().values(), Capabilities.of(adapter), "smoke")
    other = [job for job in jobs if not {"graph", "keras", "tokenizer", "generation"} & set(job.check.needs)]
    chosen = {kind(job.check): job for job in reversed(other)}
    return [pytest.param(adapter, job, id=f"{adapter.mode}-{job.check.id}-{job.head}") for job in chosen.values()]


@pytest.mark.parametrize(
    ("adapter", "job"), [*first_of_each(graph_adapter(), group_of), *first_of_each(xla_adapter(), family_of)]
)
def test_the_contract_holds_compiled(adapter: Any, job: Any) -> None:
    """In a graph one check of each clause, under XLA one of each family: nothing is lost on the way there."""
    record = run_job(adapter, job, "smoke", seed=0)
    assert record.status == "passed", f"{record.claim}\n{record.message}\n{record.case}"


def test_every_variant_claims_the_same() -> None:
    """A graph and XLA are held to all that the eager call is held to, and to all that the reference is held to."""
    from roformer_numpy.adapter import CAPABILITIES  # the claims alone

    for adapter in (graph_adapter(), xla_adapter()):
        assert adapter.capabilities == ADAPTER.capabilities
    lacking = {name for name, claim in CAPABILITIES.items() if claim and not ADAPTER.capabilities.get(name)}
    assert lacking == set()
