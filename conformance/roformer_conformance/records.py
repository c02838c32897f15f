"""What came of checks: one record each, and the result of a whole run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .strategies import Case

STATUSES = ("passed", "failed", "differs", "not_claimed")


@dataclass(frozen=True)
class Record:
    """What came of one check, or of one golden vector, on one head and one floating-point type."""

    id: str  # begins with its clause
    clause: str
    head: str
    dtype: str
    status: str  # one of STATUSES
    claim: str = ""
    message: str = ""
    case: str = ""
    grade: float | None = None
    examples: int = 0
    seconds: float = 0.0
    replay: str = ""
    also: tuple[str, ...] = ()  # further clauses that it bears on
    tried: Case | None = None  # what it failed on
    diagnosis: tuple[str, ...] = ()  # where a failure sits and what it looks like, a sentence each
    looks_like: tuple[str, ...] = ()  # the known mistakes that explain a failure, all of them equally well
    saved: str = ""  # the file that `roformer-conformance replay` takes

    @property
    def clauses(self) -> tuple[str, ...]:
        """Every clause that this record bears on."""
        return (self.clause, *self.also)


@dataclass(frozen=True)
class Coverage:
    """How much of the specification was tried: run ≤ applicable ≤ total, and the ids that make the difference."""

    total: tuple[str, ...]
    not_asked: tuple[str, ...]  # no implementation can be asked, says the specification
    not_claimed: tuple[str, ...]  # about something that the implementation does not claim to have
    run: tuple[str, ...]
    unchecked: tuple[str, ...]  # applicable, and no check of this suite tries them yet


@dataclass(frozen=True)
class TapError:
    """What an implementation and honest arithmetic lose up to one output: relative root mean square errors."""

    tap: str
    error: float
    honest: float
    grade: float


@dataclass(frozen=True)
class AttentionDifference:
    """Attention weights that lie outside the budget: |got − expected| of the first such layer's worst head."""

    tap: str
    head: int
    grade: float
    difference: tuple[tuple[float, ...], ...]  # (queries, keys)


@dataclass(frozen=True)
class Growth:
    """How the error grows from layer to layer, on one model that is the same for every implementation."""

    head: str
    dtype: str
    described: str
    taps: tuple[TapError, ...] = ()
    attention: AttentionDifference | None = None
    problem: str = ""  # why there are no taps


@dataclass(frozen=True)
class Result:
    """All records of one run; `claims` are the ids of every claim in the specification, tried or not."""

    implementation: str
    version: str
    level: str
    seed: int
    records: tuple[Record, ...]
    claims: tuple[str, ...]
    inapplicable: Mapping[str, str] = field(default_factory=dict)  # claim → the capability that it is about
    not_asked: Mapping[str, str] = field(default_factory=dict)  # claim → why no implementation can be asked
    seconds: float = 0.0
    preparation_seconds: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)
    growth: Growth | None = None  # measured for reports alone
    profile: str = "documented"  # whose registered behaviours explain differences
    specified: int = (
        0  # how many claims an implementation can be asked, whichever of them this run was about; 0: unknown
    )

    def with_status(self, status: str) -> list[Record]:
        """The records of one status."""
        return [record for record in self.records if record.status == status]

    @property
    def passed(self) -> list[Record]:
        """Records of claims that held."""
        return self.with_status("passed")

    @property
    def failed(self) -> list[Record]:
        """Records of claims that did not hold."""
        return self.with_status("failed")

    @property
    def differs(self) -> list[Record]:
        """Records of claims that did not hold in a way that was expected and says why."""
        return self.with_status("differs")

    @property
    def not_claimed(self) -> list[Record]:
        """Records of checks that the implementation does not claim to stand; they never count as passed."""
        return self.with_status("not_claimed")

    @property
    def conforms(self) -> bool:
        """Whether something was tried and nothing failed."""
        return bool(self.passed) and not self.failed

    def coverage(self, family: str = "") -> Coverage:
        """What was tried of one family of clauses, or of all."""
        total = tuple(claim for claim in self.claims if claim.startswith(f"{family}-") or not family)
        ran = {clause for record in self.records if record.status != "not_claimed" for clause in record.clauses}
        asked = {clause for record in self.not_claimed for clause in record.clauses}
        run = tuple(claim for claim in total if claim in ran)
        not_claimed = tuple(claim for claim in total if claim in (asked | self.inapplicable.keys()) - ran)
        not_asked = tuple(claim for claim in total if claim in self.not_asked and claim not in {*run, *not_claimed})
        unchecked = tuple(claim for claim in total if claim not in {*run, *not_claimed, *not_asked})
        return Coverage(total, not_asked, not_claimed, run, unchecked)
