"""Times training steps and inference of our TensorFlow model beside two others, in turn, and prints ratios of medians.

    .venv/bin/python benchmarks/tensorflow_step_times.py [--size base|small] [--rounds 9] [--peer PYTHON]

The others: a plain Keras encoder of the same sizes without rotary positions, defined below; and, with --peer (or the
variable PEER_437), the TFRoFormer of transformers 4.37.2 in the Python named there, a process of its own that waits for
its turn at a pipe. Ours and the plain one run with and without XLA (jit), the peer as it is shipped: its own fit. A
ratio above 1 says that the other one takes longer than ours.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

SIZES = {
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "small": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128},
}
CLASSES, VOCABULARY, BATCH, LENGTH = 2, 5000, 8, 128
TASKS = ("train", "infer")

Step = Callable[[str], None]


def main() -> None:
    arguments = parse_arguments()
    if arguments.peer_side:
        serve(peer_step(arguments.size))
        return
    steps: dict[str, Step] = {}
    for jit in (False, True):
        name = "xla" if jit else "graph"
        steps[f"ours, {name}"] = ours_step(arguments.size, jit)
        steps[f"plain Keras, {name}"] = plain_step(arguments.size, jit)
    if arguments.peer:
        steps["transformers 4.37"] = asked(arguments.peer, arguments.size)
    report(timed(steps, arguments.rounds))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peer", default=os.environ.get("PEER_437"), metavar="PYTHON")
    parser.add_argument("--peer-side", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def batch() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The same inputs and labels for everybody; a quarter of the rows is padded."""
    generator = np.random.default_rng(0)
    ids = generator.integers(1, VOCABULARY, (BATCH, LENGTH))
    mask = np.ones_like(ids)
    mask[: BATCH // 4, LENGTH // 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask}, generator.integers(0, CLASSES, BATCH)


def step_of(model: Any) -> Step:
    """One optimizer step, or one prediction, of a compiled Keras model."""
    inputs, labels = batch()

    def step(task: str) -> None:
        model.train_on_batch(inputs, labels) if task == "train" else model.predict_on_batch(inputs)

    return step


def ours_step(size: str, jit: bool) -> Step:
    import keras

    from roformer_tensorflow import RoFormerConfig, TFRoFormerForSequenceClassification

    model = TFRoFormerForSequenceClassification(
        RoFormerConfig(vocab_size=VOCABULARY, num_labels=CLASSES, **SIZES[size])
    )
    model.compile(keras.optimizers.Adam(1e-5), jit_compile=jit)
    return step_of(model)


def plain_step(size: str, jit: bool) -> Step:
    """Embedding, LayerNormalization, MultiHeadAttention, Dense: a BERT without positions, in Keras' own layers."""
    import keras
    from keras import layers

    sizes = SIZES[size]
    width, heads = sizes["hidden_size"], sizes["num_attention_heads"]
    ids, mask = (keras.Input((None,), dtype="int64", name=name) for name in ("input_ids", "attention_mask"))
    x = layers.Embedding(VOCABULARY, width)(ids) + layers.Embedding(2, width)(keras.ops.zeros_like(ids))
    x = layers.Dropout(0.1)(layers.LayerNormalization(epsilon=1e-12)(x))
    for _ in range(sizes["num_hidden_layers"]):
        attention = layers.MultiHeadAttention(heads, width // heads, dropout=0.1)
        y = attention(x, x, attention_mask=keras.ops.cast(mask, "bool")[:, None, :])
        x = layers.LayerNormalization(epsilon=1e-12)(x + layers.Dropout(0.1)(y))
        y = layers.Dense(width)(layers.Dense(sizes["intermediate_size"], activation="gelu")(x))
        x = layers.LayerNormalization(epsilon=1e-12)(x + layers.Dropout(0.1)(y))
    y = layers.Dropout(0.1)(layers.Dense(width, activation="gelu")(layers.Dropout(0.1)(x[:, 0])))
    model = keras.Model({"input_ids": ids, "attention_mask": mask}, layers.Dense(CLASSES)(y))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-5), loss, jit_compile=jit)
    return step_of(model)


def peer_step(size: str) -> Step:
    """The other side of the pipe: transformers 4.37 with its own loss and Keras 2."""
    import tensorflow as tf
    from transformers import RoFormerConfig, TFRoFormerForSequenceClassification

    config = RoFormerConfig(
        vocab_size=VOCABULARY, embedding_size=SIZES[size]["hidden_size"], num_labels=CLASSES, **SIZES[size]
    )
    model = TFRoFormerForSequenceClassification(config)
    model.compile(tf.keras.optimizers.Adam(1e-5))
    return step_of(model)


def serve(step: Step) -> None:
    """Answer each line on the input, a task's name, with the seconds that one step of it took."""
    for line in sys.stdin:
        started = time.perf_counter()
        step(line.strip())
        print(json.dumps(time.perf_counter() - started), flush=True)


def asked(python: str, size: str) -> Step:
    """The peer's step; what it takes beyond the peer's own work is a line through a pipe."""
    command = [python, __file__, "--peer-side", "--size", size]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    requests, answers = process.stdin, process.stdout

    def step(task: str) -> None:
        print(task, file=requests, flush=True)
        while not (line := answers.readline()).strip().replace(".", "").replace("e-", "").isdigit():
            if not line:
                raise SystemExit("the peer died")

    return step


def timed(steps: dict[str, Step], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds by task and name; every round times each of them once, the first two rounds are thrown away."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    found: dict[str, dict[str, list[float]]] = {task: {name: [] for name in steps} for task in TASKS}
    turns = [(number, task) for number in range(rounds + 2) for task in TASKS]
    for number, task in track(turns, "rounds", console=console, transient=True, disable=not console.is_terminal):
        for name, step in steps.items():
            started = time.perf_counter()
            step(task)
            if number >= 2:
                found[task][name].append(time.perf_counter() - started)
    return found


def report(found: dict[str, dict[str, list[float]]]) -> None:
    print(f"batch {BATCH} × {LENGTH} tokens; medians, the middle half of the rounds, and the median over ours")
    for task, seconds in found.items():
        for name, times in seconds.items():
            low, middle, high = statistics.quantiles(times, n=4)
            same = "ours, xla" if name.endswith("xla") else "ours, graph"
            ratio = middle / statistics.median(seconds[same])
            print(f"{task:<6} {name:<20} {middle * 1e3:>9.2f} ms  [{low * 1e3:.2f}, {high * 1e3:.2f}]  {ratio:.2f}")


if __name__ == "__main__":
    main()
