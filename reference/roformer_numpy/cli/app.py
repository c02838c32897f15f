"""The command `roformer` itself; each of its commands lies in a module of its own beside this one.

Exit codes: 0 done, 2 the arguments or the files that they name are wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from ..errors import RoFormerError

app = typer.Typer(help="Use RoFormer models on this machine.", no_args_is_help=True, add_completion=False)
console = Console()
_errors = Console(stderr=True)


@app.callback()
def _commands() -> None:
    """Keep the commands' names even while there is only one."""


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn our errors into one line and exit code 2: a user of a command wants no traceback."""
    try:
        yield
    except (RoFormerError, OSError) as error:
        _errors.print(f"[red]{type(error).__name__}:[/] ", end="")
        _errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from error
