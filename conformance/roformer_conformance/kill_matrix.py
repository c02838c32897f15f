"""The suite's own power: which check fails on which seeded fault, as recorded in a file of JSON lines.

The first line describes the run; each further line is one fault: its name, its mistake in a sentence, the checks that
fail on it, the grade R that comparing with the oracle gives it (null where that does not see it, or is not asked), and
the checks that came later and were not tried on it yet.
`python -m tests.conformance.make_kill_matrix FILE` makes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .levels import UsageError

FORMAT = 2
# Where the kill rate against K is told.
BUDGETS = (1, 2, 4, 8, 16, 64, 256, 1024)


@dataclass(frozen=True)
class FaultRow:
    """What the suite makes of one seeded fault."""

    fault: str
    mistake: str
    killed_by: tuple[str, ...]  # ids of checks
    parity: float | None  # the largest grade R of NUM-1.1/parity, infinite where it fails for another reason
    seconds: float
    untried: tuple[str, ...] = ()  # ids of checks


@dataclass(frozen=True)
class KillMatrix:
    """Checks × faults; `faults` is how many there are, made or not."""

    level: str
    checks: tuple[str, ...]
    faults: int
    rows: tuple[FaultRow, ...]

    @property
    def survivors(self) -> list[FaultRow]:
        """Faults that no check sees."""
        return [row for row in self.rows if not row.killed_by]

    @property
    def idle(self) -> list[str]:
        """Checks that fail on no fault: vacuous, once all faults were tried."""
        busy = {check for row in self.rows for check in row.killed_by}
        return [check for check in self.checks if check not in busy]

    def families(self) -> Mapping[str, tuple[int, int, int]]:
        """Family → its checks, the faults that some of them sees, and those that no other family sees."""
        found = {}
        for family in dict.fromkeys(check.partition("-")[0] for check in self.checks):
            by_row = [{check.partition("-")[0] for check in row.killed_by} for row in self.rows]
            seen = sum(family in families for families in by_row)
            alone = sum(families == {family} for families in by_row)
            found[family] = (sum(check.startswith(f"{family}-") for check in self.checks), seen, alone)
        return found

    def parity_kills(self, k: float) -> int:
        """How many faults comparing with the oracle alone would see if a grade above `k` failed."""
        return sum(row.parity is not None and row.parity > k for row in self.rows)


def read_matrix(path: Path) -> KillMatrix:
    """The matrix in a file.

    Raises:
        UsageError: no such file, or it does not hold a matrix.
    """
    try:
        header, *lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
        if header["format"] != FORMAT:
            raise UsageError(f"{path} has format {header['format']}, this version reads {FORMAT}")
        rows = tuple(_row(line) for line in lines)
        return KillMatrix(header["level"], tuple(header["checks"]), header["faults"], rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path} cannot be read as a kill matrix: {type(error).__name__}: {error}") from error


def header_line(level: str, checks: Sequence[str], faults: int) -> str:
    """The first line of a file."""
    return json.dumps({"format": FORMAT, "level": level, "faults": faults, "checks": list(checks)}) + "\n"


def row_line(row: FaultRow) -> str:
    """A further line; JSON has no infinity, so that it is written as text."""
    parity = "inf" if row.parity == float("inf") else row.parity
    return json.dumps({**vars(row), "parity": parity}, ensure_ascii=False) + "\n"


def _row(line: Mapping[str, Any]) -> FaultRow:
    parity = None if line["parity"] is None else float(line["parity"])
    return FaultRow(
        line["fault"], line["mistake"], tuple(line["killed_by"]), parity, line["seconds"], tuple(line["untried"])
    )
