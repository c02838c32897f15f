"""How much of a base-size forward pass is spent on looking at its arguments: python benchmarks/validation_share.py

Binding, validation and the forward pass are timed in turns within one process, so that both see the same machine; the
share is the ratio of their medians. The promise is less than 1 %.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from roformer_numpy import RoFormerConfig, RoFormerForMaskedLM
from roformer_numpy.validation import bind, validate

LIMIT = 0.01


def seconds(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def machine() -> str:
    """Cores and processor, as far as this system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {platform.system()}, Python {platform.python_version()}, NumPy {np.__version__}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seq-len", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--components", default="kernels", choices=["kernels", "equations"])
    options = parser.parse_args()
    config = RoFormerConfig(hidden_act="relu")  # the cheapest activation: the share can only be smaller with others
    model = RoFormerForMaskedLM(config, components=options.components)
    shape = (options.batch, options.seq_len)
    generator = np.random.default_rng(0)
    call = {
        "input_ids": generator.integers(0, config.vocab_size, shape),
        "attention_mask": np.ones(shape, np.int64),
        "token_type_ids": np.zeros(shape, np.int64),
        "labels": generator.integers(0, config.vocab_size, shape),
    }

    def check() -> None:
        validate(bind(model.head, (), call), config, model.head, model.dtype)

    def forward() -> None:
        model._encode(validate(bind(model.head, (), call), config, model.head, model.dtype))

    check()
    forward()
    checks, forwards = [], []
    for _ in range(options.rounds):
        forwards.append(seconds(forward))
        checks.append(seconds(check))  # once, with the caches as a forward pass leaves them
    share = statistics.median(checks) / statistics.median(forwards)
    print(f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {machine()}")
    print(
        f"base {options.batch} × {options.seq_len}, {options.components}, float32: validation "
        f"{1e6 * statistics.median(checks):.0f} µs of an encoder pass of {1e3 * statistics.median(forwards):.0f} ms, "
        f"{100 * share:.4f} % (limit {100 * LIMIT:.0f} %), {options.rounds} rounds"
    )
    return 0 if share < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
