"""What a program and a CI server read of a result: JSON and JUnit XML."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from ..records import Result
from ..shortening import headline, shortened
from .documents import document


def write_json(result: Result, path: Path) -> None:
    """The whole result as one JSON object, see `documents`."""
    path.write_text(json.dumps(document(result), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_junit(result: Result, path: Path) -> None:
    """One test case a record, for CI servers; what is not claimed is skipped with its reason."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"roformer-conformance {result.implementation} {result.version}",
        tests=str(len(result.records)),
        failures=str(len(result.failed)),
        skipped=str(len(result.not_claimed) + len(result.differs)),
        time=f"{result.seconds:.3f}",
    )
    for record in result.records:
        name = "-".join(part for part in (record.id, record.head, record.dtype) if part)
        family = record.clause.partition("-")[0]
        case = ElementTree.SubElement(suite, "testcase", classname=family, name=name, time=f"{record.seconds:.3f}")
        if record.status == "failed":
            failure = ElementTree.SubElement(case, "failure", message=_printable(headline(record.message)))
            told = (record.claim, shortened(record.message), f"case: {record.case}", *record.diagnosis)
            failure.text = _printable("\n".join((*told, f"again: {record.replay}")))
        elif record.status != "passed":
            ElementTree.SubElement(case, "skipped", message=_printable(f"{record.status}: {shortened(record.message)}"))
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def _printable(text: str) -> str:
    """Text without the control characters that XML has no way to write."""
    return "".join(character for character in text if character in "\n\t" or character >= " ")
