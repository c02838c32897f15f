"""The account of a run: as JSON, and as the lines of a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .figures import Spread, ratio, spread
from .race import Measured

COLUMNS = ("shape", "who", "median ms", "middle half", "× engine", "middle half", "rounds", "difference", "")


def as_json(lines: Sequence[Measured], **about: Any) -> dict[str, Any]:
    """Everything that was measured, with the medians and ratios already taken."""
    return {**about, "results": [record(line, first_of(lines, line.case)) for line in lines]}


def record(line: Measured, first: Measured) -> dict[str, Any]:
    """One line as plain values; times in seconds, ratios to the first of its case."""
    taken = {}
    if line.seconds:
        taken = {"time": asdict(spread(line.seconds)), "ratio": asdict(ratio(line.seconds, first.seconds))}
    return {**asdict(line), **taken}


def first_of(lines: Sequence[Measured], case: str) -> Measured:
    """The line that the others of a case are held against."""
    return next(line for line in lines if line.case == case)


def best_peer(lines: Sequence[Measured], case: str, ours: Sequence[str]) -> Measured | None:
    """The quickest float32 competitor that computes all of a case; None where there is none.

    Args:
        lines: of the whole account.
        case: which of its cases.
        ours: how the names of those begin who are no peers.
    """
    peers = [line for line in lines if line.case == case and not line.name.startswith(tuple(ours)) and line.float32]
    timed = [line for line in peers if line.seconds and not line.is_limit and not line.reason]
    return min(timed, key=lambda line: spread(line.seconds).middle, default=None)


def rows(lines: Sequence[Measured]) -> list[tuple[str, ...]]:
    """The table's cells, in the order of COLUMNS; who could not run has his reason in the last."""
    return [_row(line, first_of(lines, line.case)) for line in lines]


def compared_with(lines: Sequence[Measured]) -> str:
    """The head of the column of ratios: they are to the first who was timed."""
    return f"× {next((line.name for line in lines if line.seconds and not line.reason), 'the first')}"


def _row(line: Measured, first: Measured) -> tuple[str, ...]:
    error = "" if line.error is None else f"{line.error:.1e}"
    if not line.seconds or line.reason:
        return (line.case, line.name, "–", "", "–", "", str(len(line.seconds)), error, f"not timed: {line.reason}")
    times, against = spread(line.seconds), ratio(line.seconds, first.seconds)
    note = "; ".join(part for part in (line.note, line.version) if part)
    return (
        line.case, line.name, _milliseconds(times.middle), f"{_milliseconds(times.low)} – {_milliseconds(times.high)}",
        f"{against.middle:.2f}", _range(against), str(len(line.seconds)), error, note,
    )  # fmt: skip


def _range(value: Spread) -> str:
    return f"{value.low:.2f} – {value.high:.2f}"


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}" if seconds < 1 else f"{1e3 * seconds:.0f}"


def markdown(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A table for a page."""
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines) + "\n"


def write(found: dict[str, Any], lines: Sequence[Measured], folder: Path) -> Path:
    """results.json and results.md in a folder that is made when it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.json"
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    columns = tuple(compared_with(lines) if name == "× engine" else name for name in COLUMNS)
    (folder / "results.md").write_text(markdown(columns, rows(lines)), encoding="utf-8")
    return path
