"""`roformer-conformance report`, and the option `--report` of `check`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .growth import measure_growth
from .protocol import Adapter
from .records import Result
from .report import read_documents, write_pages, write_report
from .terminal import usage_errors


def report(
    results: Annotated[list[Path], typer.Argument(help="files that --json or --report wrote", metavar="RESULT.json…")],
    output: Annotated[Path, typer.Option(help="folder for report.html, summary.md and badge.json")] = Path("report"),
) -> None:
    """Write one report on any number of results: a page, a Markdown summary and a badge."""
    with usage_errors():
        for path in write_pages(read_documents(results), output):
            typer.echo(f"wrote {path}")


def write(
    adapter: Adapter, result: Result, k: float, folder: Path, console: Console, model: Path | None = None
) -> None:
    """Measure what a report shows beside the result, and write the report to the folder; `model` as `check` has it."""
    with usage_errors():
        with console.status("measuring how the error grows"):  # seen on a terminal alone
            growth = measure_growth(adapter, k, model)
        for path in write_report(replace(result, growth=growth), folder):
            console.print(f"wrote {path}", soft_wrap=True)
