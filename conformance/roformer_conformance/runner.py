"""Runs checks against an implementation and records what came of each."""

from __future__ import annotations

import time
import traceback
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed

from .budget import FAILS_AT
from .clauses import load_clauses, select
from .protocol import Adapter, Capabilities
from .registry import Check, all_checks
from .strategies import Case
from .trial import Trial, Violation

# Examples of each check on each head.
LEVELS = {"smoke": 1, "default": 10, "deep": 150}

Progress = Callable[["Record", int], None]


class UsageError(ValueError):
    """The suite was asked for something that does not exist."""


@dataclass(frozen=True)
class Record:
    """What came of one check on one head and one floating-point type."""

    id: str
    clause: str
    head: str
    dtype: str
    status: str  # passed, failed, not_claimed
    claim: str = ""
    message: str = ""
    case: str = ""
    grade: float | None = None
    examples: int = 0
    seconds: float = 0.0
    replay: str = ""


@dataclass(frozen=True)
class Result:
    """All records of one run; `clauses` holds every clause, tried or not."""

    implementation: str
    version: str
    level: str
    seed: int
    records: tuple[Record, ...]
    clauses: tuple[str, ...]
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> list[Record]:
        """Records of claims that held."""
        return [record for record in self.records if record.status == "passed"]

    @property
    def failed(self) -> list[Record]:
        """Records of claims that did not hold."""
        return [record for record in self.records if record.status == "failed"]

    @property
    def differs(self) -> list[Record]:
        """Records of claims that the chosen profile registers as different."""
        return [record for record in self.records if record.status == "differs"]

    @property
    def not_claimed(self) -> list[Record]:
        """Records of checks that the implementation does not claim to stand; they never count as passed."""
        return [record for record in self.records if record.status == "not_claimed"]

    @property
    def conforms(self) -> bool:
        """Whether something was tried and nothing failed."""
        return bool(self.passed) and not self.failed


@dataclass(frozen=True)
class _Job:
    check: Check
    head: str
    dtype: str


def check_implementation(
    adapter: Adapter,
    *,
    level: str = "default",
    clauses: Iterable[str] = (),
    seed: int = 0,
    k: float = FAILS_AT,
    progress: Progress | None = None,
) -> Result:
    """Run every check that `adapter` claims to stand.

    Args:
        adapter: see `protocol`.
        level: "smoke", "default" or "deep": how many examples each check is tried on.
        clauses: only these clauses, families or check ids; all when empty.
        seed: another seed draws other examples; the same seed the same ones.
        k: the grade at which a result fails.
        progress: called after each check with its record and the number of all.

    Raises:
        AdapterError: the adapter does not fit the protocol.
        UsageError: an unknown level, or a clause that does not exist.
    """
    if level not in LEVELS:
        raise UsageError(f"level {level!r} is not one of {', '.join(LEVELS)}")
    capabilities = Capabilities.of(adapter)
    checks = _selected(list(clauses))
    started = time.perf_counter()
    jobs, records = (
        plan(checks, capabilities),
        [_not_claimed(check) for check in checks if not check.heads_for(capabilities)],
    )
    for job in jobs:
        record = run_job(adapter, job, level, seed, k)
        records.append(record)
        if progress is not None:
            progress(record, len(jobs))
    known = tuple(clause.id for clause in load_clauses().values())
    return Result(adapter.name, adapter.version, level, seed, tuple(records), known, time.perf_counter() - started)


def plan(checks: Iterable[Check], capabilities: Capabilities) -> list[_Job]:
    """Each check on each head and type that the implementation claims; types beyond the first on one head alone."""
    jobs = []
    for check in checks:
        for number, head in enumerate(check.heads_for(capabilities)):
            jobs += [_Job(check, head, dtype) for dtype in capabilities.dtypes[: None if number == 0 else 1]]
    return jobs


def run_job(adapter: Adapter, job: _Job, level: str, seed: int, k: float = FAILS_AT) -> Record:
    """Try one check on one head: draw examples until one fails, then shrink it."""
    trial, attempts, seen = Trial(adapter, job.dtype, k), [0], list[Case]()
    examples = max(1, round(LEVELS[level] * job.check.effort))

    @hypothesis_seed(zlib.crc32(f"{seed} {job.check.id} {job.head} {job.dtype}".encode()))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )
    @given(job.check.strategy(job.head))
    def attempt(case: Case) -> None:
        attempts[0] += 1
        seen[:] = [case]
        job.check.function(trial, case)

    started, failure = time.perf_counter(), ""
    try:
        attempt()
    except Violation as violation:
        failure = str(violation)
    except Exception as error:  # whatever an implementation throws at a legitimate call is its failure
        failure = f"{type(error).__name__}: {error}\n{_last_frames(error)}"
    base = _record(job, attempts[0], time.perf_counter() - started, trial.grade)
    return base if not failure else _failed(base, failure, seen, adapter, level, seed)


def _record(job: _Job, attempts: int, seconds: float, grade: float) -> Record:
    return Record(
        job.check.id, job.check.clause, job.head, job.dtype, "passed", job.check.claim,
        grade=grade or None, examples=attempts, seconds=seconds,
    )  # fmt: skip


def _failed(base: Record, message: str, seen: list[Case], adapter: Adapter, level: str, seed: int) -> Record:
    case = seen[0].described() if seen else ""
    replay = f"roformer-conformance check {adapter.name} --clause {base.id} --level {level} --seed {seed}"
    return Record(**{**vars(base), "status": "failed", "message": message, "case": case, "replay": replay})


def _not_claimed(check: Check) -> Record:
    return Record(check.id, check.clause, "", "", "not_claimed", check.claim, message=f"needs {', '.join(check.needs)}")


def _selected(wanted: list[str]) -> list[Check]:
    checks = list(all_checks().values())
    if not wanted:
        return checks
    clauses = load_clauses()
    chosen: dict[str, Check] = {}
    for name in wanted:
        found = [item for item in checks if _is_about(item, name, clauses)]
        if not found and not select(clauses, name):
            raise UsageError(f"no clause or check is called {name!r}; `roformer-conformance clauses` lists them")
        chosen |= {item.id: item for item in found}
    return list(chosen.values())


def _is_about(check: Check, name: str, clauses: Mapping[str, Any]) -> bool:
    return check.id == name or any(
        clause == name or clause.startswith((f"{name}.", f"{name}-")) for clause in (check.clause, *check.also)
    )


def _last_frames(error: Exception) -> str:
    return "".join(traceback.format_tb(error.__traceback__)[-2:]).rstrip()
