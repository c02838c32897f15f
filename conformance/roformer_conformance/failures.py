"""Failures: each is explained once, and saved as a file that can be tried again alone.

A file is `<check>-<head>-<type>.json` with what was claimed, tried and found; the arrays of the call lie beside it in
`.safetensors`: `weights/…`, `inputs/…` and, where the call has an output that differs, `expected/…` and `got/…`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from .diagnosis import SECONDS, Diagnosis, diagnose, diagnose_calls
from .diagnosis.calls import Call
from .levels import UsageError
from .protocol import Adapter, Array, flatten
from .records import Record
from .registry import all_checks
from .strategies import Case
from .telling import NOT_EXPLAINED
from .vectors import Vector, load_vectors

FORMAT = 1
# What a run may spend on explaining its failures; the most telling ones are explained.
SECONDS_OF_A_RUN = 15.0


@dataclass
class Examiner:
    """Explains the failures of one run, as long as there is time, and saves them."""

    adapter: Adapter
    k: float
    name: str  # what a command line calls the implementation
    folder: Path | None = None
    model: Path | None = None  # the checkpoint of an implementation with fixed weights
    seconds: float = SECONDS_OF_A_RUN

    def examined(self, record: Record) -> Record:
        """The record with its diagnosis and its file; what did not fail stays as it is."""
        if record.status != "failed" or record.diagnosis:
            return record
        started = time.perf_counter()
        found = self._diagnosis(record)
        self.seconds -= time.perf_counter() - started
        names = tuple(item.variant.name for item in found.likeness)
        explained = replace(record, diagnosis=found.lines, looks_like=names)
        if self.folder is None:
            return explained
        return replace(explained, saved=str(save_failure(self.folder, explained, found, self.k, self.name, self.model)))

    def _diagnosis(self, record: Record) -> Diagnosis:
        if self.seconds <= 0.0:
            return Diagnosis((f"{NOT_EXPLAINED}: others took the {SECONDS_OF_A_RUN:g} s that a run has for it",))
        vector = vector_of(record)
        if vector is not None:
            return diagnose_calls(self.adapter, [_call_of(vector, record.dtype)], self.k)
        if record.tried is None:  # an expected failure that passed
            return Diagnosis()
        check = all_checks()[record.id]
        return diagnose(self.adapter, check, record.tried, record.dtype, self.k, min(SECONDS, self.seconds))


def vector_of(record: Record) -> Vector | None:
    """The golden vector that a record is about."""
    return next((vector for vector in load_vectors() if vector.check_id == record.id), None)


def _call_of(vector: Vector, dtype: str) -> Call:
    weights = {name: array.astype(dtype).astype(np.float64) for name, array in vector.weights().items()}
    return Call(
        vector.head, vector.described["config"], weights, dtype, vector.inputs(), options=vector.described["options"]
    )


def save_failure(
    folder: Path, record: Record, found: Diagnosis, k: float, name: str, model: Path | None = None
) -> Path:
    """Write one failure to `folder`; returns the JSON file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (re.sub(r"[^A-Za-z0-9.]+", "-", f"{record.id}-{record.head}-{record.dtype}") + ".json")
    call = found.comparison.call if found.comparison else found.call
    arrays = _arrays(call) if call else None
    described = {
        "format": FORMAT,
        "implementation": name,
        "model": str(model) if model else None,
        "k": k,
        **{key: getattr(record, key) for key in ("id", "head", "dtype", "claim", "message", "diagnosis", "replay")},
        "case": asdict(record.tried) if record.tried else None,
        "call": _described(call) if call and arrays is not None else None,
        "differs": _difference(found) if arrays is not None else None,
    }
    if arrays is not None:
        save_file({**arrays, **_compared(found)}, path.with_suffix(".safetensors"))
    path.write_text(json.dumps(described, indent=1, default=_plain) + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True)
class Failure:
    """A saved failure."""

    path: Path
    described: Mapping[str, Any]

    @property
    def case(self) -> Case | None:
        """What the check failed on; None for a golden vector."""
        return Case(**self.described["case"]) if self.described["case"] else None

    def arrays(self) -> dict[str, Array]:
        """The arrays of the call."""
        return load_file(self.path.with_suffix(".safetensors"))


def load_failure(path: str | Path) -> Failure:
    """A failure that `save_failure` wrote.

    Raises:
        UsageError: no such file, or it holds something else.
    """
    try:
        described = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not isinstance(described, dict) or described.get("format") != FORMAT or "case" not in described:
        raise UsageError(f"{path} is no failure that `roformer-conformance check --failures` has saved")
    return Failure(Path(path), described)


def _arrays(call: Call) -> dict[str, Array] | None:
    """Weights and inputs by name; None where an argument is no array, so that no file can hold it."""
    inputs = {name: value for name, value in call.inputs.items() if value is not None}
    plain = {name: array for name, array in flatten(inputs).items() if array.dtype.kind in "fiub"}
    if plain.keys() != flatten(inputs).keys() or any(type(value) is list for value in inputs.values()):
        return None
    weights = {f"weights/{name}": np.asarray(array, call.dtype) for name, array in call.weights.items()}
    given = {f"inputs/{name}": array for name, array in plain.items()}
    return {name: np.array(array, order="C", copy=True) for name, array in {**weights, **given}.items()}


def _compared(found: Diagnosis) -> dict[str, Array]:
    comparison = found.comparison
    if comparison is None or comparison.first is None:
        return {}
    tap = comparison.first.tap
    sides = {f"expected/{tap}": comparison.expected[tap], f"got/{tap}": comparison.got[tap]}
    return {name: np.array(array, order="C", copy=True) for name, array in sides.items()}


def _described(call: Call) -> dict[str, Any]:
    return {"head": call.head, "config": dict(call.config), "style": call.style, "options": dict(call.options)}


def _difference(found: Diagnosis) -> dict[str, Any] | None:
    first = found.comparison.first if found.comparison else None
    return asdict(first) if first is not None else None


def _plain(value: Any) -> Any:
    """What JSON has in place of NumPy's numbers; of anything else its text."""
    return value.item() if isinstance(value, np.generic) else value.tolist() if hasattr(value, "tolist") else str(value)
