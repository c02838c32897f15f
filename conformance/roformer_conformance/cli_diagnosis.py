"""The command `roformer-conformance replay`."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from .failures import load_failure
from .protocol import find_adapter
from .replay import tried_again
from .report import print_failure
from .reproduction import reproduction
from .terminal import exit_code, usage_errors


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
