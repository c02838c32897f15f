"""The command `roformer-conformance profiles`."""

from __future__ import annotations

import json as json_module
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..clauses import PROFILES
from ..levels import UsageError
from ..protocol import find_adapter
from ..terminal import bar, exit_code, usage_errors
from .registered import contested_points, profile_expectations
from .seeing import Finding, look

NORMATIVE = PROFILES[0]


def profiles(
    name: Annotated[
        str,
        typer.Argument(help="a profile, or an implementation to be looked at; left out: all profiles", metavar="NAME"),
    ] = "",
    json: Annotated[Path | None, typer.Option("--json", help="write what was seen of an implementation")] = None,
) -> None:
    """List the profiles, what one does at the contested points, or what an implementation does there."""
    console = Console()
    if not name or name in PROFILES:
        if json is not None:
            with usage_errors():
                raise UsageError("--json is for an implementation: clauses and SPEC.md hold the profiles")
        console.print(_behaviours(name) if name else _listed())
        return
    with usage_errors():
        adapter = find_adapter(name)
        with bar("looking", console) as advance:
            findings = look(adapter, progress=lambda finding, total: advance(finding.point, total))
    console.print(_seen(f"{adapter.name} {adapter.version}", findings))
    console.print(Text(_nearest(findings), style="bold"))
    if json is not None:
        json.parent.mkdir(parents=True, exist_ok=True)
        json.write_text(json_module.dumps([asdict(item) for item in findings], indent=1) + "\n", encoding="utf-8")
        console.print(f"wrote {json}")
    raise typer.Exit(exit_code(adapter, conforms=True))


def _listed() -> Table:
    table = Table("profile", "checks and vectors that it explains", title="profiles", title_justify="left")
    table.columns[0].no_wrap = True
    table.add_row(NORMATIVE, "none: it is the specification, and what conforming means")
    for profile in PROFILES[1:]:
        table.add_row(profile, str(len({(entry.id, entry.head) for entry in profile_expectations(profile)})))
    table.caption = f"contested points: {', '.join(contested_points())}"
    return table


def _behaviours(profile: str) -> Table:
    table = Table("point", "claim", profile, title_justify="left")
    for point, clause in contested_points().items():
        table.add_row(point, Text(clause.title), Text(clause.contested[profile]))
    return table


def _seen(who: str, findings: Sequence[Finding]) -> Table:
    table = Table("point", "claim", "what it does", "as registered for", title=who, title_justify="left")
    table.columns[3].overflow = "fold"  # a profile's name is longer than its column on a narrow terminal
    for item in findings:
        seen = Text(item.seen or _first_line(item.problem), style="" if item.seen else "dim")
        alike = Text(", ".join(item.profiles), style="green" if NORMATIVE in item.profiles else "yellow")
        table.add_row(item.point, Text(item.title), seen, alike if item.profiles or not item.seen else Text("nobody"))
    return table


def _nearest(findings: Sequence[Finding]) -> str:
    """Which profile registers most of what was seen; the normative one if it is as good as any."""
    seen = [item for item in findings if item.seen]
    if not seen:
        return "nothing could be seen"
    tally = Counter(profile for item in seen for profile in item.profiles)
    nearest = max(PROFILES, key=lambda profile: (tally[profile], profile == NORMATIVE))
    told = f"nearest: {nearest}, at {tally[nearest]} of {len(seen)} points that could be looked at"
    return f"{told}; {NORMATIVE} at {tally[NORMATIVE]}" if nearest != NORMATIVE else told


def _first_line(text: str) -> str:
    return text.partition("\n")[0][:120]
