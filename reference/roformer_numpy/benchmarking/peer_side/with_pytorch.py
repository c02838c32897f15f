"""The RoFormer of transformers in PyTorch: eager, compiled, compiled with frozen weights; and its ONNX file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

NAMES = {"base": "RoFormerModel", "masked_lm": "RoFormerForMaskedLM"}
VARIANTS = 64  # shapes that one compiled model is specialised for; PyTorch would give up after eight


def imports() -> None:
    """What every user of it has in memory."""
    import torch  # noqa: F401
    import transformers  # type: ignore[import-not-found]  # noqa: F401


def load(kind: str, folder: str, head: str, threads: int) -> tuple[str, Any]:
    """The model, `kind` being eager, or compile with freezing and autotune behind it."""
    import torch
    import transformers

    model = loaded(folder, head, threads)
    if kind.startswith("compile"):
        import torch._dynamo
        import torch._inductor.config as inductor

        torch._dynamo.config.recompile_limit = VARIANTS
        inductor.freezing = "freezing" in kind
        inductor.max_autotune = "autotune" in kind
        model = torch.compile(model, dynamic=False)

    def prepare(batches: Any, mode: str) -> Any:
        tensors = [tuple(map(torch.from_numpy, batch)) for batch in batches]
        return lambda: [model(ids, attention_mask=mask)[0] for ids, mask in tensors]

    return f"PyTorch {torch.__version__}, transformers {transformers.__version__}", prepare


def loaded(folder: str, head: str, threads: int) -> Any:
    """The model in float32, ready for inference."""
    import torch
    import transformers

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    return getattr(transformers, NAMES[head]).from_pretrained(folder).float().eval()


def export(folder: str, head: str) -> Path:
    """The model as an ONNX file of any batch and length, written beside it once."""
    path = Path(folder) / f"{head}.onnx"
    if path.exists():
        return path
    import torch

    ids = torch.ones((2, 16), dtype=torch.int64)
    axes = {0: "batch", 1: "length"}
    names = ("input_ids", "attention_mask", "output")
    unfinished = path.with_suffix(f".{os.getpid()}")
    torch.onnx.export(
        loaded(folder, head, 1), (ids, {"attention_mask": ids}), str(unfinished), input_names=names[:2],
        output_names=names[2:], dynamic_axes=dict.fromkeys(names, axes), dynamo=False,
    )  # fmt: skip
    unfinished.rename(path)
    return path


if __name__ == "__main__":
    import sys

    export(*sys.argv[1:])
