"""A whole run: every check that an implementation claims to stand, and what came of each as a result."""

from __future__ import annotations

import pickle
import platform
import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .budget import FAILS_AT
from .clauses import PROFILES, load_clauses
from .expectations import Expectation, judged, require_known
from .failures import Examiner
from .fixed import bound
from .kit import versions_of
from .levels import LEVELS, UsageError
from .planning import claims_of, not_claimed, plan, runs, selected
from .precision import recorded
from .profiles.registered import profile_expectations
from .protocol import Adapter, Capabilities, find_adapter
from .records import Record, Result
from .registry import Check
from .requirements import inapplicable
from .running import planned, replay_line, run_job
from .telling import most_telling
from .vectors import Vector, vector_record, verify_vector
from .workers import Attempt, spread

# How the names begin of what the implementation runs on.
IMPLEMENTATION = "implementation: "

Progress = Callable[[Record, int], None]


def check_implementation(
    adapter: Adapter,
    *,
    level: str = "default",
    clauses: Iterable[str] = (),
    seed: int = 0,
    k: float = FAILS_AT,
    expected: Sequence[Expectation] = (),
    profile: str = PROFILES[0],
    progress: Progress | None = None,
    replay_name: str | None = None,
    workers: int = 1,
    failures: Path | None = None,
    model: Path | None = None,
) -> Result:
    """Run every check that `adapter` claims to stand, and every golden vector that it claims to be able to compute.

    Args:
        adapter: see `protocol`.
        level: "smoke", "default" or "deep": how many examples each check is tried on.
        clauses: only these clauses, families or check ids; all when empty.
        seed: another seed draws other examples; the same seed the same ones.
        k: the grade at which a result fails.
        expected: failures that are known and have to happen, see `expectations`.
        profile: whose registered behaviours explain failures at contested points, see `profiles`; documented: nobody's.
        progress: called after each check, and after each failure was looked into, with its record and the number of
            all.
        replay_name: how a command line names the adapter; its own name by default.
        workers: processes that run the checks; the records and their order are the same for any number. More than one
            need a `replay_name` by which each finds the adapter, or an adapter that can be pickled.
        failures: a folder for one file a failure, see `failures`; none when left out.
        model: the checkpoint that an adapter with fixed weights was made from, see `fixed`.

    Raises:
        AdapterError: the adapter does not fit the protocol.
        UsageError: an unknown level or profile, a clause that does not exist, or an adapter that cannot be taken to
            workers.
        ExpectationError: an expected failure of a check that is not run.
    """
    run = Run(adapter, level, tuple(clauses), seed, k, replay_name, workers, failures, model)
    known = runs(*run.chosen, run.capabilities)
    require_known(expected, known)
    registered = profile_expectations(profile, known)
    started = time.perf_counter()
    preparation = run.prepare()
    records = run.judged_records([*expected, *registered], progress)
    return Result(
        implementation=run.adapter.name,
        version=run.adapter.version,
        level=level,
        seed=seed,
        records=tuple(records),
        claims=claims_of(list(run.clauses)),
        inapplicable=inapplicable(load_clauses(), run.capabilities),
        not_asked={clause.id: clause.not_asked for clause in load_clauses().values() if clause.not_asked},
        specified=sum(not clause.not_asked for clause in load_clauses().values()),
        seconds=time.perf_counter() - started - preparation,
        preparation_seconds=preparation,
        environment=environment(run.adapter),
        profile=profile,
    )


