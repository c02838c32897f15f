"""A result in a few lines: Markdown for a CI server's summary, and a badge for shields.io."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from ..shortening import headline
from ..telling import most_telling, suspicion
from .documents import Document
from .grid import MARKS, rows

SHOWN = 20


def summary(documents: Sequence[Document]) -> str:
    """Verdicts, a table of the families, and the first failures, as GitHub-flavoured Markdown."""
    lines = ["## RoFormer conformance", "", *(_verdict(document) for document in documents), ""]
    names = [_escaped(document["implementation"]) for document in documents]
    lines += [f"| family | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for family, found in rows(documents).items():
        cells = [_counts([row.cells[number].status for row in found]) for number in range(len(names))]
        lines.append(f"| {family} | {' | '.join(cells)} |")
    lines += ["", ", ".join(f"{MARKS[name]} {name.replace('_', ' ')}" for name in MARKS if MARKS[name])]
    for document in documents:
        lines += _failures(document)
    return "\n".join(lines) + "\n"


def badge(documents: Sequence[Document]) -> str:
    """An endpoint badge of shields.io: claims that hold, of those that apply."""
    conform = all(document["conforms"] for document in documents)
    held, applicable = (sum(numbers) for numbers in zip(*map(_score, documents), strict=True))
    described = {
        "schemaVersion": 1,
        "label": "RoFormer conformance",
        "message": f"{held} / {applicable} claims",
        "color": "brightgreen" if conform and held == applicable else "green" if conform else "red",
        "isError": not conform,
    }
    return json.dumps(described, indent=1) + "\n"


def write_summary(documents: Sequence[Document], path: Path, *, append: bool = False) -> None:
    """The Markdown in a file, behind what is there already if `append`."""
    with path.open("a" if append else "w", encoding="utf-8") as file:
        file.write(summary(documents))


def _verdict(document: Document) -> str:
    held, applicable = _score(document)
    failed = sum(record["status"] == "failed" for record in document["records"])
    differs = any(record["status"] == "differs" for record in document["records"])
    words = (
        f"conforms{' but for what is known' if differs else ''}"
        if document["conforms"]
        else f"**fails {failed} check{'s' if failed > 1 else ''}**"
        if failed
        else "**passes nothing**"
    )
    who = _escaped(f"{document['implementation']} {document['version']}")
    how = f"level {_escaped(document['level'])}, seed {document['seed']}, {document['seconds']:.1f} s"
    return f"- {'✅' if document['conforms'] else '❌'} {who} {words}: {held} of {applicable} claims hold ({how})"


def _score(document: Document) -> tuple[int, int]:
    """Claims that were tried and hold, and those that apply."""
    cells = [row.cells[0].status for found in rows([document]).values() for row in found]
    return cells.count("passed"), sum(status != "not_claimed" for status in cells)


def _counts(statuses: Sequence[str]) -> str:
    return " ".join(f"{MARKS[name]} {statuses.count(name)}" for name in MARKS if MARKS[name] and name in statuses)


def _failures(document: Document) -> list[str]:
    failed = [record for record in document["records"] if record["status"] == "failed"]
    order = most_telling(failed, lambda record: str(record["id"]))
    lines = [
        f"- `{record['id']}` {record['head']} {record['dtype']}: {_escaped(headline(record['message']))}"
        for record in order[:SHOWN]
    ]
    lines += [f"- … and {len(failed) - SHOWN} more"] if len(failed) > SHOWN else []
    suspected = suspicion(order)
    told = [_escaped(suspected), ""] if suspected else []
    return ["", f"### {_escaped(document['implementation'])} fails", "", *told, *lines] if lines else []


def _escaped(text: str) -> str:
    """Text that Markdown and HTML leave as it is; an implementation's name or message is no markup."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|!#~])", r"\\\1", plain)
