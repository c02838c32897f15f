"""Runs checks against an implementation and records what came of each."""

from __future__ import annotations

import pickle
import platform
import shlex
import time
import traceback
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed

from .budget import FAILS_AT
from .clauses import load_clauses, select
from .expectations import Expectation, judged, require_known
from .failures import Examiner
from .fixed import bound
from .levels import FIXED_SEED, LEVELS, UsageError, all_types, examples, some_heads
from .protocol import Adapter, Capabilities, ImplementationDied, find_adapter, is_unsupported
from .records import Record, Result
from .registry import Check, all_checks
from .requirements import inapplicable
from .strategies import Case
from .trial import Trial, Violation
from .vectors import Vector, load_vectors, vector_record, verify_vector
from .workers import Attempt, spread

Progress = Callable[[Record, int], None]


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
    expected: Sequence[Expectation] = (),
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
        progress: called after each check with its record and the number of all.
        replay_name: how a command line names the adapter; its own name by default.
        workers: processes that run the checks; the records and their order are the same for any number. More than one
            need a `replay_name` by which each finds the adapter, or an adapter that can be pickled.
        failures: a folder for one file a failure, see `failures`; none when left out.
        model: the checkpoint that an adapter with fixed weights was made from, see `fixed`.

    Raises:
        AdapterError: the adapter does not fit the protocol.
        UsageError: an unknown level, a clause that does not exist, or an adapter that cannot be taken to workers.
        ExpectationError: an expected failure of a check that is not run.
    """
    if level not in LEVELS:
        raise UsageError(f"level {level!r} is not one of {', '.join(LEVELS)}")
    if workers < 1:
        raise UsageError(f"workers={workers} is not 1 or more")
    adapter = bound(adapter, model)
    capabilities = Capabilities.of(adapter)
    wanted = list(clauses)
    checks, vectors = _selected(wanted)
    started = time.perf_counter()
    name = shlex.quote(replay_name or adapter.name) + (f" --model {shlex.quote(str(model))}" if model else "")
    jobs = attempts(adapter, checks, vectors, level, seed, k, name)
    records = [_not_claimed(check, capabilities) for check in checks if not check.heads_for(capabilities)]
    require_known(expected, runs(checks, vectors, capabilities))
    preparation = adapter.prepare() if hasattr(adapter, "prepare") and workers == 1 else 0.0
    if workers == 1:
        arriving: Iterable[tuple[int, Record]] = ((number, job.run()) for number, job in enumerate(jobs))
    else:
        prepare = partial(_prepared, _maker(adapter, None if model else replay_name), wanted, level, seed, k, name)
        arriving = spread(prepare, jobs, workers, getattr(adapter, "deaths", None))
    examiner = Examiner(adapter, k, replay_name or adapter.name, failures, model)
    came: dict[int, Record] = {}
    for number, record in arriving:
        came[number] = examiner.examined(judged(record, expected))
        if progress is not None:
            progress(came[number], len(jobs))
    records += [came[number] for number in range(len(jobs))]
    return Result(
        implementation=adapter.name,
        version=adapter.version,
        level=level,
        seed=seed,
        records=tuple(records),
        claims=_claims(wanted),
        inapplicable=inapplicable(load_clauses(), capabilities),
        not_asked={clause.id: clause.not_asked for clause in load_clauses().values() if clause.not_asked},
        seconds=time.perf_counter() - started - preparation,
        preparation_seconds=preparation,
        environment=environment(),
    )


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
        Attempt(_planned(job, _replay(job, level, seed, k, name)), partial(run_job, adapter, job, level, seed, k, name))
        for job in plan(checks, capabilities, level, seed)
    ]
    # a level of its own is not worth the oracle's runs around each vector: smoke takes the widest type alone
    dtypes = capabilities.dtypes[-1:] if level == "smoke" else capabilities.dtypes
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
    return adapter, attempts(adapter, *_selected(wanted), level, seed, k, name)


def _maker(adapter: Adapter, name: str | None) -> Callable[[], Adapter]:
    """What gives a worker the adapter: its name, or itself."""
    if name is not None:
        return partial(find_adapter, name)
    try:
        return partial(pickle.loads, pickle.dumps(adapter))
    except Exception as error:  # pickling runs the adapter's own code
        raise UsageError(f"{adapter.name} cannot be taken to other processes, use workers=1: {error}") from error


def runs(checks: Iterable[Check], vectors: Iterable[Vector], capabilities: Capabilities) -> set[tuple[str, str]]:
    """The ids of checks and vectors, and the heads, that are run for an implementation."""
    planned = {(job.check.id, job.head) for job in plan(checks, capabilities)}
    return planned | {(vector.check_id, vector.head) for vector in vectors if vector.head in capabilities.heads}


def environment() -> dict[str, str]:
    """What a result depends on beside the implementation."""
    packages = {name: version(name) for name in ("roformer-reference", "numpy", "hypothesis")}
    return {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system(), **packages}


def plan(
    checks: Iterable[Check], capabilities: Capabilities, level: str = "default", seed: int = FIXED_SEED
) -> list[_Job]:
    """Each check on each head and type that the implementation claims; types beyond the first on one head alone.

    Smoke level takes three heads of many, others with another seed.

    A tokenizer computes in no floating-point type, so that its checks run once.
    """
    jobs = []
    for check in checks:
        for number, head in enumerate(some_heads(check.heads_for(capabilities), level, check.id, seed)):
            typed = number == 0 and "tokenizer" not in check.needs and all_types(level, check.clause.partition("-")[0])
            jobs += [_Job(check, head, dtype) for dtype in capabilities.dtypes[: None if typed else 1]]
    return jobs


def run_job(
    adapter: Adapter,
    job: _Job,
    level: str,
    seed: int,
    k: float = FAILS_AT,
    name: str = "",
    *,
    shrink: bool = True,
) -> Record:
    """Try one check on one head: a typical case, then drawn ones until one fails; look for a smaller one that does.

    At smoke level the typical case is all, and its failure is reported as it is; so it is unless `shrink`.
    """
    attempts = _Attempts(job.check, Trial(adapter, job.dtype, k))
    drawn_from = zlib.crc32(f"{seed} {job.check.id} {job.head} {job.dtype}".encode())
    started = time.perf_counter()
    case, failure = attempts.result(lambda: attempts(job.check.typical(job.head, drawn_from)))
    more = examples(level, job.check.effort) - 1
    if more and (shrink or not failure) and not attempts.ended:
        search = _search(attempts, job, drawn_from, more, shrink)
        smaller, found = attempts.result(search)
        case, failure = (smaller, found) if found else (case, failure)
    return replace(
        _planned(job, _replay(job, level, seed, k, name or adapter.name) if failure else ""),
        status="failed" if failure else "passed" if attempts.count else "not_claimed",
        message=failure or ("" if attempts.count else f"needs {attempts.unsupported}"),
        case=case.described() if failure and case else "",
        tried=case if failure else None,
        diagnosis=("the implementation died, and was not asked again",) if attempts.ended else (),
        grade=attempts.trial.grade or None,
        examples=attempts.count,
        seconds=time.perf_counter() - started,
    )


def run_case(adapter: Adapter, check: Check, case: Case, dtype: str, k: float = FAILS_AT) -> Record:
    """Try one check on one case."""
    attempts, started = _Attempts(check, Trial(adapter, dtype, k)), time.perf_counter()
    _, failure = attempts.result(lambda: attempts(case))
    return replace(
        _planned(_Job(check, case.head, dtype), ""),
        status="failed" if failure else "passed" if attempts.count else "not_claimed",
        message=failure or ("" if attempts.count else f"needs {attempts.unsupported}"),
        case=case.described(),
        tried=attempts.latest,
        grade=attempts.trial.grade or None,
        examples=attempts.count,
        seconds=time.perf_counter() - started,
    )


def _planned(job: _Job, replay: str) -> Record:
    """What is known of a check's record before it is run."""
    check = job.check
    return Record(
        check.id, check.clause, job.head, job.dtype, "failed", claim=check.claim, replay=replay, also=check.also
    )


