"""Whether the suite accuses a correct implementation: fresh draws, again and again, on three that compute differently.

    python -m tests.conformance.no_false_alarm --minutes 10 --seed 1000

Each round takes the next seed and tries every check of agreement, of relations and of gradients at default level, in
float32. `kernels` is the compiled implementation, `equations` the definition in float32, `reordered` the definition
whose sums run in another order and in three parts. What failed is printed with the seed that repeats it.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from types import MappingProxyType
from typing import Any

import numpy as np
from rich.progress import Progress

from roformer_conformance.planning import plan
from roformer_conformance.protocol import Capabilities
from roformer_conformance.registry import all_checks
from roformer_conformance.running import run_job
from roformer_numpy.adapter import NumpyAdapter
from roformer_numpy.components import EQUATIONS

FAMILIES = ("ATT", "DEC-1", "DEC-2", "DEC-3", "DEC-4", "EMB", "FFN", "HEAD-1", "HEAD-2", "HEAD-3", "HEAD-4", "HEAD-5",
            "HEAD-6", "LOSS", "MASK", "NUM", "ROT", "TRAIN-2")  # fmt: skip
Array = Any


def reordered() -> NumpyAdapter:
    """The definition, its sums over features and keys in another order."""

    def parts(terms: int) -> list[Array]:
        return np.array_split(np.random.default_rng(terms).permutation(terms), 3)

    def dense(x: Array, kernel: Array, bias: Array) -> Array:
        return sum((x[..., part] @ kernel[part] for part in parts(len(kernel))), start=bias)

    def attend(probs: Array, value: Array) -> Array:
        chosen = parts(value.shape[-2])
        return sum((probs[..., part] @ value[..., part, :] for part in chosen[1:]), start=(
            probs[..., chosen[0]] @ value[..., chosen[0], :]))  # fmt: skip

    def feed_forward(x: Array, intermediate: Any, output: Any, hidden_act: str) -> Array:
        inner = EQUATIONS.activate(dense(x, intermediate.kernel, intermediate.bias), hidden_act)
        return dense(inner, output.kernel, output.bias)

    table = replace(EQUATIONS, name="reordered", dense=dense, attend=attend, feed_forward=feed_forward)
    return NumpyAdapter(table)


VARIANTS: Mapping[str, Callable[[], NumpyAdapter]] = MappingProxyType(
    {"kernels": NumpyAdapter, "equations": lambda: NumpyAdapter("equations"), "reordered": reordered}
)


def main() -> None:
    """Draw until the time is over; exit code 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1000, help="of the first round")
    options = parser.parse_args()
    draws, failures, largest = drawn(options.seed, 60 * options.minutes)
    for name in VARIANTS:
        tried = {check: number for (variant, check), number in draws.items() if variant == name}
        least = min(tried.values(), default=0)
        alarms = sum(line.startswith(f"{name}:") for line in failures)
        amount = f"{sum(tried.values())} draws on {len(tried)} checks, {least} at least on each"
        print(f"{name}: {amount}, largest R {largest.get(name, 0.0):.2f}, {alarms} false alarms")
    print("\n".join(failures))
    raise SystemExit(bool(failures))


def drawn(first: int, seconds: float) -> tuple[Counter[tuple[str, str]], list[str], dict[str, float]]:
    """The draws by variant and check, what failed, and the largest grade of each variant."""
    checks = [check for check in all_checks().values() if check.id.startswith(FAMILIES)]
    draws: Counter[tuple[str, str]] = Counter()
    failures: list[str] = []
    largest: dict[str, float] = {}
    adapters = {name: make() for name, make in VARIANTS.items()}
    adapters["kernels"].prepare()
    ends = time.monotonic() + seconds
    with Progress(disable=not sys.stdout.isatty()) as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        task = progress.add_task("draws", total=None)
        for seed in count(first):
            for check in checks:
                for name, adapter in adapters.items():
                    if time.monotonic() > ends:
                        return draws, failures, largest
                    for job in plan([check], Capabilities.of(adapter))[:1]:
                        record = run_job(adapter, job, "default", seed, shrink=False)
                        draws[(name, check.id)] += record.examples
                        largest[name] = max(largest.get(name, 0.0), record.grade or 0.0)
                        if record.status == "failed":
                            failures.append(f"{name}: {check.id} {job.head} seed {seed}: {record.message[:200]}")
                    progress.advance(task)
    raise AssertionError("count never ends")


if __name__ == "__main__":
    main()
