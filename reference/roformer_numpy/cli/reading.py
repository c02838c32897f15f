"""A bar for the reading of a large folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

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
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_errors, transient=True) as bar:
        task = bar.add_task("reading", total=size)
        yield lambda count: bar.advance(task, count)
