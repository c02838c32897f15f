"""Makes the kill matrix: every check on every seeded fault, one line a fault.

    python -m tests.conformance.make_kill_matrix conformance/roformer_conformance/kill_matrix.jsonl
    python -m tests.conformance.make_kill_matrix FILE --processes 2
    python -m tests.conformance.make_kill_matrix sample.jsonl --sample 10

A file that is there is gone on with: faults that stand in it are left as they are while the checks are the same ones.
With all faults this takes the better part of an hour of one processor. It may be stopped at any time: the file holds
whole rows.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
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


def main() -> None:
    """Make what is missing, fault by fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--sample", type=int, metavar="N", help="only every so many faults that N are made")
    parser.add_argument("--processes", type=int, default=1, help="that make rows at once")
    options = parser.parse_args()
    names = sorted(FAULTS)
    wanted = names[:: max(1, len(names) // options.sample)][: options.sample] if options.sample else names
    started = time.perf_counter()
    made = extend(options.file, wanted, options.processes)
    each = (time.perf_counter() - started) / max(1, made)
    print(f"{made} faults made, {each:.1f} s each; all {len(names)} take about {each * len(names) / 3600:.1f} hours")


def extend(path: Path, wanted: list[str], processes: int = 1) -> int:
    """Write the rows of `wanted` that the file does not hold, as they come; returns how many."""
    checks = list(all_checks())
    known = _known(path, checks)
    rows = [row_line(row) for row in known.rows] if known else []
    path.write_text("".join([header_line(LEVEL, checks, len(FAULTS)), *rows]), encoding="utf-8")
    there = {row.fault for row in known.rows} if known else set()
    missing = [name for name in wanted if name not in there]
    for row in track(_rows(missing, processes), "faults", len(missing), disable=not sys.stdout.isatty()):
        with path.open("a", encoding="utf-8") as file:
            file.write(row_line(row))
    return len(missing)


def _rows(names: list[str], processes: int) -> Iterator[FaultRow]:
    """A row for each name, in the order in which they are made."""
    if processes == 1:
        yield from map(row_of, names)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for made in as_completed([pool.submit(row_of, name) for name in names]):
            yield made.result()


def row_of(name: str) -> FaultRow:
    """One fault under every check."""
    started = time.perf_counter()
    killed_by, parity = [], None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a wrong model may warn, or divide by zero
        for check in all_checks().values():
            killed, grade = tried(name, check)
            killed_by += [check.id] if killed else []
            parity = grade if check.id == PARITY else parity
    mistake = " ".join((FAULTS[name].__doc__ or "").split())
    return FaultRow(name, mistake, tuple(killed_by), parity, round(time.perf_counter() - started, 1))


def tried(name: str, check: Check) -> tuple[bool, float | None]:
    """Whether the check fails on some head and type, the rest of which is then left out, and the largest grade."""
    adapter, grades = FAULTS[name](), []
    for job in plan([check], Capabilities.of(adapter), LEVEL):
        record = run_job(adapter, job, LEVEL, seed=0, shrink=False)
        grades += [record.grade] if record.grade else []
        if record.status == "failed":
            return True, max(grades, default=float("inf"))
    return False, max(grades, default=None)


def _known(path: Path, checks: list[str]) -> KillMatrix | None:
    """What the file holds, when it was made with the same checks."""
    if not path.exists():
        return None
    found = read_matrix(path)
    return found if list(found.checks) == checks and found.level == LEVEL else None


if __name__ == "__main__":
    main()
