"""Failures that somebody knows of: a TOML file of check ids with reasons, strict in both directions.

    [[expected]]
    id = "HEAD-7.1/pruned-is-masked"
    reason = "pruning was removed in version 5"
    head = "causal_lm"        # optional: only there
    says = "AttributeError"   # optional: part of the message; a failure that says something else is one
    version = "5.23.0"        # optional: where this was seen; at the top of the file, for all entries
    link = "https://…"        # optional: more about it; likewise
    expires = 2027-06-30      # optional: the last day on which this may still be so; likewise

id and head may be lists. A named check has to fail: then its record differs as expected. One that passes is a failure,
so that the list does not rot; an id that names nothing is an error, and so is an entry whose day is over.
"""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from .records import Record


class ExpectationError(ValueError):
    """The list of expected failures cannot be read, is out of date, or names something that does not exist."""


@dataclass(frozen=True)
class Expectation:
    """One check that has to fail, on one head or on all, and why."""

    id: str
    reason: str
    head: str = ""
    says: str = ""
    version: str = ""
    link: str = ""
    expires: datetime.date | None = None

    def names(self, identifier: str, head: str) -> bool:
        """Whether this is about a check on a head."""
        return self.id == identifier and self.head in ("", head)


_SHARED = ("version", "link", "expires")
_OPTIONAL = ("head", "says", *_SHARED)


def load_expectations(path: str | Path, today: datetime.date | None = None) -> tuple[Expectation, ...]:
    """The expectations in a TOML file.

    Raises:
        ExpectationError: no such file, no TOML, an entry without id or reason or with an unknown field, or one that has
            expired by `today`.
    """
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ExpectationError(f"{path} cannot be read: {error}") from error
    shared = {name: document[name] for name in _SHARED if name in document}
    entries = [{**shared, **entry} for entry in document.get("expected", [])]
    for entry in entries:
        _require_whole(entry, path)
        _require_current(entry, path, today or datetime.datetime.now(datetime.UTC).date())
    return tuple(
        Expectation(**{**entry, "id": identifier, "head": head})
        for entry in entries
        for identifier in _each(entry["id"])
        for head in _each(entry.get("head", ""))
    )


def _require_whole(entry: Mapping[str, Any], path: str | Path) -> None:
    """Refuse an entry without id or reason, or with a field that nobody knows."""
    if not entry.get("id") or not entry.get("reason") or entry.keys() - {item.name for item in fields(Expectation)}:
        perhaps = ", ".join(_OPTIONAL)
        raise ExpectationError(f"{path}: every [[expected]] has an id, a reason and perhaps {perhaps}; got {entry}")


def _require_current(entry: Mapping[str, Any], path: str | Path, today: datetime.date) -> None:
    """Refuse an entry whose day is over, or whose day is none."""
    expires = entry.get("expires")
    if expires is None:
        return
    who = f"{path}: the entry for {', '.join(_each(entry['id']))}"
    if type(expires) is not datetime.date:  # a datetime is a date, too
        raise ExpectationError(f"{who} has expires = {expires!r}, expected a day without quotes, as in 2027-06-30")
    if expires < today:
        told = f"{who} expired on {expires.isoformat()} ({entry['reason']})"
        raise ExpectationError(f"{told}: take it out, or look whether it still holds and give it another day")


def _each(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


def require_known(expectations: Iterable[Expectation], known: Collection[tuple[str, str]]) -> None:
    """Refuse an expectation about a check and head that are not run.

    Raises:
        ExpectationError: naming it.
    """
    for item in expectations:
        if not bears(item, known):
            where = f" on {item.head}" if item.head else ""
            raise ExpectationError(f"no check that is run is called {item.id!r}{where}")


def bears(item: Expectation, known: Collection[tuple[str, str]]) -> bool:
    """Whether an expectation is about one of these checks and heads."""
    return any(item.names(identifier, head) for identifier, head in known)


def judged(record: Record, expectations: Iterable[Expectation]) -> Record:
    """The record as its expectation, if there is one, wants it read."""
    for item in expectations:
        if item.names(record.id, record.head):
            if record.status == "failed" and item.says in record.message:
                return replace(record, status="differs", message=f"{item.reason}\n{record.message}")
            if record.status == "passed":
                return replace(record, status="failed", message=f"was expected to fail ({item.reason}), and passes")
    return record
