"""Makes the kill matrix: every check on every seeded fault, one line a fault.

    python -m tests.conformance.make_kill_matrix conformance/roformer_conformance/kill_matrix.jsonl
    python -m tests.conformance.make_kill_matrix FILE --processes 2
    python -m tests.conformance.make_kill_matrix sample.jsonl --sample 10

    python -m tests.conformance.make_kill_matrix FILE --again MASK-6.1/uniform
    python -m tests.conformance.make_kill_matrix FILE --page docs/power.md

A file that is there is gone on with: faults that stand in it meet only checks that came later, and those that `--again`
names because they changed; what is said of faults and checks that are gone is taken out. From the beginning this takes
more than an hour of one processor. It may be stopped at any time.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from rich.progress import track

from roformer_conformance.kill_matrix import FaultRow, KillMatrix, header_line, read_matrix, row_line
from roformer_conformance.planning import plan
from roformer_conformance.protocol import Capabilities
from roformer_conformance.registry import Check, all_checks
from roformer_conformance.running import run_job

from .faults import FAULTS

LEVEL = "smoke"
PARITY = "NUM-1.1/parity"
BEGIN, END = "<!-- told by tests/conformance/make_kill_matrix.py -->", "<!-- end of the matrix -->"


def main() -> None:
    """Make what is missing, fault by fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--sample", type=int, metavar="N", help="only every so many faults that N are made")
    parser.add_argument("--again", action="append", default=[], metavar="ID", help="a check to try anew on all faults")
    parser.add_argument("--processes", type=int, default=1, help="that make rows at once")
    parser.add_argument("--page", type=Path, help="a page between whose marks the result is told")
    options = parser.parse_args()
    names = sorted(FAULTS)
    wanted = names[:: max(1, len(names) // options.sample)][: options.sample] if options.sample else names
    unknown = sorted(set(options.again) - all_checks().keys())
    if unknown:
        parser.error(f"--again: there is no check {', '.join(unknown)}")
    started = time.perf_counter()
    made = extend(options.file, wanted, options.processes, options.again)
    each = (time.perf_counter() - started) / max(1, made)
    print(f"{made} rows made or brought up to date, {each:.1f} s each, of {len(names)} faults")
    if options.page:
        page = options.page.read_text(encoding="utf-8")
        before, after = page.partition(BEGIN)[0], page.partition(END)[2]
        options.page.write_text(f"{before}{BEGIN}\n{told(read_matrix(options.file))}\n{END}{after}", encoding="utf-8")


def told(matrix: KillMatrix) -> str:
    """The matrix in Markdown: a line a family, what nobody sees, and what agreement with the oracle alone sees."""
    lines = ["| family | checks | faults that one of them sees | that no other family sees |", "|---|---:|---:|---:|"]
    for family, (checks, seen, alone) in matrix.families().items():
        lines.append(f"| {family} | {checks} | {seen} | {alone} |")
    seen_at = ", ".join(f"{matrix.parity_kills(k)} at K = {k}" for k in (2, 4, 16, 64, 1024))
    survivors = ", ".join(f"`{row.fault}`" for row in matrix.survivors) or "none"
    return "\n".join([
        *lines, "",
        f"{len(matrix.rows) - len(matrix.survivors)} of {len(matrix.rows)} faults are seen by some of "
        f"{len(matrix.checks)} checks at level {matrix.level}; not seen: {survivors}.",
        f"Checks that see none: {', '.join(matrix.idle) or 'none'}.",
        f"Comparing with the oracle alone (`{PARITY}`) sees {seen_at}.",
    ])  # fmt: skip


def extend(path: Path, wanted: list[str], processes: int = 1, again: Sequence[str] = ()) -> int:
    """Make the rows of `wanted` that the file lacks, and bring the others up to date; returns how many."""
    rows = _known(path, again)
    write(path, rows.values())
    todo = {name: rows[name].untried if name in rows else tuple(all_checks()) for name in wanted}
    todo = {name: checks for name, checks in todo.items() if checks}
    for made in track(_rows(todo, processes), "faults", len(todo), disable=not sys.stdout.isatty()):
        rows[made.fault] = merged(rows[made.fault], made) if made.fault in rows else made
        write(path, rows.values())
    return len(todo)


def write(path: Path, rows: Iterable[FaultRow]) -> None:
    """The whole file, so that whoever reads it, or stops this program, finds a whole one."""
    lines = [row_line(row) for row in sorted(rows, key=lambda row: row.fault)]
    part = path.with_name(path.name + ".part")
    part.write_text("".join([header_line(LEVEL, list(all_checks()), len(FAULTS)), *lines]), encoding="utf-8")
    part.replace(path)


def merged(old: FaultRow, new: FaultRow) -> FaultRow:
    """A row and what checks found that were not tried on it before, the checks in their usual order."""
    found = {*old.killed_by, *new.killed_by}
    parity = old.parity if new.parity is None else new.parity
    seconds = round(old.seconds + new.seconds, 1)
    return FaultRow(old.fault, old.mistake, tuple(check for check in all_checks() if check in found), parity, seconds)


def _rows(todo: Mapping[str, tuple[str, ...]], processes: int) -> Iterator[FaultRow]:
    """A row for each fault and its checks, in the order in which they are made."""
    if processes == 1:
        yield from itertools.starmap(row_of, todo.items())
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for made in as_completed([pool.submit(row_of, *one) for one in todo.items()]):
            yield made.result()


def row_of(name: str, checks: Sequence[str]) -> FaultRow:
    """One fault under some checks."""
    started = time.perf_counter()
    killed_by, parity = [], None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a wrong model may warn, or divide by zero
        for check in checks:
            killed, grade = tried(name, all_checks()[check])
            killed_by += [check] if killed else []
            parity = grade if check == PARITY else parity
    return FaultRow(name, mistake_of(name), tuple(killed_by), parity, round(time.perf_counter() - started, 1))


def mistake_of(name: str) -> str:
    """What is wrong, in a sentence."""
    return " ".join((FAULTS[name].__doc__ or "").split())


def tried(name: str, check: Check) -> tuple[bool, float | None]:
    """Whether the check fails on some head and type, the rest of which is then left out, and the largest grade."""
    adapter, grades = FAULTS[name](), []
    for job in plan([check], Capabilities.of(adapter), LEVEL):
        record = run_job(adapter, job, LEVEL, seed=0, shrink=False)
        grades += [record.grade] if record.grade else []
        if record.status == "failed":
            return True, max(grades, default=float("inf"))
    return False, max(grades, default=None)


def _known(path: Path, again: Sequence[str]) -> dict[str, FaultRow]:
    """What the file holds of faults and checks that there still are, by fault."""
    if not path.exists() or (found := read_matrix(path)).level != LEVEL:
        return {}
    old = set(found.checks) - set(again)
    rows = (row for row in found.rows if row.fault in FAULTS and row.mistake == mistake_of(row.fault))
    return {row.fault: _up_to_date(row, old - set(row.untried)) for row in rows}


def _up_to_date(row: FaultRow, tried_before: set[str]) -> FaultRow:
    checks = list(all_checks())
    return replace(
        row,
        killed_by=tuple(check for check in row.killed_by if check in tried_before and check in checks),
        untried=tuple(check for check in checks if check not in tried_before),
    )


if __name__ == "__main__":
    main()
