"""Messages and answers as JSON lines, held to the schemas that are shipped with this package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np

SCHEMA = Path(__file__).with_name("messages.schema.json")


class FrameError(ValueError):
    """A line is no answer to the message that was sent; the text says what it is instead."""


def written(message: Mapping[str, Any]) -> bytes:
    """The message as a line.

    Raises:
        TypeError: something in it has no way of being written in JSON.
    """
    return json.dumps(message, default=_plain).encode() + b"\n"


def read(line: bytes, message: Mapping[str, Any]) -> dict[str, Any]:
    """The answer in a line to a message.

    Raises:
        FrameError: the line is no JSON, breaks the schema, or answers another message.
    """
    command = message["command"]
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        raise FrameError(f"answered {command} with what is no JSON: {line[:80]!r}") from None
    for error in _validator(f"{command}_answer").iter_errors(answer):
        raise FrameError(f"answered {command} with {line[:200]!r}: at {error.json_path}, {error.message}")
    if answer.get("id") != message.get("id"):
        raise FrameError(f"answered {command} number {message.get('id')} with the answer to {answer.get('id')}")
    return dict(answer)


def validate_message(message: Any) -> None:
    """Refuse a message that the suite may not send.

    Raises:
        jsonschema.ValidationError: saying what is wrong with it.
    """
    _validator(f"{message['command']}_message").validate(message)


@cache
def _validator(name: str) -> Any:
    document = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": document["$defs"]})


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be written in JSON")
