"""One HTML page for any number of results: no network, no script, light and dark, wide and narrow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..clauses import FAMILIES
from ..shortening import shortened
from ..telling import most_telling, suspicion
from .documents import Document
from .grid import MARKS, rows
from .pictures import attention_picture, growth_legend, growth_picture
from .standing import Standing

SHOWN_FAILURES = 50


def page(documents: Sequence[Document]) -> str:
    """The report; everything that an implementation supplied, its name and messages, stands in it as text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html.j2").render(
        documents=documents,
        marks=MARKS,
        families=_families(documents),
        growth=Markup(growth_picture(documents)),
        legend=growth_legend(documents),
        attention=[_attention(document) for document in documents],
        standings=[Standing.of_document(document) for document in documents],
        counts=[Counter(record["status"] for record in document["records"]) for document in documents],
        suspicions=[suspicion(_failures(document)) for document in documents],
        failures=[
            (number, document["implementation"], found)
            for number, document in enumerate(documents)
            if (found := _failures(document))
        ],
        differences=[(document["implementation"], why) for document in documents if (why := _differences(document))],
        timing=_timing(documents),
        environment=sorted({name for document in documents for name in document["environment"]}),
        shown=SHOWN_FAILURES,
        shortened=shortened,
    )


def _attention(document: Document) -> dict[str, Any] | None:
    found = (document.get("growth") or {}).get("attention")
    if not found:
        return None
    return {**found, "implementation": document["implementation"], "picture": Markup(attention_picture(found))}


def _families(documents: Sequence[Document]) -> list[dict[str, Any]]:
    """Each family with its rows, and for each document how often which status stands there; open where one fails."""
    described = []
    for family, found in rows(documents).items():
        statuses = [[row.cells[number].status for row in found] for number in range(len(documents))]
        tallies = [[(name, tally.count(name)) for name in MARKS if MARKS[name] and name in tally] for tally in statuses]
        fails = any("failed" in tally for tally in statuses)
        described.append({"family": family, "rows": found, "tallies": tallies, "open": fails})
    return described


def _failures(document: Document) -> list[Any]:
    failed = [record for record in document["records"] if record["status"] == "failed"]
    return most_telling(failed, lambda record: str(record["id"]))


def _differences(document: Document) -> dict[str, list[str]]:
    """Reason → the checks and vectors that differ for it, each once."""
    found: dict[str, list[str]] = {}
    for record in document["records"]:
        if record["status"] == "differs":
            ids = found.setdefault(record["message"].partition("\n")[0], [])
            ids += [record["id"]] if record["id"] not in ids else []
    return found


def _timing(documents: Sequence[Document]) -> list[dict[str, Any]]:
    """Seconds of each family in each document, and how long the bars are: the longest is 100."""
    table: dict[str, list[float]] = {family: [0.0] * len(documents) for family in FAMILIES}
    for number, document in enumerate(documents):
        for record in document["records"]:
            family = table.setdefault(record["clause"].partition("-")[0], [0.0] * len(documents))
            family[number] += record["seconds"]
    longest = max((value for values in table.values() for value in values), default=0.0) or 1.0
    return [
        {"family": family, "bars": [(value, 100.0 * value / longest) for value in values]}
        for family, values in table.items()
        if any(values)
    ]
