"""Rows of text with labels, from JSON lines.

    {"text": "床前明月光"}                                      masked_lm, causal_lm
    {"text": "味道很好", "label": "positive"}                    sequence_classification
    {"tokens": ["李白", "在", "长安"], "labels": ["PER", "O", "LOC"]}   token_classification

Labels are strings or integers. Other fields are left alone, empty lines too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import InputError, shown
from ..json_files import parse_json_object


@dataclass(frozen=True)
class Row:
    """One line: a text, or its tokens, and what is known of it; `place` is what an error calls it."""

    place: str
    text: str | tuple[str, ...]
    labels: str | tuple[str, ...] | None


def read_rows(path: str | os.PathLike[str], head: str) -> list[Row]:
    """Every row of a file.

    Args:
        path: UTF-8, one JSON object a line.
        head: which says what a row must hold.

    Raises:
        InputError: naming file, line, field and what is allowed.
        OSError: the file cannot be read.
    """
    rows = [_row(place, line, head) for place, line in _lines(Path(path))]
    if not rows:
        raise InputError(f"{path} holds no row")
    return rows


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines that are not empty, each with its name; only a line feed ends one, as JSON asks."""
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        place = f"{path.name} line {number}"
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{place} is not UTF-8: byte {error.start} is {line[error.start]:#04x}") from error
        if text.strip():
            yield place, text


def _row(place: str, line: str, head: str) -> Row:
    try:
        values = parse_json_object(line)
    except ValueError as error:
        raise InputError(f"{place} is no JSON object: {error}") from error
    return _READERS[head](place, values)


def _text_row(place: str, values: Mapping[str, Any]) -> Row:
    return Row(place, _text(place, "text", _field(place, values, "text")), None)


def _labelled_row(place: str, values: Mapping[str, Any]) -> Row:
    label = _label(place, "label", _field(place, values, "label"))
    return Row(place, _text(place, "text", _field(place, values, "text")), label)


def _token_row(place: str, values: Mapping[str, Any]) -> Row:
    tokens, labels = (_list(place, name, _field(place, values, name)) for name in ("tokens", "labels"))
    if len(tokens) != len(labels):
        raise InputError(f"{place}: {len(tokens)} tokens have {len(labels)} labels, expected one for each")
    return Row(
        place,
        tuple(_text(place, f"tokens[{number}]", token) for number, token in enumerate(tokens)),
        tuple(_label(place, f"labels[{number}]", label) for number, label in enumerate(labels)),
    )


_READERS: Mapping[str, Callable[[str, Mapping[str, Any]], Row]] = MappingProxyType(
    {
        "masked_lm": _text_row,
        "causal_lm": _text_row,
        "sequence_classification": _labelled_row,
        "token_classification": _token_row,
    }
)


def _field(place: str, values: Mapping[str, Any], name: str) -> Any:
    if name not in values:
        raise InputError(f"{place} has no field {name!r}; it has {', '.join(map(repr, values)) or 'none'}")
    return values[name]


def _text(place: str, name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{place}: {name} is {shown(value)}, expected a string that is not empty")
    return value


def _label(place: str, name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise InputError(f"{place}: {name} is {shown(value)}, expected a string or an integer")
    return str(value)


def _list(place: str, name: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise InputError(f"{place}: {name} is {shown(value)}, expected a list that is not empty")
    return value
