"""Everything there is to read of results, in one folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..levels import UsageError
from ..records import Result
from .documents import Document, document
from .files import write_json, write_junit
from .summary import badge, write_summary


def write_report(result: Result, folder: Path) -> list[Path]:
    """result.json and junit.xml, and what `write_pages` writes; returns the files.

    Raises:
        UsageError: the page's libraries are not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in (("result.json", write_json), ("junit.xml", write_junit)):
        write(result, folder / name)
    return [folder / "result.json", folder / "junit.xml", *write_pages([document(result)], folder)]


def write_pages(documents: Sequence[Document], folder: Path) -> list[Path]:
    """report.html, summary.md and badge.json; the summary is added to a GitHub step's as well, where there is one.

    Raises:
        UsageError: the page's libraries are not installed.
    """
    try:
        from .page import page  # jinja2 and matplotlib are imported by those who ask for a page
    except ModuleNotFoundError as error:
        raise UsageError(f'a report needs {error.name}: pip install "roformer-reference[report]"') from error
    folder.mkdir(parents=True, exist_ok=True)
    html, markdown, shield = folder / "report.html", folder / "summary.md", folder / "badge.json"
    html.write_text(page(documents), encoding="utf-8")
    write_summary(documents, markdown)
    shield.write_text(badge(documents), encoding="utf-8")
    step = os.environ.get("GITHUB_STEP_SUMMARY")
    if step:
        write_summary(documents, Path(step), append=True)
    return [html, markdown, shield]