@dataclass
class Run:
    """What one run was asked for; the adapter is bound to its checkpoint, if it has one."""

    adapter: Adapter
    level: str
    clauses: tuple[str, ...]
    seed: int
    k: float
    replay_name: str | None
    workers: int
    failures: Path | None
    model: Path | None

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise UsageError(f"level {self.level!r} is not one of {', '.join(LEVELS)}")
        if self.workers < 1:
            raise UsageError(f"workers={self.workers} is not 1 or more")
        self.adapter = bound(self.adapter, self.model)
        self.capabilities = Capabilities.of(self.adapter)
        self.chosen = selected(list(self.clauses))

    @property
    def name(self) -> str:
        """How a command line names the implementation."""
        model = f" --model {shlex.quote(str(self.model))}" if self.model else ""
        return shlex.quote(self.replay_name or self.adapter.name) + model

    def prepare(self) -> float:
        """Compile or load what the implementation needs here; the seconds. Workers do so themselves."""
        adapter: Any = self.adapter
        return adapter.prepare() if hasattr(adapter, "prepare") and self.workers == 1 else 0.0

    def judged_records(self, expected: Sequence[Expectation], progress: Progress | None) -> list[Record]:
        """The records of all checks, in their order: judged by what was expected, failures examined at the end."""
        jobs = attempts(self.adapter, *self.chosen, self.level, self.seed, self.k, self.name)
        examiner = Examiner(self.adapter, self.k, self.replay_name or self.adapter.name, self.failures, self.model)
        came: dict[int, Record] = {}
        for number, record in self._arriving(jobs):
            came[number] = _repeatable(judged(record, expected), jobs[number])
            if progress is not None:
                progress(came[number], len(jobs))
        failed = [number for number in sorted(came) if came[number].status == "failed"]
        for number in most_telling(failed, lambda number: came[number].id):  # there is no time for all of them
            came[number] = examiner.examined(came[number])
            if progress is not None:
                progress(came[number], len(jobs) + len(failed))
        checks, _ = self.chosen
        unasked = [check for check in checks if not check.heads_for(self.capabilities)]
        return [not_claimed(check, self.capabilities) for check in unasked] + [came[number] for number in sorted(came)]

    def _arriving(self, jobs: Sequence[Attempt]) -> Iterable[tuple[int, Record]]:
        """The number of each job and its record, in the order in which they end."""
        if self.workers == 1:
            return ((number, job.run()) for number, job in enumerate(jobs))
        make = _maker(self.adapter, None if self.model else self.replay_name)
        prepare = partial(_prepared, make, list(self.clauses), self.level, self.seed, self.k, self.name)
        return spread(prepare, jobs, self.workers, getattr(self.adapter, "deaths", None))


def _repeatable(record: Record, job: Attempt) -> Record:
    """The record with the line that repeats it also where a check that had to fail has passed."""
    return record if record.status != "failed" or record.replay else replace(record, replay=job.lost.replay)


def attempts(
    adapter: Adapter,
    checks: Iterable[Check],
    vectors: Iterable[Vector],
    level: str,
    seed: int,
    k: float,
    name: str,
) -> list[Attempt]:
    """Everything that is run for an implementation: checks first, then golden vectors."""
    capabilities = Capabilities.of(adapter)
    tried = [
        Attempt(
            planned(job, replay_line(job, level, seed, k, name)), partial(run_job, adapter, job, level, seed, k, name)
        )
        for job in plan(checks, capabilities, level, seed)
    ]
    # a level of its own is not worth the oracle's runs around each vector: smoke takes the widest type alone
    dtypes = recorded(capabilities.dtypes)[-1 if level == "smoke" else 0 :]
    return tried + [
        Attempt(vector_record(vector, dtype, "failed", ""), partial(verify_vector, adapter, vector, dtype, name, k))
        for dtype in dtypes
        for vector in vectors
    ]


def _prepared(
    make: Callable[[], Adapter], wanted: list[str], level: str, seed: int, k: float, name: str
) -> tuple[Adapter, list[Attempt]]:
    """In a worker: the adapter, ready, and the same attempts as in the process that started it."""
    adapter = make()
    if hasattr(adapter, "prepare"):
        adapter.prepare()
    return adapter, attempts(adapter, *selected(wanted), level, seed, k, name)


def _maker(adapter: Adapter, name: str | None) -> Callable[[], Adapter]:
    """What gives a worker the adapter: its name, or itself."""
    if name is not None:
        return partial(find_adapter, name)
    try:
        return partial(pickle.loads, pickle.dumps(adapter))
    except Exception as error:  # pickling runs the adapter's own code
        raise UsageError(f"{adapter.name} cannot be taken to other processes, use workers=1: {error}") from error


def environment(adapter: Adapter) -> dict[str, str]:
    """What a result depends on: the suite's own environment, and what the implementation runs on."""
    packages = {name: version(name) for name in ("roformer-reference", "numpy", "hypothesis")}
    machine = {"machine": platform.machine(), "system": platform.system()}
    runs_on: Mapping[str, str] | None = getattr(adapter, "runs_on", None)  # of a process: its own words, or silence
    told = versions_of(adapter) if runs_on is None else runs_on
    return {
        "python": platform.python_version(), **machine, **packages,
        **{f"{IMPLEMENTATION}{name}": found for name, found in told.items()},
    }  # fmt: skip
