"""The suite inside somebody's pytest run: one item for each check, head and type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from .budget import FAILS_AT
from .clauses import PROFILES
from .expectations import Expectation, judged, load_expectations, require_known
from .failures import Examiner
from .planning import plan, runs
from .plugin import ConformanceCheck
from .precision import recorded
from .profiles.registered import profile_expectations
from .protocol import Adapter, Capabilities
from .records import Record
from .registry import all_checks
from .running import run_job
from .telling import in_order_of_computing
from .vectors import Vector, load_vectors, verify_vector


def parametrize_with_checks(
    adapter: Adapter,
    *,
    level: str = "default",
    seed: int = 0,
    expected_failures: str | Path | None = None,
    profile: str = PROFILES[0],
) -> Any:
    """Decorate `def test_my_roformer(check): check()` to run the whole suite on `adapter`.

    `pytest --conformance-level LEVEL --conformance-seed N` takes the place of `level` and `seed`, see `plugin`.

    Args:
        adapter: the implementation.
        level: how many examples each check is tried on.
        seed: of the examples.
        expected_failures: a TOML file of known failures, see `expectations`: these checks have to fail, and one that
            passes is reported as a failure.
        profile: whose registered behaviours are failures of the same kind, see `profiles`.

    Raises:
        UsageError: there is no such profile.
        ExpectationError: the file names a check that is not run, or gives no reason.
    """
    import pytest  # the suite runs without it

    expected = () if expected_failures is None else load_expectations(expected_failures)
    capabilities = Capabilities.of(adapter)
    known = runs(all_checks().values(), load_vectors(), capabilities)
    require_known(expected, known)
    expected = (*expected, *profile_expectations(profile, known))
    examiner = Examiner(adapter, FAILS_AT, adapter.name)
    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(ConformanceCheck(partial(_explained, examiner, expected, attempt), level, seed), id=name)
            for name, attempt in _attempts(adapter, capabilities, level)
        ],
    )


def _attempts(
    adapter: Adapter, capabilities: Capabilities, level: str
) -> Iterator[tuple[str, Callable[[str, int], Record]]]:
    """Name of the item, and what runs it at a level, with a seed."""
    checks = in_order_of_computing(list(all_checks().values()), lambda check: check.id)  # the first ones are explained
    for job in plan(checks, capabilities, level):
        yield f"{job.check.id}[{job.head}-{job.dtype}]", partial(run_job, adapter, job)
    for vector, dtype in product(load_vectors(), recorded(capabilities.dtypes)[-1:]):
        if vector.head in capabilities.heads and all(getattr(capabilities, need) for need in vector.needs()):
            yield f"{vector.check_id}[{vector.head}-{dtype}]", partial(_verify, adapter, vector, dtype)


def _explained(
    examiner: Examiner, expected: Sequence[Expectation], attempt: Callable[[str, int], Record], level: str, seed: int
) -> Record:
    """What came of a check; a failure says where it sits and what it looks like.

    One that differs as expected ends the item as pytest's expected failure; what is not claimed, as skipped.
    """
    import pytest

    record = examiner.examined(judged(attempt(level, seed), expected))
    if record.status == "differs":
        pytest.xfail(record.message.partition("\n")[0])
    if record.status == "not_claimed":
        pytest.skip(f"not claimed: {record.message}")
    return record


def _verify(adapter: Adapter, vector: Vector, dtype: str, level: str, seed: int) -> Record:
    """A golden vector is the same at every level and from every seed."""
    return verify_vector(adapter, vector, dtype)
