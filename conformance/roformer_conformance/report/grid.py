"""What documents say of each clause: the grid of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ..clauses import FAMILIES, load_clauses
from .documents import Document

# From the worst to the best: a clause is as good as the worst that was found of it.
_ORDER = ("failed", "differs", "passed")
MARKS: Mapping[str, str] = MappingProxyType(
    {"failed": "✗", "differs": "≈", "passed": "✓", "not_claimed": "–", "unchecked": "·", "not_asked": ""}
)


@dataclass(frozen=True)
class Cell:
    """One clause of one implementation."""

    status: str
    tried: int = 0
    such: int = 0  # of those tried, how many have this status

    @property
    def mark(self) -> str:
        """One sign for the status."""
        return MARKS[self.status]

    @property
    def count(self) -> str:
        """How many were tried; where not all of them have this status, how many have."""
        return "" if not self.tried else str(self.tried) if self.such == self.tried else f"{self.such} of {self.tried}"


@dataclass(frozen=True)
class Row:
    """One clause, and what came of it in each implementation."""

    clause: str
    title: str
    cells: tuple[Cell, ...]


def rows(documents: Sequence[Document]) -> Mapping[str, list[Row]]:
    """Family → its clauses that some document asked for, in the specification's order."""
    found = [_cells(document) for document in documents]
    clauses = {name: clause.title for name, clause in load_clauses().items()}
    for cells in found:  # an older or newer specification has others
        clauses |= {name: "" for name in cells if name not in clauses}
    grouped: dict[str, list[Row]] = {}
    for name in sorted(clauses, key=_place):
        if any(name in cells for cells in found):
            row = Row(name, clauses[name], tuple(cells.get(name, Cell("not_asked")) for cells in found))
            grouped.setdefault(name.partition("-")[0], []).append(row)
    return grouped


def _cells(document: Document) -> dict[str, Cell]:
    statuses: dict[str, list[str]] = {}
    for record in document["records"]:
        for clause in (record["clause"], *record["also"]):
            statuses.setdefault(clause, []).append(record["status"])
    not_claimed, not_asked = (set(document["coverage"].get(name, ())) for name in ("not_claimed", "not_asked"))
    asked = [name for name in document["claims"] if name not in not_asked]
    return {name: _cell(statuses.get(name, []), name in not_claimed) for name in asked}


def _cell(statuses: Sequence[str], not_claimed: bool) -> Cell:
    tried = [status for status in statuses if status != "not_claimed"]
    worst = next((status for status in _ORDER if status in tried), "not_claimed" if not_claimed else "unchecked")
    return Cell(worst, len(tried), tried.count(worst))


def _place(clause: str) -> tuple[int, tuple[int, ...]]:
    family, _, number = clause.partition("-")
    parts = tuple(int(part) for part in number.split(".") if part.isdigit())
    return (FAMILIES.index(family) if family in FAMILIES else len(FAMILIES), parts)
