"""The least that anybody needs who leaves them to a library: the dense products of all layers, and nothing else.

Each layer has weights of its own, as a model has, so that they come from memory. For every piece of work the quickest
way of those that this Python has is found first: NumPy's, PyTorch's, and MKL's with weights packed beforehand.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TRIES = 3


def imports() -> None:
    """Nothing but NumPy, which is here already."""


def load(kind: str, folder: str, head: str, threads: int) -> tuple[str, Any]:
    """The sizes are those of the folder's configuration."""
    config = json.loads((Path(folder) / "config.json").read_text())
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    shapes = ((hidden, 3 * hidden), (hidden, hidden), (hidden, inner), (inner, hidden))
    generator = np.random.default_rng(0)
    shapes *= config["num_hidden_layers"]
    if head == "masked_lm":
        shapes += ((hidden, config["embedding_size"]), (config["embedding_size"], config["vocab_size"]))
    layers = [generator.standard_normal(shape, np.float32) for shape in shapes]
    ways = {"NumPy": numpy_way(layers), **torch_ways(layers, threads)}

    def prepare(batches: Any, mode: str) -> Any:
        tokens = [ids.size for ids, _ in batches] if mode != "skip" else [int(sum(mask.sum() for _, mask in batches))]
        inputs = [
            {width: generator.standard_normal((m, width), np.float32) for width in (hidden, inner)} for m in tokens
        ]
        return quickest({name: way(inputs) for name, way in ways.items()})

    return f"products by {', '.join(ways)}", prepare


def quickest(runs: dict[str, Callable[[], Any]]) -> Any:
    """The way whose best of a few calls was the best; it carries its name."""

    def best(run: Callable[[], Any]) -> float:
        times = []
        for _ in range(TRIES):
            started = time.perf_counter()
            run()
            times.append(time.perf_counter() - started)
        return min(times)

    name = min(runs, key=lambda name: best(runs[name]))
    chosen = runs[name]  # what the other ways have packed is let go

    def run() -> list[Any]:
        chosen()
        return []

    run.note = name  # type: ignore[attr-defined]
    return run


def numpy_way(layers: list[Any]) -> Any:
    """NumPy's products."""

    def way(inputs: list[dict[int, Any]]) -> Callable[[], None]:
        outputs = [{kernel.shape[1]: np.empty((len(next(iter(one.values()))), kernel.shape[1]), np.float32)
                    for kernel in layers} for one in inputs]  # fmt: skip

        def run() -> None:
            for one, out in zip(inputs, outputs, strict=True):
                for kernel in layers:
                    np.matmul(one[kernel.shape[0]], kernel, out=out[kernel.shape[1]])

        return run

    return way


def torch_ways(layers: list[Any], threads: int) -> dict[str, Any]:
    """PyTorch's products, where there is PyTorch: of weights as they are, and packed by MKL for each number of rows."""
    try:
        import torch
    except ModuleNotFoundError:
        return {}
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    plain = [torch.from_numpy(kernel) for kernel in layers]
    linear = [kernel.t().contiguous() for kernel in plain]
    ops: Any = torch.ops

    def tensors(inputs: list[dict[int, Any]]) -> list[dict[int, Any]]:
        return [{width: torch.from_numpy(x) for width, x in one.items()} for one in inputs]

    def plain_way(inputs: list[dict[int, Any]]) -> Callable[[], None]:
        ready = tensors(inputs)

        def run() -> None:
            for one in ready:
                for kernel in plain:
                    torch.mm(one[kernel.shape[0]], kernel)

        return run

    def packed_way(inputs: list[dict[int, Any]]) -> Callable[[], None]:
        ready = tensors(inputs)
        rows = [len(next(iter(one.values()))) for one in ready]
        packs = [[ops.mkl._mkl_reorder_linear_weight(w, m) for w in linear] for m in rows]

        def run() -> None:
            for one, m, pack in zip(ready, rows, packs, strict=True):
                for w, packed in zip(linear, pack, strict=True):
                    ops.mkl._mkl_linear(one[w.shape[1]], packed, w, None, m)

        return run

    def one_dnn_way(inputs: list[dict[int, Any]]) -> Callable[[], None]:
        ready = tensors(inputs)
        packs = [[ops.mkldnn._reorder_linear_weight(w, len(one[w.shape[1]])) for w in linear] for one in ready]

        def run() -> None:
            for one, pack in zip(ready, packs, strict=True):
                for w, packed in zip(linear, pack, strict=True):
                    ops.mkldnn._linear_pointwise(one[w.shape[1]], packed, None, "none", [], "")

        return run

    ways = {"PyTorch": plain_way}
    for name, way in (("MKL packed", packed_way), ("oneDNN packed", one_dnn_way)):
        try:
            way([{len(kernel): np.ones((2, len(kernel)), np.float32) for kernel in layers}])()
            ways[name] = way
        except (RuntimeError, AttributeError):
            pass  # this build of PyTorch has it not, or under another name
    return ways
