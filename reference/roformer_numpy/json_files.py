"""Reading JSON that somebody else wrote: nothing given twice, no NaN, no bottomless nesting."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any


def read_json_object(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON object in the file `path`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no JSON object, names a key twice, or holds NaN or infinity.
    """
    return parse_json_object(Path(path).read_text(encoding="utf-8"))


def parse_json_object(text: str | bytes) -> dict[str, Any]:
    """The JSON object in `text`.

    Raises:
        ValueError: it is no JSON object, names a key twice, or holds NaN or infinity.
    """
    try:
        values = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    if not isinstance(values, dict):
        raise ValueError(f"it holds a JSON {type(values).__name__}, expected an object")
    return values


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(name for name, _ in pairs)
    if len(counts) < len(pairs):
        raise ValueError(f"keys given twice: {', '.join(name for name, count in counts.items() if count > 1)}")
    return dict(pairs)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")