def _replay(job: _Job, level: str, seed: int, k: float, name: str) -> str:
    again = f"roformer-conformance check {name} --clause {job.check.id} --level {level} --seed {seed}"
    return again + ("" if k == FAILS_AT else f" --budget-k {k:g}")


class _Ended(BaseException):
    """The implementation died: nothing below may catch this, and nobody looks for a smaller case that kills."""


@dataclass
class _Attempts:
    """A check under trial, and what it was tried on; a case that asks for what is unsupported was not tried."""

    check: Check
    trial: Trial
    count: int = 0
    latest: Case | None = None
    unsupported: str = ""
    ended: bool = False

    def __call__(self, case: Case) -> None:
        """Try the check on one case."""
        self.count += 1
        own_case: Any = getattr(self.trial.adapter, "own_case", None)
        try:
            self.latest = case if own_case is None else own_case(self.check, case)
            self.check.function(self.trial, self.latest)
        except ImplementationDied as death:
            self.ended = True
            raise _Ended(str(death)) from death
        except Exception as error:
            if not is_unsupported(error):
                raise
            self.unsupported = str(error) or "what it raised Unsupported for"
            self.count -= 1

    def result(self, attempt: Callable[[], None]) -> tuple[Case | None, str]:
        """The case that `attempt` ended with, and why it failed; "" when it did not."""
        try:
            attempt()
        except _Ended as death:
            return self.latest, str(death)
        except Violation as violation:
            return self.latest, str(violation)
        except Exception as error:  # whatever an implementation throws at a legitimate call is its failure
            return self.latest, f"{type(error).__name__}: {error}\n{_last_frames(error)}"
        return self.latest, ""


