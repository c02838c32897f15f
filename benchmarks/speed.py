"""Measures the engine beside everybody, and writes docs/speed.md with its picture; the figures stay in a JSON file.

    python benchmarks/speed.py --peers PYTHON [--peers PYTHON] [--rounds 10] [--threads 2] [--model base]
        [--sections dense,ragged,…] [--minutes 8] [--results speed-results.json] [--page docs/speed.md] [--quick]

Sections that are not asked for are taken from the results of an earlier run, so that one of them can be measured again
alone; with --sections none the page is only written anew. --minutes: no section is begun later than that; those left
are named. --quick: small shapes, to try the program itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import speed_page
import speed_plots
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from speed_sections import SECTIONS, Plan

from roformer_numpy.benchmarking import machine, results
from roformer_numpy.benchmarking.competitors import probed
from roformer_numpy.errors import RoFormerError


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that processes and folders are cleared away
    found = measured(arguments)
    picture = arguments.page.with_suffix(".png")
    picture.parent.mkdir(parents=True, exist_ok=True)
    speed_plots.draw(found, picture)
    arguments.page.write_text(speed_page.page(found, "python benchmarks/speed.py", picture.name), encoding="utf-8")
    print(results.markdown(speed_page.HEADS, speed_page.aims(found)))
    print(f"wrote {arguments.page}, {picture} and {arguments.results}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="append", default=[], metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="base")
    parser.add_argument("--sections", default=",".join(SECTIONS))
    parser.add_argument("--results", type=Path, default=Path("speed-results.json"))
    parser.add_argument("--page", type=Path, default=Path(__file__).parents[1] / "docs" / "speed.md")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    arguments.sections = [] if arguments.sections == "none" else arguments.sections.split(",")
    unknown = set(arguments.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"--sections: {', '.join(sorted(unknown))} not among {', '.join(SECTIONS)}")
    return arguments


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was found before, with the sections that were asked for measured anew; written after each of them."""
    found: dict[str, Any] = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    if not arguments.sections:
        return found
    rounds = min(arguments.rounds, found.get("rounds", arguments.rounds))  # sections of an earlier run keep theirs
    found |= {"model": arguments.model, "rounds": rounds, "machine": machine.description(arguments.threads)}
    began = time.perf_counter()
    with _bar(len(arguments.sections)) as (console, say, advance):
        pythons = [probed(path) for path in arguments.peers]
        plan = Plan(arguments.model, pythons, arguments.threads, arguments.rounds, arguments.quick, say)
        with contextlib.closing(plan):
            for section in arguments.sections:
                started = time.perf_counter()
                if arguments.minutes and started - began > 60 * arguments.minutes:
                    console.print(f"{section} was left for --sections {section}: the time is over", highlight=False)
                    continue
                _measure(section, plan, found, console)
                arguments.results.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
                console.print(f"{section}: {time.perf_counter() - started:.0f} s", highlight=False)
                advance()
    return found


def _measure(section: str, plan: Plan, found: dict[str, Any], console: Console) -> None:
    """Put a section's results into `found`, or say why there are none."""
    found.pop(section, None)
    try:
        found[section] = SECTIONS[section](plan)
    except RoFormerError as error:
        console.print(f"{section} was not measured: {error}", markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def _bar(total: int) -> Iterator[tuple[Console, Callable[[str], None], Callable[[], None]]]:
    """A console, what says what is being done, and what counts a section; drawn on a terminal only."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield console, lambda text: bar.update(task, description=text), lambda: bar.advance(task)


if __name__ == "__main__":
    main()
