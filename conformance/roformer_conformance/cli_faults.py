"""`roformer-conformance faults`: how much the suite sees, by the faults that were seeded to test it."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .kill_matrix import BUDGETS, KillMatrix, read_matrix
from .resources import kill_matrix_file
from .terminal import usage_errors

SHOWN = 12


def faults(
    matrix: Annotated[Path | None, typer.Option(help="another file than the recorded one")] = None,
    json: Annotated[bool, typer.Option("--json", help="print a JSON object in place of tables")] = False,
) -> None:
    """Print the kill matrix: which family of checks sees how many of the seeded faults."""
    with usage_errors():
        found = read_matrix(matrix or kill_matrix_file())
    if json:
        print(json_module.dumps(_summary(found), indent=1))
        return
    console = Console()
    console.print(_table(found))
    console.print(_sentence(found), soft_wrap=True)
    for row in found.survivors:
        console.print(f"survives: {row.fault}: {row.mistake}", soft_wrap=True, markup=False)
    rate = ", ".join(f"K = {k}: {found.parity_kills(k)}" for k in BUDGETS)
    console.print(f"Comparing with the oracle alone (NUM-1.1/parity) sees, at {rate}", soft_wrap=True)


def _table(matrix: KillMatrix) -> Table:
    table = Table(
        "family",
        title=f"{len(matrix.rows)} of {matrix.faults} seeded faults, level {matrix.level}",
        title_justify="left",
    )
    for name in ("checks", "faults seen", "seen by no other family"):
        table.add_column(name, justify="right")
    for family, numbers in matrix.families().items():
        table.add_row(family, *map(str, numbers))
    return table


def _sentence(matrix: KillMatrix) -> str:
    killed = len(matrix.rows) - len(matrix.survivors)
    words = f"{killed} of {len(matrix.rows)} faults are seen by {len(matrix.checks) - len(matrix.idle)} checks."
    if len(matrix.rows) < matrix.faults:
        return (
            f"{words} A sample: {matrix.faults} faults are seeded, so that nothing follows of a check not named here."
        )
    shown = ", ".join(matrix.idle[:SHOWN]) + (", …" if len(matrix.idle) > SHOWN else "")
    return words + (f" These fail on none at this level: {shown}." if matrix.idle else " Every check fails on some.")


def _summary(matrix: KillMatrix) -> dict[str, object]:
    return {
        "level": matrix.level,
        "faults": matrix.faults,
        "tried": len(matrix.rows),
        "killed": len(matrix.rows) - len(matrix.survivors),
        "survivors": [row.fault for row in matrix.survivors],
        "idle_checks": matrix.idle,
        "families": {
            family: {"checks": checks, "seen": seen, "alone": alone}
            for family, (checks, seen, alone) in matrix.families().items()
        },
        "parity_kills": {str(k): matrix.parity_kills(k) for k in BUDGETS},
    }