def _search(attempts: _Attempts, job: _Job, drawn_from: int, examples: int, shrink: bool) -> Callable[[], None]:
    """A search by Hypothesis for a case that fails, and for the smallest such case if `shrink`."""

    @hypothesis_seed(drawn_from)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )
    @given(job.check.strategy(job.head))
    def search(case: Case) -> None:
        attempts(case)

    run: Callable[[], None] = search
    return run


def _not_claimed(check: Check, capabilities: Capabilities) -> Record:
    lacking = [need for need in check.needs if not capabilities.claims(need)]
    needs = f"needs {', '.join(lacking) or ' or '.join(f'head {head}' for head in check.heads)}"
    return Record(check.id, check.clause, "", "", "not_claimed", check.claim, message=needs, also=check.also)


def _selected(wanted: list[str]) -> tuple[list[Check], Sequence[Vector]]:
    """The checks and vectors that are about the wanted clauses, families or ids; all of them when nothing is wanted."""
    checks, vectors = list(all_checks().values()), load_vectors()
    if not wanted:
        return checks, vectors
    known_items = [(item.id, item.clauses) for item in checks] + [(item.id, item.clauses) for item in vectors]
    for name in wanted:
        known = any(_is_about(name, *item) for item in known_items)
        if not known and not select(load_clauses(), name):
            raise UsageError(f"no clause or check is called {name!r}; `roformer-conformance clauses` lists them")
    return (
        [item for item in checks if any(_is_about(name, item.id, item.clauses) for name in wanted)],
        [item for item in vectors if any(_is_about(name, item.id, item.clauses) for name in wanted)],
    )


def _claims(wanted: list[str]) -> tuple[str, ...]:
    """The ids of the claims that were asked for: all of the specification's when nothing was singled out."""
    known = load_clauses()
    chosen = {clause.id for name in wanted for clause in select(known, name.partition("/")[0])}
    return tuple(claim for claim in known if not wanted or claim in chosen)


def _is_about(name: str, identifier: str, clauses: Iterable[str]) -> bool:
    return identifier == name or any(
        clause == name or clause.startswith((f"{name}.", f"{name}-")) for clause in clauses
    )


def _last_frames(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-2:]
    return "\n".join(f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames)
