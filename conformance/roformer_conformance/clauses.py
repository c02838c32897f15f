"""The clauses of SPEC.md as values: what is claimed, who says so, what it catches.

The form that the file must have is described at its top; whatever departs from it is refused by line number, because a
clause that is silently skipped is a claim that nobody checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import NoReturn

from .protocol import HEADS
from .resources import spec_file

FAMILIES = (
    "CFG", "IN", "ERR", "EMB", "ROT", "ATT", "FFN", "MASK", "OUT", "HEAD", "DEC", "LOSS", "TRAIN", "LIFE", "TOK", "NUM",
)  # fmt: skip
PROFILES = (
    "documented", "transformers-tf-4.37", "transformers-torch-4.37", "transformers-torch-5", "transformers-flax-4.37",
)  # fmt: skip
KINDS = ("documentation", "paper", "practice", "decision")

_REQUIRED = ("Source", "Kind", "Heads", "Catches")
_FIELDS = ("Source", "Kind", "D", "B", "P", "Heads", "Asked", "Catches")

_FAMILY_HEADING = re.compile(r"## ([A-Z]+): (\S.*)")
_CLAUSE_HEADING = re.compile(r"### (([A-Z]+)-[1-9]\d*(?:\.[1-9]\d*)?) (\S.*)")
_FIELD_LINE = re.compile(r"- (\w+):(.*)")
_PROFILE_LINE = re.compile(r"  - ([\w.-]+): (\S.*)")


class SpecificationError(ValueError):
    """SPEC.md does not have the form that it describes; the message names the line and what was expected there."""


@dataclass(frozen=True)
class Clause:
    """One claim. `differs`, `broken` and `contested` are its deviations D, B and P; empty when it has none."""

    id: str
    family: str
    title: str
    text: str
    source: str
    kind: str  # one of KINDS
    reason: str  # of a decision; empty for the other kinds
    differs: str  # D: how it differs from the documentation, and why
    broken: str  # B: what transformers 4.37's TensorFlow code does instead
    contested: Mapping[str, str] = field(hash=False)  # P: profile → its registered behaviour
    heads: tuple[str, ...]
    catches: str
    not_asked: str = ""  # why no implementation can be asked, where that is so

    @property
    def deviations(self) -> str:
        """The letters of its deviations: "", "D", "B", "BP", …"""
        return "".join(letter for letter, given in zip("DBP", self._deviations(), strict=True) if given)

    def _deviations(self) -> tuple[object, ...]:
        return self.differs, self.broken, self.contested


@dataclass(frozen=True)
class Specification:
    """Everything in SPEC.md that has a name; each mapping in the order of the file."""

    families: Mapping[str, str]  # id → title
    groups: Mapping[str, str]  # id → title; a group claims nothing of its own
    clauses: Mapping[str, Clause]


@dataclass(frozen=True)
class _Line:
    number: int
    text: str

    def refuse(self, expected: str) -> NoReturn:
        raise SpecificationError(f"SPEC.md, line {self.number}: expected {expected}, got {self.text.strip()!r}")


@dataclass(frozen=True)
class _Block:
    """A heading of level three with the lines below it."""

    heading: _Line
    id: str
    family: str
    title: str
    lines: tuple[_Line, ...]


def load_clauses() -> dict[str, Clause]:
    """Every claim by its id, in the order of SPEC.md; groups are not among them.

    Raises:
        FileNotFoundError: there is no SPEC.md where the package looks.
        SpecificationError: it does not have the form that it describes.
    """
    return dict(load_specification().clauses)


@cache
def load_specification() -> Specification:
    """SPEC.md, read once.

    Raises:
        FileNotFoundError, SpecificationError: as `load_clauses`.
    """
    return parse(spec_file().read_text(encoding="utf-8"))


def select(clauses: Mapping[str, Clause], name: str) -> list[Clause]:
    """The claims that `name` stands for: itself, its group or its family, never a longer number."""
    below = (f"{name}.", f"{name}-")
    return [clause for clause in clauses.values() if clause.id == name or clause.id.startswith(below)]


def parse(text: str) -> Specification:
    """The specification written in `text`.

    Raises:
        SpecificationError: naming the line and what was expected there.
    """
    families: dict[str, str] = {}
    groups: dict[str, str] = {}
    clauses: dict[str, Clause] = {}
    for block in _blocks(text, families):
        if block.id in groups or block.id in clauses:
            block.heading.refuse(f"an id that stands here once only, not {block.id} again")
        if any(line.text.strip() for line in block.lines):
            clauses[block.id] = _clause(block)
        else:
            groups[block.id] = block.title
        _check_group(block, groups)
    _refuse_empty_groups(text, groups, clauses)
    return Specification(families, groups, clauses)


def _blocks(text: str, families: dict[str, str]) -> Iterator[_Block]:
    """The blocks of all families, whose titles are entered into `families` on the way."""
    block: _Block | None = None
    for line in _body(text):
        if line.text.startswith("#"):
            if block:
                yield block
            block = _opened(line, families)
        elif block:
            block = _Block(block.heading, block.id, block.family, block.title, (*block.lines, line))
    if block:
        yield block


def _body(text: str) -> list[_Line]:
    """The lines from the first family on; what stands above explains the file."""
    lines = [_Line(number, line) for number, line in enumerate(text.splitlines(), 1)]
    for position, line in enumerate(lines):
        if _FAMILY_HEADING.fullmatch(line.text):
            return lines[position:]
    raise SpecificationError("SPEC.md: expected a family, '## CFG: Title', found none")


def _opened(line: _Line, families: dict[str, str]) -> _Block | None:
    """What a heading begins: a family, whose prose is not read further, or a block."""
    if match := _FAMILY_HEADING.fullmatch(line.text):
        if match[1] not in FAMILIES or match[1] in families:
            line.refuse(f"a family of {', '.join(FAMILIES)}, each once")
        families[match[1]] = match[2]
        return None
    match = _CLAUSE_HEADING.fullmatch(line.text)
    if not match:
        line.refuse("'## FAMILY: Title' or '### FAMILY-1.2 Title'")
    current = next(reversed(families))
    if match[2] != current:
        line.refuse(f"an id of the family {current} that it stands in")
    return _Block(line, match[1], match[2], match[3], ())


def _check_group(block: _Block, groups: Mapping[str, str]) -> None:
    group, dot, _ = block.id.partition(".")
    if dot and group not in groups:
        block.heading.refuse(f"the heading of the group {group}, with nothing below it, above {block.id}")


def _refuse_empty_groups(text: str, groups: Mapping[str, str], clauses: Mapping[str, Clause]) -> None:
    used = {identifier.partition(".")[0] for identifier in clauses if "." in identifier}
    for line in _body(text):
        match = _CLAUSE_HEADING.fullmatch(line.text)
        if match and match[1] in groups and match[1] not in used:
            line.refuse(f"a text and fields below {match[1]}, or claims {match[1]}.1, {match[1]}.2, …")


def _clause(block: _Block) -> Clause:
    text, fields = _text_and_fields(block)
    kind, reason = _kind(fields["Kind"])
    return Clause(
        id=block.id,
        family=block.family,
        title=block.title,
        text=text,
        source=_joined(fields["Source"]),
        kind=kind,
        reason=reason,
        differs=_joined(fields["D"]) if "D" in fields else "",
        broken=_joined(fields["B"]) if "B" in fields else "",
        contested=_contested(fields["P"]) if "P" in fields else {},
        heads=_heads(fields["Heads"]),
        catches=_joined(fields["Catches"]),
        not_asked=_not_asked(fields["Asked"]) if "Asked" in fields else "",
    )


def _text_and_fields(block: _Block) -> tuple[str, dict[str, list[_Line]]]:
    """The lines before the first field as one text, and the lines of each field, by its name."""
    text: list[str] = []
    fields: dict[str, list[_Line]] = {}
    for line in block.lines:
        if line.text.startswith("- "):
            fields[_field_name(line, fields)] = [line]
        elif not fields:
            text.append(line.text)
        elif line.text.startswith("  "):
            fields[next(reversed(fields))].append(line)
        elif line.text:
            line.refuse("a field, '- Name: value', or a line indented by two spaces that continues one")
    _check_complete(block, text, fields)
    return "\n".join(text).strip("\n"), fields


def _field_name(line: _Line, before: Mapping[str, object]) -> str:
    last = next(reversed(list(before)), None)
    allowed = _FIELDS if last is None else _FIELDS[_FIELDS.index(last) + 1 :]
    match = _FIELD_LINE.fullmatch(line.text)
    if not match or match[1] not in allowed:
        after = f" after {last}" if last else ""
        line.refuse(f"a field of {', '.join(allowed) or 'none'}{after}")
    return match[1]


def _check_complete(block: _Block, text: list[str], fields: Mapping[str, object]) -> None:
    missing = [name for name in _REQUIRED if name not in fields]
    if missing:
        block.heading.refuse(f"the fields {', '.join(_REQUIRED)} below it, {', '.join(missing)} missing")
    if not any(text):
        block.heading.refuse("the claim in words below it, before its fields")


def _joined(lines: list[_Line]) -> str:
    """A field's value without its name, on one line."""
    first = lines[0].text.partition(":")[2]
    value = " ".join(part.strip() for part in (first, *(line.text for line in lines[1:])))
    if not value.strip():
        lines[0].refuse("a value after the name of the field")
    return value.strip()


