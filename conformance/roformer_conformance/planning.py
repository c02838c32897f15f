"""What is run: the checks and vectors that are asked for, each on the heads and types that are claimed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .clauses import load_clauses, select
from .levels import FIXED_SEED, UsageError, all_types, some_heads
from .protocol import Capabilities
from .records import Record
from .registry import Check, all_checks
from .vectors import Vector, load_vectors


@dataclass(frozen=True)
class Job:
    """One check on one head in one floating-point type."""

    check: Check
    head: str
    dtype: str


def plan(
    checks: Iterable[Check], capabilities: Capabilities, level: str = "default", seed: int = FIXED_SEED
) -> list[Job]:
    """Each check on each head and type that the implementation claims; types beyond the first on one head alone.

    Smoke level takes three heads of many, others with another seed.

    A tokenizer computes in no floating-point type, so that its checks run once.
    """
    jobs = []
    for check in checks:
        for number, head in enumerate(some_heads(check.heads_for(capabilities), level, check.id, seed)):
            typed = (
                number == 0
                and "tokenizer" not in check.needs
                and (check.every_type or all_types(level, check.clause.partition("-")[0], check.effort))
            )
            jobs += [Job(check, head, dtype) for dtype in capabilities.dtypes[: None if typed else 1]]
    return jobs


def runs(checks: Iterable[Check], vectors: Iterable[Vector], capabilities: Capabilities) -> set[tuple[str, str]]:
    """The ids of checks and vectors, and the heads, that are run for an implementation."""
    planned = {(job.check.id, job.head) for job in plan(checks, capabilities)}
    return planned | {(vector.check_id, vector.head) for vector in vectors if vector.head in capabilities.heads}


def selected(wanted: list[str]) -> tuple[list[Check], Sequence[Vector]]:
    """The checks and vectors that are about the wanted clauses, families or ids; all of them when nothing is wanted."""
    checks, vectors = list(all_checks().values()), load_vectors()
    if not wanted:
        return checks, vectors
    everything: list[Check | Vector] = [*checks, *vectors]
    for name in wanted:
        known = any(_is_about(name, item) for item in everything)
        if not known and not select(load_clauses(), name):
            raise UsageError(f"no clause or check is called {name!r}; `roformer-conformance clauses` lists them")
    return (
        [item for item in checks if any(_is_about(name, item) for name in wanted)],
        [item for item in vectors if any(_is_about(name, item) for name in wanted)],
    )


def claims_of(wanted: list[str]) -> tuple[str, ...]:
    """The ids of the claims that were asked for: all of the specification's when nothing was singled out."""
    known = load_clauses()
    chosen = {clause.id for name in wanted for clause in select(known, name.partition("/")[0])}
    return tuple(claim for claim in known if not wanted or claim in chosen)


def _is_about(name: str, item: Check | Vector) -> bool:
    """Whether it is what is called so, a vector by its own id or by that of its records, or is about such a clause."""
    ids = {item.id, item.check_id} if isinstance(item, Vector) else {item.id}
    return name in ids or any(clause == name or clause.startswith((f"{name}.", f"{name}-")) for clause in item.clauses)


def not_claimed(check: Check, capabilities: Capabilities) -> Record:
    """The record of a check that no head or capability allows."""
    lacking = [need for need in check.needs if not capabilities.claims(need)]
    needs = f"needs {', '.join(lacking) or ' or '.join(f'head {head}' for head in check.heads)}"
    return Record(check.id, check.clause, "", "", "not_claimed", check.claim, message=needs, also=check.also)
