"""Whether the suite accuses a correct implementation: fresh draws, again and again, on some that compute differently.

    python -m tests.conformance.no_false_alarm --minutes 60
    python -m tests.conformance.no_false_alarm --minutes 0 --page docs/power.md

Cases are drawn for every check of agreement, of relations and of gradients as the suite draws them. Each is judged on
all of `arithmetics.VARIANTS`, for which the oracle and the legitimate runs are worked out once. The check that had the
fewest draws comes next. What was seen is added to a file, from the seed on where the last run ended, and written every
half minute: it may be stopped at any time. The exit code is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import warnings
from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import cache
from pathlib import Path

from rich.progress import Progress

from roformer_conformance.planning import Job
from roformer_conformance.protocol import Adapter, Capabilities
from roformer_conformance.recall import remembering
from roformer_conformance.registry import all_checks
from roformer_conformance.running import drawn_cases, run_case
from roformer_conformance.strategies import Case

from .arithmetics import DESCRIBED, VARIANTS
from .evidence import Row, Turn, read, table, write

FAMILIES = ("ATT", "DEC-1", "DEC-2", "DEC-3", "DEC-4", "EMB", "FFN", "HEAD-1", "HEAD-2", "HEAD-3", "HEAD-4", "HEAD-5",
            "HEAD-6", "LOSS", "MASK", "NUM", "ROT", "TRAIN-2")  # fmt: skip
FILE = Path(__file__).with_name("no_false_alarm.jsonl")
BEGIN, END = "<!-- drawn by tests/conformance/no_false_alarm.py -->", "<!-- end of the draws -->"
SAVED_EVERY = 30.0  # seconds
CASES = 10  # drawn from one seed for one check: making the drawing costs more than one of them


def main() -> None:
    """Draw until the time is over, add to the file, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0, help="the smallest to draw from; used ones are left out")
    parser.add_argument("--processes", type=int, default=1, help="that draw at once")
    parser.add_argument("--dtype", action="append", choices=list(VARIANTS), help="all of them when left out")
    parser.add_argument(
        "--again", action="append", default=[], metavar="ID", help="a check to begin anew, in these types"
    )
    parser.add_argument("--file", type=Path, default=FILE)
    parser.add_argument("--page", type=Path, help="a Markdown file with the marks that the table stands between")
    options = parser.parse_args()
    dtypes = options.dtype or list(VARIANTS)
    rows = known(options.file, {(check, dtype) for check in options.again for dtype in dtypes})
    draw(rows, options.file, dtypes, options.seed, 60 * options.minutes, options.processes)
    if options.page:
        write_page(options.page, rows)
    alarms = [f"{row.check} in {row.dtype}: {alarm}" for row in rows for alarm in row.alarms]
    print("\n".join([table(rows, DESCRIBED), *alarms]))
    raise SystemExit(bool(alarms))


def known(file: Path, again: Container[tuple[str, str]] = ()) -> list[Row]:
    """A row for each check and type: what the file says of it, unless it is one of those that begin anew."""
    held = read(file)
    checks = [check.id for check in all_checks().values() if check.id.startswith(FAMILIES)]
    keys = [(check, dtype) for dtype in VARIANTS for check in checks]
    return [held[key] if key in held and key not in again else Row(*key) for key in keys]


def draw(rows: list[Row], file: Path, dtypes: Sequence[str], first: int, seconds: float, processes: int = 1) -> None:
    """Draw for the rows of `dtypes`, the one with the fewest draws next, and write the file now and then."""
    todo, ends, saved = [row for row in rows if row.dtype in dtypes], time.monotonic() + seconds, time.monotonic()
    turns = in_turn(todo, first, ends) if processes == 1 else at_once(todo, first, ends, processes)
    with Progress(disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task("draws", total=None)
        for row, turn in turns:
            row.add(turn)
            progress.advance(task, sum(turn.draws.values()))
            if time.monotonic() > saved + SAVED_EVERY:
                write(file, rows)
                saved = time.monotonic()
    write(file, rows)


def in_turn(rows: list[Row], first: int, ends: float) -> Iterator[tuple[Row, Turn]]:
    """Turns one after the other, until the time is over."""
    while rows and time.monotonic() < ends:
        row = min(rows, key=_waiting)
        yield row, turn(row.check, row.dtype, row.next_seed(first))


def at_once(rows: list[Row], first: int, ends: float, processes: int) -> Iterator[tuple[Row, Turn]]:
    """Turns of several processes, each on a row of its own."""
    running: dict[Future[Turn], Row] = {}
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        while True:
            idle = [row for row in rows if all(row is not other for other in running.values())]
            while idle and len(running) < processes and time.monotonic() < ends:
                row = min(idle, key=_waiting)
                running[pool.submit(turn, row.check, row.dtype, row.next_seed(first))] = row
                idle.remove(row)
            if not running:
                return
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(done), done.result()


def _waiting(row: Row) -> tuple[int, int]:
    """How many draws, or would-be draws: a check that nobody of the type claims must not hold the others up."""
    return max(row.least, CASES * sum(last - start + 1 for start, last in row.seeds)), len(row.check)


def turn(identifier: str, dtype: str, seed: int) -> Turn:
    """The cases of one seed for one check on all implementations of a type, heads taking turns."""
    check, adapters, result = all_checks()[identifier], adapters_of(dtype), Turn(seed)
    heads = check.heads_for(Capabilities.of(next(iter(adapters.values()))))
    job = Job(check, heads[seed % len(heads)], dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in drawn_cases(job, seed, CASES):
            judge_all(job, case, adapters.items(), result)
    return result


def judge_all(job: Job, case: Case, adapters: Iterable[tuple[str, Adapter]], result: Turn) -> None:
    """One case on several implementations, by one oracle and one budget."""
    with remembering():
        for name, adapter in adapters:
            record = run_case(adapter, job.check, case, job.dtype)
            result.draws[name] = result.draws.get(name, 0) + record.examples
            if record.grade is not None:
                result.largest[name] = max(result.largest.get(name, 0.0), record.grade)
            if record.status == "failed":
                told = {"head": job.head, "seed": result.seed, "case": record.case, "message": record.message[:300]}
                result.alarms.append({"variant": name, **told})


@cache
def adapters_of(dtype: str) -> dict[str, Adapter]:
    """The implementations of a type, ready."""
    adapters = {name: make() for name, make in VARIANTS[dtype].items()}
    for adapter in adapters.values():
        adapter.prepare()
    return dict(adapters)


def write_page(page: Path, rows: Iterable[Row]) -> None:
    """Put the table between its marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table(rows, DESCRIBED)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
