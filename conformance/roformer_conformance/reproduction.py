"""A failure as a short program that anybody can run: load, call, compare; nothing of the suite's runs in between."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .failures import Failure
from .protocol import Array

# Arrays with more numbers than these are read from the file beside the failure.
_SHOWN_NUMBERS = 60


def reproduction(failure: Failure, implementation: str = "") -> str:
    """At most 25 lines of Python that show the failure again."""
    described = failure.described
    name, call = implementation or described["implementation"], described["call"]
    if call is None:
        return "\n".join(_by_the_check(failure, name))
    inputs = {n.removeprefix("inputs/"): a for n, a in failure.arrays().items() if n.startswith("inputs/")}
    cached = "cache_of, " if any(name.startswith("past_key_values") for name in inputs) else ""
    lines = [
        "import numpy as np",
        "from safetensors.numpy import load_file",
        "",
        f"from roformer_conformance.protocol import {cached}find_adapter, flatten",
        "",
        f"# {described['id']}: {described['claim']}",
        f"stored = load_file({str(_arrays_file(failure.path))!r})",
        'weights = {name[8:]: array for name, array in stored.items() if name.startswith("weights/")}',
        f"config = {call['config']!r}",
        f"model = find_adapter({name!r}).load({call['head']!r}, config, weights, {described['dtype']!r})",
        *_inputs(inputs),
        f"outputs = flatten(model(inputs, style={call['style']!r}, options={call['options']!r}))",
        *_compared(described["differs"]),
    ]
    return "\n".join(lines)


def _by_the_check(failure: Failure, name: str) -> list[str]:
    return [
        "from roformer_conformance.protocol import find_adapter",
        "from roformer_conformance.replay import tried_again",
        "",
        f"# {failure.described['id']}: {failure.described['claim']}",
        f"record = tried_again({str(failure.path)!r}, find_adapter({name!r}))",
        "print(record.case)",
        'assert record.status == "passed", record.message',
    ]


def _arrays_file(path: Path) -> Path:
    return path.with_suffix(".safetensors")


def _inputs(inputs: Mapping[str, Array]) -> list[str]:
    shown = {name: array for name, array in inputs.items() if not name.startswith("past_key_values")}
    lines = ["inputs = {", *(f"    {name!r}: {_value(name, array)}," for name, array in shown.items()), "}"]
    if shown.keys() != inputs.keys():
        taken = '{name[7:]: array for name, array in stored.items() if name.startswith("inputs/past")}'
        lines.append(f'inputs["past_key_values"] = cache_of({taken})')
    return lines


def _value(name: str, array: Array) -> str:
    if array.size > _SHOWN_NUMBERS or array.dtype.kind == "f":
        return f'stored["inputs/{name}"]'
    return f'np.array({array.tolist()!r}, "{array.dtype}")'


def _compared(differs: Mapping[str, Any] | None) -> list[str]:
    if differs is None:
        return ["print({name: array.shape for name, array in outputs.items()})  # what was claimed is in the comment"]
    tap, index = differs["tap"], tuple(differs["index"])
    if not index and differs["reason"].startswith("has "):
        return [
            f'got, expected = outputs[{tap!r}], stored["expected/{tap}"]',
            'print(f"got {got.shape} {got.dtype}, expected {expected.shape} of floating-point numbers")',
            'assert got.shape == expected.shape and got.dtype.kind == "f"',
        ]
    lines = [f"got, expected = outputs[{tap!r}]{list(index) or '[()]'}, {_number(differs['expected'])}"]
    if not all(map(math.isfinite, (differs["got"], differs["expected"]))):
        return [
            *lines,
            'print(f"got {got}, expected {expected}")',
            "assert np.array_equal(got, expected, equal_nan=True)",
        ]
    if abs(differs["got"] - differs["expected"]) > differs["budget"]:
        shown = 'print(f"got {got:.9g}, expected {expected:.9g} ± ' + f'{differs["budget"]:.2g}")'
        return [*lines, shown, f"assert abs(got - expected) <= {differs['budget']!r}"]
    return [
        f'difference = outputs[{tap!r}] - stored["expected/{tap}"]',
        'print("root mean square of the difference:", np.sqrt(np.mean(difference**2)))',
        f"assert np.sqrt(np.mean(difference**2)) <= {differs['mean_budget']!r}",
    ]


def _number(value: float) -> str:
    return repr(value) if np.isfinite(value) else f'float("{value}")'
