"""One check on one head: a typical case, drawn ones, the smallest that fails; and what came of it as a record."""

from __future__ import annotations

import time
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed

from .budget import FAILS_AT
from .fixed import CHECKPOINT, FixedWeights
from .levels import examples
from .partial import MissingOutput
from .planning import Job
from .protocol import Adapter, AdapterError, ImplementationDied, is_unsupported
from .records import Record
from .registry import Check
from .strategies import Case
from .trial import Trial, Violation


def run_job(
    adapter: Adapter,
    job: Job,
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
    drawn_from = _drawn_from(job, seed)
    started = time.perf_counter()
    case, failure = attempts.result(lambda: attempts(job.check.typical(job.head, drawn_from)))
    more = examples(level, job.check.effort) - 1
    if more and (shrink or not failure) and not attempts.ended:
        search = _search(attempts, job, drawn_from, more, shrink)
        smaller, found = attempts.result(search)
        case, failure = (smaller, found) if found else (case, failure)
    return replace(
        planned(job, replay_line(job, level, seed, k, name or adapter.name) if failure else ""),
        status="failed" if failure else "passed" if attempts.count else "not_claimed",
        message=failure or ("" if attempts.count else f"needs {attempts.unsupported}"),
        case=attempts.told(case) if failure and case else "",
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
        planned(Job(check, case.head, dtype), ""),
        status="failed" if failure else "passed" if attempts.count else "not_claimed",
        message=failure or ("" if attempts.count else f"needs {attempts.unsupported}"),
        case=attempts.told(case),
        tried=attempts.latest,
        grade=attempts.trial.grade or None,
        examples=attempts.count,
        seconds=time.perf_counter() - started,
    )


def drawn_cases(job: Job, seed: int, count: int) -> list[Case]:
    """The `count` cases that `run_job` tries with this seed, as long as none of them fails."""
    drawn_from = _drawn_from(job, seed)
    drawn = [job.check.typical(job.head, drawn_from)]
    if count > 1:
        _search(drawn.append, job, drawn_from, count - 1, shrink=False)()
    return drawn


def _drawn_from(job: Job, seed: int) -> int:
    return zlib.crc32(f"{seed} {job.check.id} {job.head} {job.dtype}".encode())


def planned(job: Job, replay: str) -> Record:
    """What is known of a check's record before it is run."""
    check = job.check
    return Record(
        check.id, check.clause, job.head, job.dtype, "failed", claim=check.claim, replay=replay, also=check.also
    )


def replay_line(job: Job, level: str, seed: int, k: float, name: str) -> str:
    """The command line that runs a check again, on the same examples."""
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
        any(self._tried(one) for one in (case, *self.check.simpler(case)))

    def _tried(self, case: Case) -> bool:
        """Whether the case asks for nothing that is unsupported."""
        own_case: Any = getattr(self.trial.adapter, "own_case", None)
        self.count += 1
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
            return False
        return True

    def told(self, case: Case) -> str:
        """One line on a case; the weights of an implementation that has but one model are nobody's drawing."""
        return case.described(weights=CHECKPOINT if isinstance(self.trial.adapter, FixedWeights) else "")

    def result(self, attempt: Callable[[], None]) -> tuple[Case | None, str]:
        """The case that `attempt` ended with, and why it failed; "" when it did not."""
        try:
            attempt()
        except _Ended as death:
            return self.latest, str(death)
        except (Violation, MissingOutput, AdapterError) as violation:
            return self.latest, str(violation)
        except Exception as error:  # whatever an implementation throws at a legitimate call is its failure
            return self.latest, f"{type(error).__name__}: {error}\n{_last_frames(error)}"
        return self.latest, ""


def _search(
    attempts: Callable[[Case], None], job: Job, drawn_from: int, examples: int, shrink: bool
) -> Callable[[], None]:
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


def _last_frames(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-2:]
    return "\n".join(f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames)
