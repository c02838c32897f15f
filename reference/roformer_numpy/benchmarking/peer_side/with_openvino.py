"""The exported model in OpenVINO: in float32, or in the precision that it chooses, which its version names."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def imports() -> None:
    """What every user of it has in memory."""
    import openvino  # type: ignore[import-not-found]  # noqa: F401


def load(kind: str, folder: str, head: str, threads: int) -> tuple[str, Any]:
    """`kind` is f32 or default."""
    import openvino

    wishes = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    if kind == "f32":
        wishes["INFERENCE_PRECISION_HINT"] = "f32"
    model = openvino.Core().compile_model(str(Path(folder) / f"{head}.onnx"), "CPU", wishes)
    precision = model.get_property("INFERENCE_PRECISION_HINT")

    def prepare(batches: Any, mode: str) -> Any:
        feeds = [{"input_ids": ids, "attention_mask": mask} for ids, mask in batches]
        return lambda: [model(feed)[0] for feed in feeds]

    return f"OpenVINO {openvino.__version__.split('-')[0]} in {precision.to_string()}", prepare
