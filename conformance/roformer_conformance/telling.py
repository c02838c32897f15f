"""Which failures are looked at and shown first, and what most of them look like.

A mistake early in a model fails checks of everything behind it, and those of configuration and bad input are told
apart by their messages alone. So failures come in rounds, one of each family a round: arithmetic in the order of
computing, then the rest; the same check on a further head or in a further type comes when all others are through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

_VECTORS = "golden vectors"
# Golden vectors compare whole models, so that the family of their first claim says little about what is wrong.
_ORDER = (
    "EMB", "ROT", "ATT", "MASK", "FFN", "NUM", _VECTORS, "OUT", "HEAD", "DEC", "LOSS", "TRAIN", "LIFE", "IN", "TOK",
    "CFG", "ERR",
)  # fmt: skip
# How a diagnosis begins that says why there is none.
NOT_EXPLAINED = "not explained"
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
    """A sentence on the known mistake that half of the failures, or more, look like; "" where there is none.

    Args:
        failed: the fields `looks_like` and `diagnosis` of their records, as a document has them.
    """
    counts = Counter(mistake for record in failed for mistake in record.get("looks_like", ()))
    most = max(counts.values(), default=0)
    best = [mistake for mistake, count in counts.items() if count == most]
    explained = sum(not line.startswith(NOT_EXPLAINED) for record in failed for line in record.get("diagnosis", ())[:1])
    if not best or len(best) > _NAMED or 2 * most < explained:
        return ""
    return f"most likely: {' or '.join(best)}: {most} of {explained} failures that were looked into look like it"


def _family(identifier: str) -> str:
    return _VECTORS if "/vector-" in identifier else identifier.partition("-")[0]


def _place(family: str) -> int:
    return _ORDER.index(family) if family in _ORDER else len(_ORDER)
