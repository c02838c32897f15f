"""The exported model in ONNX Runtime, all of its optimisations on; nothing else is imported, as in production."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def imports() -> None:
    """What every user of it has in memory."""
    import onnxruntime  # type: ignore[import-not-found]  # noqa: F401


def load(kind: str, folder: str, head: str, threads: int) -> tuple[str, Any]:
    """The file that with_pytorch.py wrote."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    path = str(Path(folder) / f"{head}.onnx")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def prepare(batches: Any, mode: str) -> Any:
        feeds = [{"input_ids": ids, "attention_mask": mask} for ids, mask in batches]
        return lambda: [session.run(None, feed)[0] for feed in feeds]

    return f"ONNX Runtime {onnxruntime.__version__}", prepare
