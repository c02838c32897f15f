"""Times a forward pass of the encoder by our engine beside others', in turn, and prints ratios of medians.

    python benchmarks/engine_against_peers.py [--size base|small|tiny] [--rounds 10] [--threads 2] [--peer PYTHON]
        [1x128 …]

The others: our own component kernels, whose products are NumPy's; and, with --peer (or the variable PEER_5), in the
Python named there, each a process of its own that waits for its turn at a pipe: PyTorch eager, ONNX Runtime and
OpenVINO in float32, all on the RoFormer of transformers 5, and the dense products of all layers by PyTorch alone, the
least that anybody can need who leaves them to it. A ratio above 1 says that the other one takes longer than the engine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZES = {
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "small": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 6, "intermediate_size": 1536},
    "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 256},
}
SHAPES = ("1x16", "1x128", "8x128", "1x512", "4x512", "1x1536")
PEERS = ("products alone, PyTorch", "PyTorch eager", "ONNX Runtime", "OpenVINO f32")
VOCABULARY, WARM_UP = 50_000, 2

Call = Callable[[str], None]


def main() -> None:
    arguments = parse_arguments()
    if arguments.peer_side:
        serve(peer_call(arguments.peer_side, arguments.size, arguments.threads))
        return
    os.environ["ROFORMER_NUM_THREADS"] = str(arguments.threads)
    calls = our_calls(arguments.size)
    for kind in PEERS if arguments.peer else ():
        calls[kind] = asked(arguments, kind)
    report(arguments, timed(calls, arguments.shapes, arguments.rounds))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", default=SHAPES, metavar="BATCHxLENGTH")
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", default=os.environ.get("PEER_5"), metavar="PYTHON")
    parser.add_argument("--peer-side", choices=PEERS, help=argparse.SUPPRESS)
    return parser.parse_args()


def ids_of(shape: str) -> np.ndarray:
    """The same ids for everybody."""
    batch, length = map(int, shape.split("x"))
    return np.random.default_rng(0).integers(0, VOCABULARY, (batch, length))


def our_calls(size: str) -> dict[str, Call]:
    from roformer_numpy import RoFormerConfig, RoFormerModel

    model = RoFormerModel(RoFormerConfig(vocab_size=VOCABULARY, **SIZES[size]))
    components = RoFormerModel(model.config)
    components._engine = lambda: None  # type: ignore[method-assign]
    return {
        "engine": lambda shape: model(ids_of(shape)) and None,
        "component kernels": lambda shape: components(ids_of(shape)) and None,
    }


def peer_call(kind: str, size: str, threads: int) -> Call:
    """The other side of the pipe."""
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    if kind.startswith("products"):
        return products_call(size)
    from transformers import RoFormerConfig, RoFormerModel

    config = RoFormerConfig(vocab_size=VOCABULARY, embedding_size=SIZES[size]["hidden_size"], **SIZES[size])
    model = RoFormerModel(config).eval()
    if kind == "PyTorch eager":
        return lambda shape: model(torch.from_numpy(ids_of(shape))) and None
    with tempfile.TemporaryDirectory() as folder:
        return {"ONNX Runtime": onnx_call, "OpenVINO f32": openvino_call}[kind](exported(model, folder), threads)


def products_call(size: str) -> Call:
    """The four dense products of every layer, nothing else."""
    import torch

    hidden, inner = SIZES[size]["hidden_size"], SIZES[size]["intermediate_size"]
    shapes = ((hidden, 3 * hidden), (hidden, hidden), (hidden, inner), (inner, hidden))
    layers = [[torch.randn(shape) for shape in shapes] for _ in range(SIZES[size]["num_hidden_layers"])]

    def call(shape: str) -> None:
        tokens = ids_of(shape).size
        inputs = {width: torch.randn(tokens, width) for width in (hidden, inner)}
        for layer in layers:
            for kernel in layer:
                torch.mm(inputs[kernel.shape[0]], kernel)

    return call


def exported(model: Any, folder: str) -> str:
    """The model as an ONNX file of any batch and length."""
    import torch

    path = str(Path(folder) / "model.onnx")
    axes = {0: "batch", 1: "length"}
    torch.onnx.export(
        model, (torch.from_numpy(ids_of("2x16")),), path, input_names=["input_ids"], output_names=["states"],
        dynamic_axes={"input_ids": axes, "states": axes}, dynamo=False,
    )  # fmt: skip
    return path


def onnx_call(path: str, threads: int) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda shape: session.run(None, {"input_ids": ids_of(shape)}) and None


def openvino_call(path: str, threads: int) -> Call:
    import openvino

    wishes = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    model = openvino.Core().compile_model(path, "CPU", wishes)
    return lambda shape: model({"input_ids": ids_of(shape)}) and None


def serve(call: Call) -> None:
    """Answer each line on the input, a shape, with the seconds that one call of it took."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    for line in sys.stdin:
        started = time.perf_counter()
        call(line.strip())
        print(json.dumps(time.perf_counter() - started), file=answers, flush=True)


def asked(arguments: argparse.Namespace, kind: str) -> Call:
    """A peer's call; what it takes beyond the peer's own work is a line through a pipe."""
    command = [arguments.peer, __file__, "--peer-side", kind, "--size", arguments.size, "--threads", arguments.threads]
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    requests, answers = process.stdin, process.stdout

    def call(shape: str) -> None:
        print(shape, file=requests, flush=True)
        if not answers.readline():
            raise SystemExit(f"{kind} died")

    return call


def timed(calls: dict[str, Call], shapes: list[str], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds by shape and name; every round times each of them once, the first rounds are thrown away."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    found: dict[str, dict[str, list[float]]] = {shape: {name: [] for name in calls} for shape in shapes}
    turns = [(shape, number) for shape in shapes for number in range(rounds + WARM_UP)]
    for shape, number in track(turns, "rounds", console=console, transient=True, disable=not console.is_terminal):
        for name, call in calls.items():
            started = time.perf_counter()
            call(shape)
            if number >= WARM_UP:
                found[shape][name].append(time.perf_counter() - started)
    return found


def report(arguments: argparse.Namespace, found: dict[str, dict[str, list[float]]]) -> None:
    import datetime
    import platform

    print(
        f"{arguments.size}, {arguments.threads} threads, {arguments.rounds} rounds, {datetime.date.today()},", end=" "
    )
    print(f"{platform.machine()} {platform.system()}, Python {platform.python_version()}")
    print("median milliseconds, the middle half of the rounds, and the median over the engine's")
    for shape, seconds in found.items():
        for name, times in seconds.items():
            low, middle, high = (1e3 * value for value in statistics.quantiles(times, n=4))
            ratio = middle / 1e3 / statistics.median(seconds["engine"])
            print(f"{shape:<7} {name:<24} {middle:>9.2f}  [{low:.2f}, {high:.2f}]  {ratio:.2f}")


if __name__ == "__main__":
    main()
