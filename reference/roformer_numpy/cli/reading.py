"""A bar for work on a large folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ..checkpoints import format_of

# Below this a folder is read before anybody could look at a bar.
WORTH_A_BAR = 100_000_000

_errors = Console(stderr=True)  # a result may go through a pipe


@contextmanager
def reading_bar(folder: Path) -> Iterator[Callable[[int], None] | None]:
    """What to call with the bytes of each tensor; on a terminal, and for large folders only."""
    size = sum(path.stat().st_size for path in format_of(folder).files(folder)) if folder.is_dir() else 0
    if size < WORTH_A_BAR or not _errors.is_terminal:
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_errors, transient=True) as bar:
        reading, working = bar.add_task("reading", total=size), bar.add_task("working", total=None, visible=False)

        def advance(count: int) -> None:
            bar.advance(reading, count)
            if not count:  # after the last tensor: what follows has no measure
                bar.update(reading, visible=False)
                bar.update(working, visible=True)

        yield advance
