"""An exported RoFormer in ONNX Runtime, on the processor, in float32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from ..exported import ExportedAdapter, Run


def Adapter() -> ExportedAdapter:  # noqa: N802 # the name that the kit looks for
    """The adapter of ONNX Runtime."""
    return ExportedAdapter("onnxruntime", f"{onnxruntime.__version__} (CPU)", opened)


def opened(path: Path) -> tuple[list[str], Run]:
    """The outputs of a file, and what runs it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(given: Mapping[str, Any], asked: list[str]) -> Mapping[str, Any]:
        return dict(zip(asked, session.run(asked, dict(given)), strict=True))

    return [output.name for output in session.get_outputs()], run
