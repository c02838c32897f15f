"""The suite inside somebody's pytest run: one item for each check, head and type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from .expectations import Expectation, load_expectations, require_known
from .protocol import Adapter, Capabilities
from .records import Record
from .registry import all_checks
from .runner import plan, run_job, runs
from .vectors import load_vectors, verify_vector


def parametrize_with_checks(
    adapter: Adapter, *, level: str = "default", seed: int = 0, expected_failures: str | Path | None = None
) -> Any:
    """Decorate `def test_my_roformer(check): check()` to run the whole suite on `adapter`.

    Args:
        adapter: the implementation.
        level: how many examples each check is tried on.
        seed: of the examples.
        expected_failures: a TOML file of known failures, see `expectations`: these checks have to fail, and one that
            passes is reported as a failure.

    Raises:
        ExpectationError: the file names a check that is not run, or gives no reason.
    """
    import pytest  # the suite runs without it

    expected = () if expected_failures is None else load_expectations(expected_failures)
    capabilities = Capabilities.of(adapter)
    require_known(expected, runs(all_checks().values(), load_vectors(), capabilities))
    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(partial(_require, attempt), id=name, marks=_marks(expected, identifier, head))
            for name, identifier, head, attempt in _attempts(adapter, capabilities, level, seed)
        ],
    )


def _attempts(
    adapter: Adapter, capabilities: Capabilities, level: str, seed: int
) -> Iterator[tuple[str, str, str, Callable[[], Record]]]:
    """Name of the item, id of the check, head, and what runs it."""
    for job in plan(all_checks().values(), capabilities, level):
        run = partial(run_job, adapter, job, level, seed)
        yield f"{job.check.id}[{job.head}-{job.dtype}]", job.check.id, job.head, run
    dtype = capabilities.dtypes[-1]
    for vector in load_vectors():
        if vector.head in capabilities.heads and all(getattr(capabilities, need) for need in vector.needs()):
            verify = partial(verify_vector, adapter, vector, dtype)
            yield f"{vector.check_id}[{vector.head}-{dtype}]", vector.check_id, vector.head, verify


def _require(attempt: Callable[[], Record]) -> None:
    record = attempt()
    case = f"\ncase: {record.case}" if record.case else ""
    assert record.status == "passed", f"{record.claim}\n{record.message}{case}"


def _marks(expected: Iterable[Expectation], identifier: str, head: str) -> Any:
    import pytest

    return [pytest.mark.xfail(reason=item.reason, strict=True) for item in expected if item.names(identifier, head)]
