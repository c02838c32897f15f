"""A result as the JSON document that `result.schema.json` describes, and back from files."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..levels import UsageError
from ..records import Result
from .standing import Standing

Document = Mapping[str, Any]


def document(result: Result) -> Document:
    """The whole result; what is not finite becomes null."""
    covered = dataclasses.asdict(result.coverage())
    verdict = Standing.of_result(result).words
    told = {"conforms": result.conforms, "verdict": verdict, "coverage": covered}
    whole: Document = _finite({**dataclasses.asdict(result), **told})
    return whole


def schema() -> Mapping[str, Any]:
    """What a document looks like, as a JSON schema."""
    described: Mapping[str, Any] = json.loads(Path(__file__).with_name("result.schema.json").read_text("utf-8"))
    return described


def read_documents(paths: Sequence[Path]) -> list[Document]:
    """The results in files that `--json` or `--report` wrote.

    Raises:
        UsageError: a file cannot be read, or is none of these; the message names it and what is wrong.
    """
    import jsonschema  # whoever writes results does not load it

    validator = jsonschema.Draft202012Validator(schema())
    return [_read(path, validator) for path in paths]


def _read(path: Path, validator: Any) -> Document:
    try:
        found: Document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as a result: {error}") from error
    for wrong in validator.iter_errors(found):
        raise UsageError(f"{path} is no result of roformer-conformance: {wrong.json_path}: {wrong.message[:200]}")
    return found


def _finite(value: Any) -> Any:
    """Plain values for JSON, null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
