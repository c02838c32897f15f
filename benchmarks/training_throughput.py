"""Times one training step of the same small model in NumPy, in Keras and in PyTorch, in turn, and prints the ratios.

    .venv/bin/python benchmarks/training_throughput.py [--peer PYTHON] [--rounds 9] [--threads 2]

The model has tang-mini's sizes (E 128, H 160, 3 layers, V 5493) and dropout 0.1, the batch 16 rows of 32 tokens, of
which 15 % are asked for: NumPy computes the logits of these alone, the others those of every token. A step is forward,
backward, clipping and AdamW: `Trainer.advance` here, `train_on_batch` of the compiled Keras model (a graph, no XLA),
and RoFormerForMaskedLM of transformers with torch.optim.AdamW, eager, in the Python of --peer (or the variable PEER_5),
a process that waits for its turn at a pipe. Everybody has the same threads, and nobody computes while another one is
timed. Ratios are of steps per second, ours over theirs: above 1 we are faster.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

BATCH, LENGTH, SHARE = 16, 32, 0.15
SIZES = {
    "vocab_size": 5493, "embedding_size": 128, "hidden_size": 160, "num_hidden_layers": 3, "num_attention_heads": 5,
    "intermediate_size": 640, "max_position_embeddings": 128,
}  # fmt: skip
RATE = 1e-4

Step = Callable[[], None]


def main() -> None:
    arguments = parse_arguments()
    limit_threads(arguments.threads)  # before NumPy, TensorFlow and PyTorch start theirs
    if arguments.peer_side:
        serve(pytorch_step(arguments.threads))
        return
    steps = {"NumPy": numpy_step(), "Keras, graph": keras_step(arguments.threads)}
    if arguments.peer:
        steps["PyTorch"] = asked(arguments.peer, arguments.threads)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {arguments.threads} threads each")
    report(timed(steps, arguments.rounds))
    print(f"load average {os.getloadavg()[0]:.1f} at the end")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default=os.environ.get("PEER_5"), metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer-side", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def limit_threads(count: int) -> None:
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ[name] = str(count)
    os.environ.update(TF_NUM_INTEROP_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3", USE_TF="0", HF_HUB_OFFLINE="1")


def batch() -> tuple[list[list[int]], list[list[int]]]:
    """The same ids and labels for everybody, made without any package."""
    import random

    drawn = random.Random(0)
    ids = [[drawn.randrange(5, SIZES["vocab_size"]) for _ in range(LENGTH)] for _ in range(BATCH)]
    labels = [[token if drawn.random() < SHARE else -100 for token in row] for row in ids]
    return ids, labels


def numpy_step() -> Step:
    import numpy as np

    from roformer_numpy import RoFormerConfig, RoFormerForMaskedLM
    from roformer_numpy.training import Example, Masking, Settings, Trainer

    ids, labels = map(np.array, batch())
    given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "labels": labels}

    class SameBatch(Trainer):
        def batch(self, step: int) -> dict[str, np.ndarray]:
            return given

    settings = Settings(steps=10**6, batch_size=BATCH, learning_rate=RATE)
    masking = Masking(4, (0, 1, 2, 3, 4), SIZES["vocab_size"])
    model = RoFormerForMaskedLM(RoFormerConfig(**SIZES))
    trainer = SameBatch(model, [Example(tuple(row)) for row in ids.tolist()], settings, masking=masking)
    return lambda: trainer.advance() and None


def keras_step(threads: int) -> Step:
    import keras
    import numpy as np
    import tensorflow as tf

    from roformer_tensorflow import RoFormerConfig, TFRoFormerForMaskedLM

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    ids, labels = map(np.array, batch())
    model = TFRoFormerForMaskedLM(RoFormerConfig(**SIZES))
    optimizer = keras.optimizers.AdamW(RATE, weight_decay=0.01, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, jit_compile=False)
    return lambda: model.train_on_batch({"input_ids": ids, "labels": labels}) and None


def pytorch_step(threads: int) -> Step:
    import torch
    import transformers

    torch.set_num_threads(threads)
    ids, labels = map(torch.tensor, batch())
    model = transformers.RoFormerForMaskedLM(transformers.RoFormerConfig(**SIZES)).train()
    plain = [weight for weight in model.parameters() if weight.dim() == 1]
    decayed = [weight for weight in model.parameters() if weight.dim() > 1]
    groups = [{"params": plain, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.01}]
    optimizer = torch.optim.AdamW(groups, lr=RATE)

    def step() -> None:
        optimizer.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def serve(step: Step) -> None:
    """Make as many steps as each line of the input says, and answer with the seconds that they took."""
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(seconds(step, int(line))), flush=True)


class Asked:
    """The steps of a process that waits for its turn."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.given, self.answers = self.process.stdin, self.process.stdout
        if self.answers.readline().strip() != "ready":
            sys.exit(f"{command[0]} did not start: does it have transformers and torch?")

    def seconds(self, count: int) -> float:
        """How long so many steps took there."""
        print(count, file=self.given, flush=True)
        return json.loads(self.answers.readline())


def asked(python: str, threads: int) -> Asked:
    return Asked([python, str(Path(__file__).resolve()), "--peer-side", "--threads", str(threads)])


def seconds(step: Step, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        step()
    return time.perf_counter() - start


def timed(steps: dict[str, Step | Asked], rounds: int) -> dict[str, list[float]]:
    """Steps per second of each, round by round, everybody in turn; as many steps as fill about half a second."""

    def run(step: Step | Asked, count: int) -> float:
        return step.seconds(count) if isinstance(step, Asked) else seconds(step, count)

    counts = {}
    for name, step in steps.items():
        run(step, 2)  # compiles, traces, fills caches
        counts[name] = max(1, round(0.5 / run(step, 1)))
    order, found = list(steps), {name: [] for name in steps}
    for number in range(rounds):
        for name in order if number % 2 else order[::-1]:
            found[name].append(counts[name] / run(steps[name], counts[name]))
    return found


def report(found: dict[str, list[float]]) -> None:
    ours = found["NumPy"]
    print(f"{'':14} steps/s   ratio NumPy/other: median, quartiles over {len(ours)} rounds")
    for name, speeds in found.items():
        ratios = [one / other for one, other in zip(ours, speeds, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        told = "" if name == "NumPy" else f"   {middle:.2f}  ({low:.2f} to {high:.2f})"
        print(f"{name:14} {statistics.median(speeds):7.2f}{told}")


if __name__ == "__main__":
    main()
