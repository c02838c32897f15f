"""How much is tried, and from which seed: the same examples again and again, or fresh ones that are told."""

from dataclasses import replace

import pytest

from roformer_conformance import check_implementation
from roformer_conformance.levels import FIXED_SEED, SMOKE_HEADS, UsageError, examples, seed_for
from roformer_conformance.planning import plan
from roformer_conformance.protocol import Capabilities
from roformer_conformance.records import Record
from roformer_conformance.registry import all_checks
from roformer_numpy.adapter import NumpyAdapter

CHECKS = all_checks().values()
CLAIMED = Capabilities.of(NumpyAdapter("equations"))


def records(**wanted: object) -> list[Record]:
    """What a run gave, but for the seconds."""
    result = check_implementation(NumpyAdapter("equations"), clauses=["FFN-4.1", "NUM-1.3"], **wanted)
    return [replace(record, seconds=0.0) for record in result.records]


def test_smoke_leaves_no_check_and_no_head_out() -> None:
    """What smoke saves is types, examples and heads: three of many, others with another seed, all among all checks."""
    tried = {(job.check.id, job.head) for job in plan(CHECKS, CLAIMED, "smoke")}
    whole = {(job.check.id, job.head) for job in plan(CHECKS, CLAIMED, "default")}
    assert tried <= whole
    for check in CHECKS:
        heads = check.heads_for(CLAIMED)
        assert len({head for identifier, head in tried if identifier == check.id}) in {
            min(SMOKE_HEADS, len(heads)),
            len(heads) if check.id.startswith("NUM") else 0,
        }
    assert {head for _, head in tried} == set(CLAIMED.heads)
    seeds = [{(job.check.id, job.head) for job in plan(CHECKS, CLAIMED, "smoke", seed)} for seed in range(20)]
    assert set.union(*seeds) == whole


def test_smoke_compares_with_the_oracle_in_every_type() -> None:
    """The types beyond the first are left out where they are not the matter."""
    jobs = plan(CHECKS, CLAIMED, "smoke")
    assert {job.dtype for job in jobs if job.check.id == "NUM-1.1/parity"} == set(CLAIMED.dtypes)
    assert {job.dtype for job in jobs if job.check.id == "LIFE-4.1/save-and-load"} == set(CLAIMED.dtypes)
    assert {job.dtype for job in jobs if job.check.id == "FFN-4.1/activation-probe"} == {CLAIMED.dtypes[0]}


def test_every_level_tries_a_check_at_least_once() -> None:
    """However little a check is worth, its typical case is tried; more where the level is higher."""
    assert [examples(level, 0.01) for level in ("smoke", "default", "deep")] == [1, 1, 2]
    assert [examples(level, 1.0) for level in ("smoke", "default", "deep")] == [1, 10, 150]


def test_runs_are_repeated_to_the_last_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times at smoke level and twice with drawn examples, also in CI, where Hypothesis has its own profile."""
    monkeypatch.delenv("CI", raising=False)
    first, drawn = records(level="smoke"), records(level="default")
    monkeypatch.setenv("CI", "true")
    assert records(level="smoke") == records(level="smoke") == first
    assert records(level="default") == drawn


def test_another_seed_draws_other_cases() -> None:
    """The largest grade of a run on other numbers is another one."""
    run = [
        check_implementation(NumpyAdapter("equations"), level="smoke", clauses=["NUM-1.1/parity"], seed=seed)
        for seed in (0, 1)
    ]
    assert [record.grade for record in run[0].records] != [record.grade for record in run[1].records]


def test_deep_runs_draw_a_fresh_seed_outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every night tries what was never tried; CI tries the same every time unless it asks for fresh ones."""
    monkeypatch.delenv("CI", raising=False)
    assert len({seed_for("deep") for _ in range(5)}) == 5
    assert seed_for("smoke") == seed_for("default") == FIXED_SEED
    monkeypatch.setenv("CI", "true")
    assert seed_for("deep") == FIXED_SEED
    assert len({seed_for("deep", "fresh") for _ in range(5)}) == 5


def test_a_seed_that_is_asked_for_is_taken() -> None:
    """A replay line names the seed, whatever the level."""
    assert seed_for("deep", "17") == seed_for("smoke", "17") == 17
    for wrong in ("-1", "1.5", "new", "１"):
        with pytest.raises(UsageError, match="--seed"):
            seed_for("smoke", wrong)
