"""The table of the world's RoFormers, and a page for each with what differs, why, and how to see it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..clauses import FAMILIES
from ..levels import UsageError
from .manifests import all_peers
from .summaries import Summary

START, END = "<!-- peers: written by roformer-conformance peers table -->", "<!-- end of peers -->"

LEGEND = (
    "A cell counts claims: ✓ all that were tried hold; ≈ so many differ, every one registered with its reason, of so "
    "many tried; ✗ so many fail; – not claimed. A cell that is not ✓ leads to what differs, why, and how to see it."
)


def table(summaries: Sequence[Summary], pages: str) -> str:
    """The table in Markdown; `pages` is the way from the document that it stands in to the folder of pages."""
    families = [name for name in FAMILIES if any(name in summary["families"] for summary in summaries)]
    lines = [
        f"| implementation | {' | '.join(families)} | level, date |",
        f"|---|{'---|' * len(families)}---|",
    ]
    for summary in summaries:
        named = f"[{summary['title']}]({summary['link']})" if summary["link"] else _named(summary)
        cells = " | ".join(_cell(summary, family, pages) for family in families)
        lines.append(f"| {named} {_plain(summary['version'])} | {cells} | {summary['level']}, {summary['date']} |")
    return "\n".join([*lines, "", LEGEND]) + "\n"


def page(summary: Summary) -> str:
    """Everything that differs in one implementation, by family of clauses."""
    name = summary["implementation"]
    peer = f"peers check {name}" if name in all_peers() else f"check {name}"
    linked = f" ([source]({summary['link']}))" if summary["link"] else ""
    lines = [
        f"# {summary['title']}, {_plain(summary['version'])}{linked}",
        "",
        "Written by `roformer-conformance peers table` from "
        f"[`data/{name}.json`](data/{name}.json); level {summary['level']}, seed {summary['seed']}, "
        f"{summary['date']}. All of it again: `roformer-conformance {peer} --level {summary['level']}`.",
    ]
    if not summary["differences"]:
        lines += ["", "Everything that was tried holds."]
    for family, counts in summary["families"].items():
        found = [entry for entry in summary["differences"] if entry["family"] == family]
        if found:
            tried = sum(counts.values()) - counts["not_claimed"]
            lines += ["", f"## {family}", "", f"Of {tried} claims tried {counts['passed']} hold."]
            for entry in found:
                lines += ["", *_explained(entry, peer)]
    return "\n".join(lines) + "\n"


def put(path: Path, block: str) -> bool:
    """Put the table between the markers of a document; False when it has none.

    Raises:
        UsageError: one marker without the other.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if (START in text) != (END in text):
        raise UsageError(f"{path} has one of the markers {START} and {END} without the other")
    if START not in text:
        return False
    before, _, rest = text.partition(START)
    path.write_text(f"{before}{START}\n{block}{END}{rest.partition(END)[2]}", encoding="utf-8")
    return True


def _named(summary: Summary) -> str:
    """A title and the name that commands take; the name alone for who has no other title."""
    name, title = summary["implementation"], summary["title"]
    return f"`{name}`" if title == name else f"{title}, `{name}`"


def _cell(summary: Summary, family: str, pages: str) -> str:
    counts = summary["families"].get(family, {})
    tried = sum(counts.get(status, 0) for status in ("passed", "differs", "failed"))
    told = [f"{mark} {counts[name]}" for mark, name in (("✗", "failed"), ("≈", "differs")) if counts.get(name)]
    if not told:
        return f"✓ {tried}" if tried else "–"
    return f"[{', '.join(told)} of {tried}]({pages}{summary['implementation']}.md#{family.lower()})"


def _explained(entry: Any, peer: str) -> list[str]:
    """One difference: why, what it breaks, what it says, and the command that shows it."""
    mark = "≈" if entry["status"] == "differs" else "✗"
    lines = [f"{mark} **{_plain(entry['reason'] or 'fails')}**", ""]
    for name, check in entry["checks"].items():
        lines.append(f"- `{name}` ({check['heads']}): {_plain(check['claim'])}".rstrip(": "))
    first = next(iter(entry["checks"]))
    again = f"roformer-conformance {peer} --clause {first}{' --no-strict' if peer.startswith('peers') else ''}"
    return [*lines, "", "```", f"$ {again}", entry["says"], "```"]


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
