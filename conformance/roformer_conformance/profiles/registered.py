"""The behaviours that SPEC.md registers, and the failures that they explain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ..clauses import PROFILES, Clause, load_clauses
from ..expectations import Expectation, bears, judged, load_expectations
from ..levels import UsageError
from ..records import Record
from ..vector_verdicts import GUARDS

# How SPEC.md says that there is nothing to see in a profile, and nothing to be held to.
_NOTHING_TO_SEE = ("no ", "not applicable")
_ANYTHING_GOES = "nothing is promised"
_FOLDER = Path(__file__).parent


def contested_points() -> Mapping[str, Clause]:
    """The contested claims by id, in the order of SPEC.md."""
    return {clause.id: clause for clause in load_clauses().values() if clause.contested}


def registered_as(point: str, seen: str) -> tuple[str, ...]:
    """The profiles whose registered behaviour at a contested point is the one that was seen.

    A registered text is what is seen, and perhaps, after a semicolon, more about it.
    """
    texts = contested_points()[point].contested
    return tuple(
        profile for profile, text in texts.items() if text.partition(";")[0] == seen or text.startswith(_ANYTHING_GOES)
    )


def can_be_seen(text: str) -> bool:
    """Whether a registered text is a behaviour, and not that there is none."""
    return not text.startswith((*_NOTHING_TO_SEE, _ANYTHING_GOES))


def profile_expectations(name: str, known: Collection[tuple[str, str]] | None = None) -> tuple[Expectation, ...]:
    """The failures that a profile explains; of those alone that are about the `known` checks and heads, if given.

    `documented` explains none: it is the specification.

    Raises:
        UsageError: there is no such profile.
        ExpectationError: the list cannot be read.
    """
    if name not in PROFILES:
        raise UsageError(f"no profile is called {name!r}; known are {', '.join(PROFILES)}")
    if name == PROFILES[0]:
        return ()
    entries = load_expectations(_FOLDER / f"{name}.toml")
    told = [replace(item, reason=f"as registered for {name} at {item.reason}") for item in entries]
    return tuple(item for item in told if known is None or bears(item, known))


def explained_by(records: Iterable[Record]) -> tuple[str, list[Record]]:
    """The profile that explains most of the failures among these records, and which; "" and none where none does.

    One with more checks that pass here than it explains failures is none: a mistake of another kind fails some of its
    checks, too.
    """
    tried = list(records)
    found: dict[str, list[Record]] = {"": []}
    for name in PROFILES[1:]:
        entries = profile_expectations(name)
        turned = [(record, record.status, judged(_as_it_was(record), entries).status) for record in tried]
        explained = [record for record, *way in turned if way == ["failed", "differs"]]
        denied = [record for record, *way in turned if way == ["passed", "failed"]]
        found[name] = explained if len(explained) > len(denied) else []
    most = max(found, key=lambda name: len(found[name]))
    return most, found[most]


def _as_it_was(record: Record) -> Record:
    """Without the mistake that a golden vector guards against, which nobody has seen."""
    return replace(record, message=record.message.partition(GUARDS)[0])
