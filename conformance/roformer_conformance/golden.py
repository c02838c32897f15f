"""The golden behaviour of a user's own model: recorded once, compared in every later run by the same budgets.

A recording is one safetensors file: `<probe>/inputs/…` and `<probe>/outputs/…`, and in its header what was recorded,
by what, where, and what honest arithmetic costs at each output (measured by the oracle where it has the weights).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from .budget import FAILS_AT, Spread, Verdict, judge_within, spread
from .fixed import bound
from .levels import UsageError
from .oracle import Checkpoint, Oracle
from .precision import carried, rounded
from .protocol import KNOWN_ADAPTERS, Adapter, Array, Capabilities, Outputs, find_adapter, flatten
from .runner import environment
from .trial import TRACES, query_rows, tap_position, without_warnings
from .weights import generator

FORMAT = 1
_HEADER = "roformer_conformance.golden"
# Probes by name: rows, tokens, and whether rows end in padding. Few tokens, so that a recording of a large model is
# no larger than the model.
PROBES = {"one-token": (1, 1, False), "padded": (2, 9, True), "longer": (1, 24, False)}
# Called after each probe with its name and the number of all.
Progress = Callable[[str, int], None]


class Died(Exception):
    """The implementation raised while it was loaded or called."""


@dataclass(frozen=True)
class Subject:
    """A model that can be recorded or compared: an implementation, what it loads, and whether the oracle can too."""

    adapter: Adapter
    implementation: str
    head: str
    dtype: str
    config: Mapping[str, Any]
    weights: Mapping[str, Array]  # float64, representable in dtype; none where they are baked in and unknown

    @classmethod
    def of(cls, model: str, implementation: str = "", head: str = "", dtype: str = "") -> Subject:
        """A model folder through an implementation (numpy when left out), or an adapter with its weights inside.

        Raises:
            UsageError: no such model, head or type.
            AdapterError: the folder or the adapter does not fit.
        """
        if not Path(model).is_dir():
            if ":" not in model and model not in KNOWN_ADAPTERS:
                raise UsageError(f"MODEL {model!r} is no folder, and no module:attribute of an adapter")
            return cls._inside(model, head, dtype)
        name, checkpoint = implementation or "numpy", Checkpoint(model)
        adapter = find_adapter(name)
        adapter = bound(adapter, model) if Capabilities.of(adapter).fixed_weights else adapter
        head, dtype = _chosen(adapter, head or checkpoint.head, dtype)
        weights = {name: rounded(array, dtype) for name, array in checkpoint.weights(head).items()}
        return cls(adapter, name, head, dtype, checkpoint.config, weights)

    @classmethod
    def _inside(cls, name: str, head: str, dtype: str) -> Subject:
        adapter: Any = find_adapter(name)
        capabilities = Capabilities.of(adapter)
        if not capabilities.fixed_weights or not hasattr(adapter, "config"):
            raise UsageError(
                f"{name!r} is no model folder, and no adapter that claims fixed_weights and has its config.json's "
                "mapping as `config`"
            )
        head, dtype = _chosen(adapter, head or capabilities.heads[0], dtype)
        return cls(adapter, name, head, dtype, dict(adapter.config), {})

    def fingerprint(self) -> str:
        """SHA-256 of the weights; "" where they are unknown."""
        digest = hashlib.sha256()
        for name in sorted(self.weights):
            digest.update(name.encode() + self.weights[name].tobytes())
        return digest.hexdigest() if self.weights else ""

    def outputs(self, inputs: Mapping[str, Array]) -> Outputs:
        """What the model returns for one probe.

        Raises:
            Died: whatever the implementation raises.
        """
        given = {name: carried(array, self.dtype) for name, array in self.weights.items()}
        try:
            model = self.adapter.load(self.head, dict(self.config), given, self.dtype)
            with without_warnings():
                return flatten(model(inputs, style="keywords", options=dict(TRACES)))
        except Exception as error:
            raise Died(f"{self.adapter.name} raised {type(error).__name__}: {error}") from error


def record(model: Subject, path: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Write the model's golden behaviour to `path`; returns the header.

    Raises:
        Died: the implementation raised.
    """
    arrays: dict[str, Array] = {}
    spreads = {}
    for name, inputs in _probes(model.head, model.config):
        outputs = model.outputs(inputs)
        arrays |= {f"{name}/inputs/{key}": array for key, array in inputs.items()}
        arrays |= {f"{name}/outputs/{tap}": array for tap, array in outputs.items()}
        spreads[name] = _spreads(model, inputs, outputs)
        if progress is not None:
            progress(name, len(PROBES))
    header = {
        "format": FORMAT, "implementation": model.implementation, "name": model.adapter.name,
        "version": model.adapter.version, "head": model.head, "dtype": model.dtype, "config": dict(model.config),
        "weights": model.fingerprint(), "measured": bool(model.weights), "spreads": spreads,
        "environment": environment(model.adapter),
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {name: np.array(array, order="C", copy=True) for name, array in arrays.items()}
    save_file(stored, path, metadata={_HEADER: json.dumps(header)})
    return header


@dataclass(frozen=True)
class Golden:
    """A recording."""

    header: Mapping[str, Any]
    arrays: Mapping[str, Array]

    @classmethod
    def read(cls, path: Path) -> Golden:
        """The recording in a file.

        Raises:
            UsageError: no such file, or it holds something else.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                header = json.loads((file.metadata() or {})[_HEADER])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise UsageError(f"{path} is no recording of `roformer-conformance record`: {error}") from error
        if header.get("format") != FORMAT:
            raise UsageError(f"{path} has format {header.get('format')}, this version reads {FORMAT}")
        return cls(header, arrays)

    def part(self, probe: str, kind: str) -> dict[str, Array]:
        """The inputs or outputs of one probe."""
        prefix = f"{probe}/{kind}/"
        return {name.removeprefix(prefix): array for name, array in self.arrays.items() if name.startswith(prefix)}


def compare_with(
    golden: Golden, model: Subject, k: float = FAILS_AT, progress: Progress | None = None
) -> dict[str, list[Verdict]]:
    """Judge a model by its recording: the verdicts of each probe, earliest output first.

    Both sides err, so that twice the budget is allowed.

    Raises:
        Died: the implementation raised.
    """
    verdicts = {}
    for probe, spreads in golden.header["spreads"].items():
        inputs, recorded = golden.part(probe, "inputs"), golden.part(probe, "outputs")
        got, rows = model.outputs(inputs), query_rows(inputs)
        verdicts[probe] = [
            judge_within(
                tap, got[tap], recorded[tap].astype(np.float64), _known(spreads[tap]), model.dtype, rows, 2 * k
            )
            if tap in got
            else Verdict(tap, np.inf, False, "is missing among the outputs")
            for tap in sorted(recorded, key=tap_position)
        ]
        if progress is not None:
            progress(probe, len(golden.header["spreads"]))
    return verdicts


def changes(golden: Golden, model: Subject) -> list[str]:
    """What is not as it was when the recording was made, and may explain what moved: a sentence each."""
    before, now = golden.header["config"], json.loads(json.dumps(dict(model.config)))
    fields = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    found = [f"config: {name} was {before.get(name)!r}, is {now.get(name)!r}" for name in fields]
    if golden.header["weights"] != model.fingerprint():
        found.append("weights: not those that were recorded")
    if (golden.header["name"], golden.header["version"]) != (model.adapter.name, str(model.adapter.version)):
        was, version = golden.header["name"], golden.header["version"]
        found.append(f"implementation: was {was} {version}, is {model.adapter.name} {model.adapter.version}")
    here = environment(model.adapter)
    return found + [
        f"environment: {name} was {value}, is {here.get(name)}"
        for name, value in golden.header["environment"].items()
        if here.get(name) != value
    ]


def _known(values: tuple[float, float]) -> Callable[[], Spread]:
    return lambda: Spread(*values)


def _chosen(adapter: Adapter, head: str, dtype: str) -> tuple[str, str]:
    capabilities = Capabilities.of(adapter)
    dtype = dtype or capabilities.dtypes[0]
    if head not in capabilities.heads:
        raise UsageError(f"{adapter.name} has no head {head!r}; it has {', '.join(capabilities.heads)}")
    if dtype not in capabilities.dtypes:
        raise UsageError(f"{adapter.name} computes in {', '.join(capabilities.dtypes)}, not in {dtype!r}")
    return head, dtype


def _probes(head: str, config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Array]]]:
    """Calls that are the same for every model of these sizes."""
    for name, (rows, tokens, padded) in PROBES.items():
        draw, length = generator(0, f"probe: {name}"), min(tokens, config.get("max_position_embeddings", tokens))
        lead = (rows, 2, length) if head == "multiple_choice" else (rows, length)
        mask = np.ones(lead, np.int64)
        if padded:
            mask[-1, ..., (length + 1) // 2 :] = 0
        yield (
            name,
            {
                "input_ids": draw.integers(0, config.get("vocab_size", 50000), lead),
                "token_type_ids": draw.integers(0, config.get("type_vocab_size", 2), lead),
                "attention_mask": mask,
            },
        )


def _spreads(model: Subject, inputs: Mapping[str, Array], outputs: Outputs) -> dict[str, tuple[float, float]]:
    """What honest arithmetic costs at each output; without the weights, one output's own rounding."""
    expected, runs, rows = {}, list[Outputs](), query_rows(inputs)
    if model.weights:
        oracle = Oracle(model.head, model.config, model.weights)
        expected, runs = oracle.run(inputs, TRACES), oracle.legitimate_runs(inputs, TRACES, model.dtype)
    found = {}
    for tap, array in outputs.items():
        right = expected.get(tap, array.astype(np.float64))
        cost = spread(tap, right, [run[tap] for run in runs if tap in run], model.dtype, rows)
        found[tap] = (cost.mean, cost.worst)
    return found
