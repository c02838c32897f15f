"""Which failures are looked at and shown first, and what most of them have in common.

A mistake early in a model fails checks of everything behind it, and those of configuration and bad input are told
apart by their messages alone. So failures come in rounds, one of each family a round: arithmetic in the order of
computing, then the rest; the same check on a further head or in a further type comes when all others are through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from .shortening import headline

_VECTORS = "golden vectors"
# Golden vectors compare whole models, so that the family of their first claim says little about what is wrong.
_ORDER = (
    "EMB", "ROT", "ATT", "MASK", "FFN", "NUM", _VECTORS, "OUT", "HEAD", "DEC", "LOSS", "TRAIN", "LIFE", "IN", "TOK",
    "CFG", "ERR",
)  # fmt: skip
# How a diagnosis begins that says why there is none.
NOT_EXPLAINED = "not explained"
# How the line of a diagnosis begins that says where the first difference is computed.
PLACE = "that is "
# More mistakes than these that explain a run equally well say nothing.
_NAMED = 3

Item = TypeVar("Item")


def most_telling(items: Sequence[Item], name: Callable[[Item], str]) -> list[Item]:
    """The items, such as failures, with what tells most about an implementation first.

    Args:
        items: in the order in which they were run.
        name: gives an item's id, as in `Record.id`.
    """
    again, others = Counter[str](), Counter[tuple[str, int]]()
    places: list[tuple[int, int, int]] = []
    for item in items:
        family, repeats = _family(name(item)), again[name(item)]
        places.append((repeats, others[family, repeats], _place(family)))
        again[name(item)] += 1
        others[family, repeats] += 1
    return [items[number] for number in sorted(range(len(items)), key=places.__getitem__)]


def in_order_of_computing(items: Sequence[Item], name: Callable[[Item], str]) -> list[Item]:
    """The items family by family: embeddings first, bad input last."""
    return sorted(items, key=lambda item: _place(_family(name(item))))


def suspicion(failed: Sequence[Mapping[str, Any]]) -> str:
    """A sentence on what half of the failures, or more, have in common; "" where that is nothing.

    A known mistake that they look like; else what all of them say, such as an exception; else where they begin.

    Args:
        failed: the fields `message`, `looks_like` and `diagnosis` of their records, as a document has them.
    """
    return _alike(failed) or _same_words(failed) or _same_place(failed)


def _alike(failed: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(mistake for record in failed for mistake in record.get("looks_like", ()))
    most = max(counts.values(), default=0)
    best = [mistake for mistake, count in counts.items() if count == most]
    explained = len(_explained(failed))
    if not best or len(best) > _NAMED or 2 * most < explained:
        return ""
    return f"most likely: {' or '.join(best)}: {most} of {explained} failures that were looked into look like it"


def _same_words(failed: Sequence[Mapping[str, Any]]) -> str:
    said = filter(None, (headline(record.get("message", "")) for record in failed))
    [(words, most)] = Counter(said).most_common(1) or [("", 0)]
    return f"{most} of {len(failed)} failures say: {words}" if most > 1 and 2 * most >= len(failed) else ""


def _same_place(failed: Sequence[Mapping[str, Any]]) -> str:
    explained = _explained(failed)
    lines = (line for record in explained for line in record["diagnosis"] if line.startswith(PLACE))
    [(place, most)] = Counter(lines).most_common(1) or [("", 0)]
    if most < 2 or 2 * most < len(explained):
        return ""
    return f"{most} of {len(explained)} failures that were looked into begin in {place.removeprefix(PLACE)}"


def _explained(failed: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The failures that somebody found time for."""
    return [record for record in failed if record.get("diagnosis") and not _unexplained(record["diagnosis"][0])]


def _unexplained(line: str) -> bool:
    return line.startswith(NOT_EXPLAINED)


def _family(identifier: str) -> str:
    return _VECTORS if "/vector-" in identifier else identifier.partition("-")[0]


def _place(family: str) -> int:
    return _ORDER.index(family) if family in _ORDER else len(_ORDER)
