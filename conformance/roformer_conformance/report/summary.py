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
from .standing import Standing

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
    """An endpoint badge of shields.io: claims that hold, of all that can be asked; yellow where few were tried."""
    standings = [Standing.of_document(document) for document in documents]
    conform, narrow = all(one.conforms for one in standings), any(one.narrow for one in standings)
    held, applicable = (sum(numbers) for numbers in zip(*map(_score, documents), strict=True))
    green = "yellow" if narrow else "brightgreen" if held == applicable else "green"
    described = {
        "schemaVersion": 1,
        "label": "RoFormer conformance",
        "message": f"{held} of {sum(one.total for one in standings)} claims",
        "color": green if conform else "red",
        "isError": not conform,
    }
    return json.dumps(described, indent=1) + "\n"


def write_summary(documents: Sequence[Document], path: Path, *, append: bool = False) -> None:
    """The Markdown in a file, behind what is there already if `append`."""
    with path.open("a" if append else "w", encoding="utf-8") as file:
        file.write(summary(documents))


def _verdict(document: Document) -> str:
    held, applicable = _score(document)
    standing = Standing.of_document(document)
    words = standing.words if standing.conforms else f"**{standing.words}**"
    who = _escaped(f"{document['implementation']} {document['version']}")
    how = f"level {_escaped(document['level'])}, seed {document['seed']}, {document['seconds']:.1f} s"
    return f"- {standing.choice('✅', '🟡', '❌')} {who} {words}: {held} of {applicable} claims hold ({how})"


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
