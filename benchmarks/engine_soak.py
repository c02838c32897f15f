"""Calls a small model very often and looks at what must not change: memory, results, bits.

    python benchmarks/engine_soak.py [--calls 1000] [--threads 8] [--calls-per-thread 200] [--compute bfloat16]

Three trials: calls of random shapes, masks and kinds (states, skipped padding, lists of sequences, a cache), each
compared with the definition in float64, with the resident memory after every tenth of them; many Python threads that
share the model, compared bit by bit with calls one after the other; a forked and a spawned child, compared likewise.
Prints what it found; the exit code is 1 where something changed.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import roformer_numpy.engine
from roformer_numpy import RoFormerConfig, RoFormerForCausalLM, RoFormerModel

SIZES = {"vocab_size": 997, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
LONGEST, MOST_ROWS = 200, 6

# What either arithmetic may be off by in two layers, and memory in pages that the system hands out late.
ALLOWED_ERROR = {"float32": 1e-5, "bfloat16": 2e-2}
ALLOWED_GROWTH_MB = 8.0


def main() -> None:
    arguments = parse_arguments()
    roformer_numpy.engine.SERIAL_WORK = 0  # helpers take part in every call, however small
    passed = [
        random_shapes(arguments.calls, arguments.compute),
        many_threads(arguments.threads, arguments.calls_per_thread, arguments.compute),
        *(
            child(method, arguments.compute)
            for method in multiprocessing.get_all_start_methods()
            if method in ("fork", "spawn")
        ),
    ]
    sys.exit(not all(passed))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--calls-per-thread", type=int, default=200)
    parser.add_argument("--compute", choices=sorted(ALLOWED_ERROR), default="float32")
    return parser.parse_args()


def models(**options: Any) -> tuple[RoFormerModel, RoFormerForCausalLM]:
    config = RoFormerConfig(**SIZES, intermediate_size=256)
    decoder = config.replace(is_decoder=True)
    return RoFormerModel(config, seed=1, **options), RoFormerForCausalLM(decoder, seed=1, **options)


Call = Callable[[RoFormerModel, RoFormerForCausalLM], list[np.ndarray]]


def random_call(generator: np.random.Generator) -> Call:
    """A call of a random shape, as a function of the models that it is for."""
    batch, length = int(generator.integers(1, MOST_ROWS)), int(generator.integers(1, LONGEST))
    ids, mask = generator.integers(0, 997, (batch, length)), generator.random((batch, length)) < 0.8
    cut, kind = int(generator.integers(0, length)), int(generator.integers(0, 4))

    def cached(decoder: RoFormerForCausalLM) -> list[np.ndarray]:
        if not cut:
            return [decoder(ids, attention_mask=mask).logits]
        begun = decoder(ids[:, :cut], attention_mask=mask[:, :cut])
        return [begun.logits, decoder(ids[:, cut:], attention_mask=mask, past_key_values=begun.past_key_values).logits]

    kinds: tuple[Call, ...] = (
        lambda model, decoder: [*model(ids, attention_mask=mask, output_hidden_states=True).hidden_states],
        lambda model, decoder: [model(ids, attention_mask=mask, padding="skip").last_hidden_state],
        lambda model, decoder: model.encode([row[: number + 1] for number, row in enumerate(ids)]),
        lambda model, decoder: cached(decoder),
    )
    return kinds[kind]


def random_shapes(calls: int, compute: str) -> bool:
    """Errors against the definition, and the resident memory."""
    from rich.console import Console
    from rich.progress import track

    ours, definition = models(compute=compute), models(dtype="float64", components="equations")
    generator, worst, memory = np.random.default_rng(0), 0.0, [resident()]
    console = Console(stderr=True)
    for number in track(range(calls), "calls", console=console, transient=True, disable=not console.is_terminal):
        call = random_call(generator)
        for array, expected in zip(call(*ours), call(*definition), strict=True):
            worst = max(worst, float(np.abs(array - expected).max()))
        if (number + 1) % max(calls // 10, 1) == 0:
            memory.append(resident())
    growth = max(memory[-3:]) - max(memory[: len(memory) // 2])
    allowed = ALLOWED_ERROR[compute]
    print(f"{calls} calls of random shapes: largest error against float64 {worst:.1e}, allowed {allowed:.0e}")
    print(f"resident MB after each tenth: {' '.join(f'{value:.0f}' for value in memory)}; grown {growth:.1f} at last")
    return worst <= allowed and growth <= ALLOWED_GROWTH_MB


def many_threads(threads: int, calls_per_thread: int, compute: str) -> bool:
    """Every thread makes the same calls in its own order."""
    ours = models(compute=compute)
    calls = [random_call(np.random.default_rng(seed)) for seed in range(20)]
    expected = [digest(call(*ours)) for call in calls]
    wrong: list[int] = []

    def work(seed: int) -> None:
        for number in np.random.default_rng(seed).integers(0, len(calls), calls_per_thread):
            if digest(calls[number](*ours)) != expected[number]:
                wrong.append(number)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(f"{threads} threads x {calls_per_thread} calls: {len(wrong)} differ from the calls one after the other")
    return not wrong


def child(method: str, compute: str) -> bool:
    """A process started while helpers of this one wait for work."""
    context = multiprocessing.get_context(method)
    answers = context.SimpleQueue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is what is tried
        process = context.Process(target=answer, args=(answers, compute))
        process.start()
    process.join(timeout=300)
    equal = process.exitcode == 0 and answers.get() == all_digests(compute)
    print(f"a child by {method}: {'equal' if equal else f'differs, or died (exit code {process.exitcode})'}")
    return equal


def answer(answers: Any, compute: str) -> None:
    roformer_numpy.engine.SERIAL_WORK = 0
    answers.put(all_digests(compute))


def all_digests(compute: str) -> list[str]:
    ours = models(compute=compute)
    return [digest(random_call(np.random.default_rng(seed))(*ours)) for seed in range(20)]


def digest(arrays: list[np.ndarray]) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def resident() -> float:
    """MB of memory that this process holds; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if status.exists() else 0.0


if __name__ == "__main__":
    main()
