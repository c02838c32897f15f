"""The command `roformer-conformance protocol`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..protocol import AdapterError, find_adapter
from ..terminal import exit_code, usage_errors
from .adapter import ProcessAdapter
from .rehearsal import LOADS, rehearse

COLORS = {"passed": "green", "failed": "red", "unsupported": "yellow"}


def protocol(
    implementation: Annotated[str, typer.Argument(help='"cmd:COMMAND LINE", or the name of a peer')],
) -> None:
    """Check that a process speaks the protocol, before any mathematics: every message that it claims to understand."""
    console = Console()
    with usage_errors():
        adapter = find_adapter(implementation)
        if not isinstance(adapter, ProcessAdapter):
            raise AdapterError(f'{implementation!r} does not run in a process of its own, expected "cmd:COMMAND LINE"')
        table = Table("message", "", "what came back")
        with console.status("rehearsing") if console.is_terminal else console:
            steps = list(rehearse(adapter))
    for step in steps:
        table.add_row(Text(step.name), Text(step.status, style=COLORS[step.status]), Text(step.detail))
    console.print(table)
    failed = sum(step.status == "failed" for step in steps)
    loaded = any(step.status == "passed" and step.name.startswith(LOADS) for step in steps)
    speaks = loaded and not failed
    verdict = (
        "speaks the protocol" if speaks else f"fails {failed} of {len(steps)}" if failed else "has loaded no model"
    )
    console.print(Text(f"{adapter.name} {adapter.version} {verdict}", style="bold green" if speaks else "bold red"))
    raise typer.Exit(exit_code(adapter, speaks))
