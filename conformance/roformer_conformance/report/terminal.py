"""What a person reads of a result on a terminal: a table, the failures, a verdict."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..clauses import FAMILIES, PROFILES
from ..profiles.registered import explained_by
from ..records import STATUSES, Coverage, Record, Result
from ..shortening import shortened
from ..telling import most_telling, suspicion
from .standing import Standing

# More failures than a terminal is good for; the files hold all of them.
SHOWN_FAILURES = 10
# Ids in one sentence.
SHOWN_IDS = 8


def print_result(result: Result, console: Console) -> None:
    """The table of families, every failure with its replay line, and the verdict."""
    suspected = Text(suspicion([vars(record) for record in result.failed]), style="bold yellow")
    if suspected:
        console.print(suspected)
    console.print(_families_table(result))
    for record in most_telling(result.failed, lambda record: record.id)[:SHOWN_FAILURES]:
        print_failure(record, console)
    if len(result.failed) > SHOWN_FAILURES:
        console.print(f"… and {len(result.failed) - SHOWN_FAILURES} more failures; --json FILE holds all of them")
    for line in _registered(result):
        console.print(Text(line, style="yellow"))
    for line in _perhaps_registered(result):
        console.print(Text(line, style="dim"))
    covered = result.coverage()
    for claim in covered.not_asked:
        console.print(Text(f"Asked of no implementation: {claim}, {result.not_asked[claim]}", style="dim"))
    unchecked = covered.unchecked
    if unchecked:
        console.print(Text(f"No check tries these claims yet: {', '.join(unchecked)}", style="dim"))
    unclaimed = _unclaimed(result)
    if unclaimed:
        console.print(Text(f"Not claimed by {result.implementation}: {', '.join(unclaimed)}", style="dim"))
    if suspected:  # again, where a long run ends
        console.print(suspected)
    console.print(verdict(result))


def verdict(result: Result) -> Text:
    """One sentence: what was tried, and whether it conforms."""
    covered = result.coverage()
    applicable = _applicable(covered)
    tried = [record for record in result.records if record.status != "not_claimed"]
    heads = len({record.head for record in tried})
    checks = "1 check or vector" if len(tried) == 1 else f"{len(tried)} checks and vectors"
    amount = f"{checks} on {heads} head{'' if heads == 1 else 's'}"
    clauses = f"claims run {len(covered.run)} / applicable {applicable} / total {len(covered.total)}"
    time = f"{result.seconds:.1f} s" + (
        f" after {result.preparation_seconds:.1f} s of preparation" if result.preparation_seconds >= 0.1 else ""
    )
    standing = Standing.of_result(result)
    differs = f", {len(result.differs)} differ as expected" if result.differs else ""
    sentence = f"{result.implementation} {result.version} {standing.words}: {amount}{differs}; {clauses}; {time}"
    return Text(sentence, style=standing.choice("bold green", "bold yellow", "bold red"))


def print_failure(record: Record, console: Console) -> None:
    """Everything that one failure says, and below it, in one piece so that it can be copied, what repeats it."""
    console.print(_failure_panel(record))
    if record.replay:
        console.print(Text(f"again: {record.replay}", style="cyan"), soft_wrap=True)


def _failure_panel(record: Record) -> Panel:
    lines = [Text(record.claim), Text(shortened(record.message), style="red")]
    if record.case:
        lines.append(Text(f"case: {record.case}"))
    if record.grade:
        lines.append(Text(f"largest grade R: {record.grade:.3g}"))
    lines += [Text(line, style="yellow") for line in record.diagnosis]
    title = Text(f"{record.id} [{record.head} {record.dtype}]")
    return Panel(Group(*lines), title=title, title_align="left", border_style="red")


def _registered(result: Result) -> list[str]:
    """What differs in the way that the chosen profile registers, a line each, and how many records say so."""
    reasons = Counter(record.message.partition("\n")[0] for record in result.differs)
    told = f"as registered for {result.profile} at "
    return [f"≈ differs {reason} ({number}×)" for reason, number in reasons.items() if reason.startswith(told)]


def _perhaps_registered(result: Result) -> list[str]:
    """Which failures another profile than the run's registers, and how to see it."""
    profile, found = explained_by(result.records) if result.profile == PROFILES[0] else ("", [])
    if not profile:
        return []
    ids = list(dict.fromkeys(record.id for record in found))
    more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
    return [
        f"{len(found)} of the {len(result.failed)} failures may be what {profile} does: "
        f"{', '.join(ids[:SHOWN_IDS])}{more}",
        f"roformer-conformance profiles {profile} describes it; check … --profile {profile} counts them as registered",
    ]


def _unclaimed(result: Result) -> list[str]:
    """Every capability and head without which something was not tried, each once, and what adapters say of others."""
    messages = {record.message.removeprefix("needs ") for record in result.not_claimed}
    needs = {need for message in messages for need in _needs(message)}
    return sorted(needs | {result.inapplicable[claim] for claim in result.claims if claim in result.inapplicable})


def _needs(message: str) -> list[str]:
    """The names that a message lists; an adapter's own words, with commas of their own, are one."""
    parts = re.split(", | or ", message)
    listed = all(re.fullmatch(r"(head )?[\w:.-]+", part) for part in parts)
    return [part.removeprefix("head ") for part in parts] if listed else [message.partition("\n")[0]]


def _families_table(result: Result) -> Table:
    title = f"{result.implementation} {result.version}, level {result.level}, seed {result.seed}"
    title += f", profile {result.profile}" if result.profile != PROFILES[0] else ""
    table = Table(title=title, title_justify="left")
    table.add_column("family")
    table.add_column("run / applicable / total", justify="right")
    statuses = [status for status in STATUSES if status in ("passed", "failed") or result.with_status(status)]
    for name in (*statuses, "largest_R", "seconds"):
        table.add_column(name.replace("_", "\n"), justify="right")
    tried = {name.partition("-")[0] for name in (*result.claims, *(record.clause for record in result.records))}
    for family in FAMILIES:
        if family in tried:
            table.add_row(*_family_row(result, family, statuses))
    return table


def _family_row(result: Result, family: str, statuses: Sequence[str]) -> list[str]:
    records = [record for record in result.records if record.clause.startswith(f"{family}-")]
    covered = result.coverage(family)
    counts = {status: sum(record.status == status for record in records) for status in STATUSES}
    grades = [record.grade for record in records if record.grade is not None and record.dtype != "float64"]
    color = "red" if counts["failed"] else "green" if counts["passed"] else "yellow"
    applicable = _applicable(covered)
    return [
        f"[{color}]{family}[/]",
        f"{len(covered.run)} / {applicable} / {len(covered.total)}",
        *(str(counts[status]) for status in statuses),
        _shown_grade(max(grades)) if grades else "",
        f"{sum(record.seconds for record in records):.1f}",
    ]


def _applicable(covered: Coverage) -> int:
    return len(covered.total) - len(covered.not_claimed) - len(covered.not_asked)


def _shown_grade(grade: float) -> str:
    return f"{grade:.2f}" if grade < 1000 else f"{grade:.0e}"
