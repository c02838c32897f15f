"""`roformer bench`: the engine beside other people's software, on any model."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ..benchmarking import inputs, machine, results
from ..benchmarking.competitors import OURS, PEERS, Competitor, named, probed
from ..benchmarking.models import SIZES
from ..benchmarking.race import Measured, race
from ..benchmarking.session import Session
from ..models_in_the_box import names
from .app import app, console, usage_errors

_errors = Console(stderr=True)  # a result may go through a pipe

Model = Annotated[
    str,
    typer.Argument(
        help=f"a model folder, a config.json, a size ({', '.join(SIZES)}) or a model in the box: {', '.join(names())}",
        metavar="MODEL",
        show_default=False,
    ),
]
Peers = Annotated[
    list[str] | None,
    typer.Option("--peers", metavar="PYTHON", help="a Python that has peers: PyTorch, ONNX Runtime …; may be repeated"),
]
Names = Annotated[
    str | None, typer.Option(help="only these, the first the one that ratios are to, such as 'engine; ONNX Runtime'")
]


@app.command("bench", epilog="Example: roformer bench base --shapes 1x16,8x128 --peers ~/torch/bin/python")
def bench_command(
    model: Model,
    shapes: Annotated[str, typer.Option(help="BATCHxLENGTH, several with commas")] = "1x16,1x128,8x128",
    rounds: Annotated[int, typer.Option(help="turns of each competitor at each shape", min=1)] = 10,
    threads: Annotated[int, typer.Option(help="of every competitor", min=1, max=1024)] = 2,
    peers: Peers = None,
    competitors: Names = None,
    patience: Annotated[
        float | None,
        typer.Option(help="who is this many times slower in each of three rounds leaves with those", min=1),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object instead of a table")] = False,
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="write results.json and results.md there")] = None,
) -> None:
    """Time the engine beside others, in turn, and print medians and ratios.

    Everybody loads the same weights in a process of its own, which stays
    alive between its turns, and must first give the engine's result: in
    float32 within 0.001. Who cannot run is listed with the reason. A ratio
    above 1 says how many times longer than the engine it takes, or than the
    first of those that --competitors names. "Products
    alone" computes the dense products of all layers and nothing else.

    Exit code 1 when somebody computes another result in float32.
    """
    with usage_errors():
        wanted = inputs.shapes_named(shapes)
        chosen = named(competitors) if competitors is not None else [*OURS, *PEERS]
        pythons = [probed(path) for path in peers or []]
        with Session(model, pythons, threads) as session:
            lines = _measure(session, chosen, wanted, rounds, patience)
    about = {"model": model, "rounds": rounds, "machine": machine.description(threads)}
    found = results.as_json(lines, **about)
    if output is not None:
        results.write(found, lines, output)
    if json:
        typer.echo(json_module.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(lines, f"{model}, {machine.in_words(found['machine'])}")
    if any(line.reason and line.error is not None for line in lines):
        raise typer.Exit(1)


def _measure(
    session: Session,
    chosen: Sequence[Competitor],
    shapes: Sequence[tuple[int, int]],
    rounds: int,
    patience: float | None,
) -> list[Measured]:
    """Every shape's lines, those of who cannot run among them."""
    lines: list[Measured] = []
    with _bar(len(shapes) * len(chosen) * (rounds + 1)) as advance:
        for batch, length in shapes:
            work = inputs.dense(batch, length, session.config.vocab_size)
            entries, unable = session.entries(chosen, work)
            lines += [*race(work.name, entries, session.folder, rounds, patience, advance), *unable]
    return lines


@contextmanager
def _bar(turns: int) -> Iterator[Callable[[str], None]]:
    """What to call with the name of who has had his turn; shown on a terminal only."""
    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_errors, transient=True, disable=not _errors.is_terminal) as progress:
        task = progress.add_task("loading", total=turns)
        yield lambda name: progress.update(task, advance=1, description=name)


def _print(lines: Sequence[Measured], title: str) -> None:
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    columns = ("", "ms", "middle half", results.compared_with(lines), "middle half", "off by")
    table = Table(*columns, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for case in dict.fromkeys(line.case for line in lines):
        table.add_row(f"[bold]{case}[/]")
        for row in results.rows([line for line in lines if line.case == case and line.seconds and not line.reason]):
            table.add_row(*map(escape, row[1:6]), row[7])
    console.print(table)
    for (cases, reason), absent in _absent(lines).items():
        console.print(
            f"{'; '.join(absent)} not timed at {', '.join(cases)}: {reason}",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip


def _absent(lines: Sequence[Measured]) -> dict[tuple[tuple[str, ...], str], list[str]]:
    """Who was not timed, together where shapes and reason are the same."""
    found: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for name, reason in dict.fromkeys((line.name, line.reason) for line in lines if line.reason):
        cases = tuple(line.case for line in lines if (line.name, line.reason) == (name, reason))
        found.setdefault((cases, reason), []).append(name)
    return found
