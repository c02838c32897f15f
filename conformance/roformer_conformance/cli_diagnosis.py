"""The commands `replay`, `record` and `compare` of `roformer-conformance`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .budget import FAILS_AT, Verdict
from .failures import load_failure
from .golden import Died, Golden, Subject, changes, compare_with
from .golden import record as record_golden
from .protocol import find_adapter
from .replay import tried_again
from .report import print_failure
from .reproduction import reproduction
from .terminal import bar, exit_code, usage_errors

Model = Annotated[
    str,
    typer.Argument(help="a model folder, or module:attribute of an adapter with its weights inside", metavar="MODEL"),
]


def replay(
    file: Annotated[Path, typer.Argument(help="a .json that `check --failures DIR` has saved")],
    implementation: Annotated[
        str, typer.Argument(help="another implementation than the one that failed", metavar="IMPLEMENTATION")
    ] = "",
) -> None:
    """Try one saved failure again, alone, and print it as a short program."""
    console = Console()
    with usage_errors():
        failure = load_failure(file)
        name = implementation or failure.described["implementation"]
        adapter = find_adapter(name)
        record = tried_again(failure, adapter)
    again = f"roformer-conformance replay {shlex.quote(str(file))} {shlex.quote(name)}"
    if record.status == "failed":
        print_failure(replace(record, replay=again), console)
        console.print(Text("as a program:", style="bold"))
        console.print(reproduction(failure, name), markup=False, highlight=False, soft_wrap=True)
    else:
        told = {"passed": "passes what it failed on", "not_claimed": record.message}[record.status]
        console.print(Text(f"{adapter.name} {adapter.version}: {record.id} [{record.head} {record.dtype}] {told}"))
    raise typer.Exit(exit_code(adapter, record.status == "passed"))


def record(
    model: Model,
    output: Annotated[Path, typer.Option(help="the file to write, such as golden.safetensors")],
    implementation: Annotated[str, typer.Option(help="what loads a folder, named as for `check`")] = "numpy",
    head: Annotated[str, typer.Option(help="which model; left out: the one that the folder says it is")] = "",
    dtype: Annotated[str, typer.Option(help="float32 or float64; left out: the implementation's first")] = "",
) -> None:
    """Record the golden behaviour of your own model: what it returns for a few calls, and what rounding may cost."""
    console = Console()
    with usage_errors(), _death(), bar("recording", console) as advance:
        subject = Subject.of(model, implementation, head, dtype)
        header = record_golden(subject, output, advance)
    taps = sum(len(spreads) for spreads in header["spreads"].values())
    by = "measured by the oracle" if header["measured"] else "one rounding each: the weights are unknown"
    console.print(
        f"recorded {taps} outputs of {len(header['spreads'])} calls of {subject.head} by {header['name']} "
        f"{header['version']} in {header['dtype']}, budgets {by}: {output}",
        soft_wrap=True,
    )


def compare(
    file: Annotated[Path, typer.Argument(help="what `record` has written")],
    model: Model,
    implementation: Annotated[str, typer.Option(help="left out: the one that was recorded")] = "",
    budget_k: Annotated[
        float, typer.Option(help="the grade R at which an output has moved, twice", min=0.0)
    ] = FAILS_AT,
) -> None:
    """Compare a model with its recording, by budgets: exit code 0 as recorded, 1 moved, and which output first."""
    console = Console()
    with usage_errors(), _death(), bar("comparing", console) as advance:
        golden = Golden.read(file)
        known = golden.header
        subject = Subject.of(model, implementation or known["implementation"], known["head"], known["dtype"])
        verdicts = compare_with(golden, subject, budget_k, advance)
    _print_comparison(verdicts, console)
    for change in changes(golden, subject):
        console.print(Text(change, style="yellow"), soft_wrap=True)
    moved = any(not verdict.passed for every in verdicts.values() for verdict in every)
    console.print(Text("moved" if moved else "as recorded", style="bold red" if moved else "bold green"))
    raise typer.Exit(exit_code(subject.adapter, not moved))


@contextmanager
def _death() -> Iterator[None]:
    """An implementation that raises: one line on stderr, exit code 3."""
    try:
        yield
    except Died as death:
        print(f"roformer-conformance: {death}", file=sys.stderr)
        raise typer.Exit(3) from death


def _print_comparison(verdicts: Mapping[str, Sequence[Verdict]], console: Console) -> None:
    table = Table("call", "outputs", "largest R", "first that moved")
    for probe, every in verdicts.items():
        largest = max((verdict.grade for verdict in every), default=0.0)
        table.add_row(probe, str(len(every)), f"{largest:.2g}", Text(_moved(every), style="red"))
    console.print(table)


def _moved(verdicts: Sequence[Verdict]) -> str:
    first = next((verdict for verdict in verdicts if not verdict.passed), None)
    if first is None:
        return ""
    if not first.index:
        return f"{first.tap} {first.reason}"
    return f"{first.tap}{list(first.index)}: {first.got:.9g}, recorded {first.expected:.9g} ± {first.budget:.2g}"
