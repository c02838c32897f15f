"""The suite inside somebody's pytest run: one item for each check, head and type."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .protocol import Adapter, Capabilities
from .records import Record
from .registry import all_checks
from .runner import UsageError, plan, run_job
from .vectors import load_vectors, verify_vector


def parametrize_with_checks(
    adapter: Adapter, *, level: str = "default", seed: int = 0, expected_failures: str | Path | None = None
) -> Any:
    """Decorate `def test_my_roformer(check): check()` to run the whole suite on `adapter`.

    Args:
        adapter: the implementation.
        level: how many examples each check is tried on.
        seed: of the examples.
        expected_failures: a TOML file of `[[expected]]` tables with `id` and `reason`: these checks have to fail, and
            one that passes is reported as a failure.

    Raises:
        UsageError: the file names a check that does not exist, or gives no reason.
    """
    import pytest  # the suite runs without it

    attempts = _attempts(adapter, level, seed)
    expected = _expected(expected_failures, {name.partition("[")[0] for name in attempts})
    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(attempt, id=name, marks=_marks(expected.get(name.partition("[")[0])))
            for name, attempt in attempts.items()
        ],
    )


def _attempts(adapter: Adapter, level: str, seed: int) -> dict[str, Callable[[], None]]:
    capabilities, attempts = Capabilities.of(adapter), dict[str, Callable[[], None]]()
    for job in plan(all_checks().values(), capabilities):
        name = f"{job.check.id}[{job.head}-{job.dtype}]"
        attempts[name] = lambda job=job: _raise(run_job(adapter, job, level, seed))  # type: ignore[misc]
    for vector in load_vectors():
        if vector.head in capabilities.heads and all(getattr(capabilities, need) for need in vector.needs()):
            name = f"{vector.clauses[0]}/vector-{vector.id}[{vector.head}-{capabilities.dtypes[-1]}]"
            attempts[name] = lambda vector=vector: _raise(verify_vector(adapter, vector, capabilities.dtypes[-1]))  # type: ignore[misc]
    return attempts


def _raise(record: Record) -> None:
    case = f"\ncase: {record.case}" if record.case else ""
    assert record.status == "passed", f"{record.claim}\n{record.message}{case}"


def _marks(reason: str | None) -> Any:
    import pytest

    return () if reason is None else pytest.mark.xfail(reason=reason, strict=True)


def _expected(path: str | Path | None, known: set[str]) -> dict[str, str]:
    """Check ids and the reasons why they have to fail."""
    if path is None:
        return {}
    try:
        entries = tomllib.loads(Path(path).read_text(encoding="utf-8")).get("expected", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    for entry in entries:
        if not entry.get("id") or not entry.get("reason"):
            raise UsageError(f"{path}: every [[expected]] has an id and a reason, got {entry}")
        if entry["id"] not in known:
            raise UsageError(f"{path}: no check that this adapter claims is called {entry['id']!r}")
    return {entry["id"]: entry["reason"] for entry in entries}
