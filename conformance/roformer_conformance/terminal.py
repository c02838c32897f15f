"""What the commands have in common: errors as one line and an exit code, and a progress bar on a terminal.

Exit codes: 0 conforms, 1 fails a claim, 2 usage, 3 the implementation died.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .expectations import ExpectationError
from .levels import UsageError
from .protocol import AdapterError, ImplementationDied
from .vectors import VectorError


@contextmanager
def usage_errors() -> Iterator[None]:
    """One line on stderr, and the exit code: 2 when it cannot be done, 3 when the implementation died."""
    try:
        yield
    except (UsageError, AdapterError, ExpectationError, VectorError) as error:
        print(f"roformer-conformance: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    except ImplementationDied as death:
        print(f"roformer-conformance: the implementation died: {death}", file=sys.stderr)
        raise typer.Exit(3) from death
    except SystemExit as end:  # with code 0, a run that was never ended would look like one that conforms
        print(f"roformer-conformance: the implementation ended the program: SystemExit {end.code!r}", file=sys.stderr)
        raise typer.Exit(3) from end


def exit_code(adapter: Any, conforms: bool) -> int:
    """What to exit with after a run; every death of the implementation's process is told on stderr."""
    deaths = list(getattr(adapter, "deaths", ()))
    for death in deaths:
        print(f"roformer-conformance: the implementation died: {death}", file=sys.stderr)
    return 3 if deaths else 0 if conforms else 1


@contextmanager
def bar(what: str, console: Console) -> Iterator[Callable[[str, int], None]]:
    """A progress bar on a terminal, nothing anywhere else; it is told what was done last, and how much there is."""
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)

        def advance(done: str, total: int) -> None:
            progress.update(task, total=total, advance=1, description=done)

        yield advance
