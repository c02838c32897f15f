"""What is kept of a run for the table of the world's RoFormers: counts by family, and every difference with its reason.

A summary is a small JSON object without anything of the machine that it was made on.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..levels import UsageError
from ..report.documents import Document
from ..report.grid import rows
from ..shortening import headline
from .manifests import all_peers

Summary = Mapping[str, Any]

# What stands beside the peers under a name that a command line knows, and not its authors' own.
OURS = {
    "numpy": "This project: engine and numba kernels",
    "numpy-equations": "This project: equations",
    "tensorflow": "This project: Keras 3 and TensorFlow",
}
STATUSES = ("passed", "differs", "failed", "not_claimed")
_FIELDS = ("implementation", "title", "version", "link", "date", "level", "seed", "families", "differences")
_LONGEST = 200


def summary_of(document: Document, date: str) -> Summary:
    """The summary of a whole result that was made on a day: claims counted by family and status."""
    name = document["implementation"]
    peer = all_peers().get(name)
    return {
        "implementation": name,
        "title": peer.title if peer else OURS.get(name, name),
        "version": document["version"],
        "link": peer.link if peer else "",
        "date": date,
        "level": document["level"],
        "seed": document["seed"],
        "families": {family: _counts(found) for family, found in rows([document]).items()},
        "differences": _differences(document),
    }


def read_summaries(folder: Path) -> list[Summary]:
    """Every summary in a folder: what is no peer first, then the peers by name.

    Raises:
        UsageError: a file is none.
    """
    found = [_read(path) for path in sorted(folder.glob("*.json"))]
    return sorted(found, key=lambda item: (item["implementation"] in all_peers(), item["implementation"]))


def write_summary(summary: Summary, folder: Path) -> Path:
    """Write a summary to the folder, under its implementation's name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{re.sub('[^a-z0-9_-]', '-', summary['implementation'].lower())}.json"
    path.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _read(path: Path) -> Summary:
    try:
        found: Summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a summary: {error}") from error
    missing = [name for name in _FIELDS if name not in found]
    if missing:
        raise UsageError(f"{path} is no summary: {', '.join(missing)} are missing")
    return found


def _counts(found: list[Any]) -> dict[str, int]:
    counted = Counter(row.cells[0].status for row in found)
    return {status: counted[status] for status in STATUSES}


def _differences(document: Document) -> list[dict[str, Any]]:
    """What failed or differs, by family and reason: the checks, and how the first of them says it."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for record in document["records"]:
        if record["status"] not in ("failed", "differs"):
            continue
        first, _, rest = record["message"].partition("\n")
        reason, told = (first, rest) if record["status"] == "differs" else ("", record["message"])
        family = record["id"].partition("-")[0]
        key = (family, record["status"], reason or record["id"])
        shown = {"family": family, "status": key[1], "reason": reason, "says": _line(told), "checks": {}}
        checks = found.setdefault(key, shown)["checks"]
        entry = checks.setdefault(record["id"], {"claim": record["claim"], "heads": record["head"]})
        if record["head"] not in entry["heads"].split(", "):
            entry["heads"] += f", {record['head']}"
    return list(found.values())


def _line(message: str) -> str:
    """What a message says in a line, without the paths of a machine."""
    line = re.sub(r"(?<![\w.])/(?:[\w.@+-]+/)+", "…/", headline(message))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