def _kind(lines: list[_Line]) -> tuple[str, str]:
    kind, _, reason = _joined(lines).partition(": ")
    if kind not in KINDS:
        lines[0].refuse(f"a kind of {', '.join(KINDS)}")
    if (kind == "decision") != bool(reason):
        lines[0].refuse("'decision: the reason for it', or another kind without a reason")
    return kind, reason


def _not_asked(lines: list[_Line]) -> str:
    asked, _, reason = _joined(lines).partition(": ")
    if asked != "no" or not reason:
        lines[0].refuse("'no: the reason why no implementation can be asked'")
    return reason


def _heads(lines: list[_Line]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in _joined(lines).split(","))
    if names == ("all",):
        return HEADS
    if any(name not in HEADS for name in names) or len(set(names)) < len(names):
        lines[0].refuse(f"'all', or heads of {', '.join(HEADS)}, each once")
    return names


def _contested(lines: list[_Line]) -> dict[str, str]:
    """The behaviour of every profile; a line that begins none continues the one before it."""
    behaviours: dict[str, str] = {}
    for line in lines[1:]:
        if match := _PROFILE_LINE.fullmatch(line.text):
            behaviours[match[1]] = match[2]
        elif behaviours and line.text.startswith("    "):
            behaviours[next(reversed(behaviours))] += f" {line.text.strip()}"
        else:
            line.refuse("'  - profile: behaviour'")
    if tuple(behaviours) != PROFILES or lines[0].text != "- P:":
        lines[0].refuse(f"'- P:' and below it, in this order, {', '.join(PROFILES)}")
    return behaviours
