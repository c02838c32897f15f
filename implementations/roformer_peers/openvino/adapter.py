"""An exported RoFormer in OpenVINO, on the processor, held to float32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openvino

from ..exported import ExportedAdapter, Run

# Without the hint OpenVINO computes in bfloat16 where the processor can.
SETTINGS = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}


def Adapter() -> ExportedAdapter:  # noqa: N802 # the name that the kit looks for
    """The adapter of OpenVINO."""
    return ExportedAdapter("openvino", f"{openvino.__version__.partition('-')[0]} (CPU, f32)", opened)


def opened(path: Path) -> tuple[list[str], Run]:
    """The outputs of a file, and what runs it."""
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", SETTINGS)
    names = [name for output in compiled.outputs for name in sorted(output.get_names())]

    def run(given: Mapping[str, Any], asked: list[str]) -> Mapping[str, Any]:
        results = compiled(dict(given))
        by_name = {name: array for output, array in results.items() for name in output.get_names()}
        return {name: by_name[name].copy() for name in asked}

    return names, run
