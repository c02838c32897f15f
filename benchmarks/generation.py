"""Tokens per second of greedy generation, beside a caller who hands the cache back to the model at every step.

    python benchmarks/generation.py [--model small] [--batch 1 4] [--prompt 16] [--tokens 128] [--rounds 5]

Both sides write the same tokens, in turn; what counts is the ratio. The last columns tell what a step costs in the last
quarter of the tokens against the first: 1.00 is a cost that does not grow with what was written.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from roformer_numpy import RoFormerConfig, RoFormerForCausalLM
from roformer_numpy.benchmarking.models import SIZES

Times = list[float]


def main() -> None:
    arguments = parse_arguments()
    sizes: dict[str, Any] = SIZES[arguments.model]
    model = RoFormerForCausalLM(RoFormerConfig(**sizes, is_decoder=True))
    print("| model, batch | generate, tokens/s | by calls, tokens/s | times as fast | growth | by calls |")
    print("|---|---|---|---|---|---|")
    for batch in arguments.batch:
        prompt = np.random.default_rng(0).integers(0, model.config.vocab_size, (batch, arguments.prompt))
        print(line(f"{arguments.model}, {batch}", model, prompt, arguments.tokens, arguments.rounds), flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=tuple(SIZES), default="small")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--prompt", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def line(name: str, model: RoFormerForCausalLM, prompt: np.ndarray, tokens: int, rounds: int) -> str:
    """One row of the table."""
    sides: tuple[Callable[..., np.ndarray], ...] = (by_generate, by_calls)
    times: tuple[list[Times], list[Times]] = ([], [])
    for number in range(rounds + 1):  # the first round packs weights and fills the caches
        written = {}
        for side in (0, 1) if number % 2 else (1, 0):
            steps: Times = []
            written[side] = sides[side](model, prompt, tokens, steps)
            times[side].append(steps)
        assert np.array_equal(written[0], written[1]), "the two sides wrote different tokens"
    ours, theirs = (np.array(rows[1:]) for rows in times)
    rate, other = (len(prompt) * tokens / median(steps.sum(axis=1)) for steps in (ours, theirs))
    return f"| {name} | {rate:.0f} | {other:.0f} | {rate / other:.2f} | {growth(ours):.2f} | {growth(theirs):.2f} |"


def growth(steps: np.ndarray) -> float:
    """The median time of a step in the last quarter against the first; the prompt's step counts in neither."""
    quarter = steps.shape[1] // 4
    return float(np.median(steps[:, -quarter:]) / np.median(steps[:, 1 : quarter + 1]))


def by_generate(model: RoFormerForCausalLM, ids: np.ndarray, tokens: int, steps: Times) -> np.ndarray:
    """`generate`, the time of every step read where it asks for the logits."""
    output, before = model._output, time.perf_counter()

    def timed(*arguments: object) -> object:
        nonlocal before
        found = output(*arguments)  # type: ignore[arg-type]
        now = time.perf_counter()
        steps.append(now - before)
        before = now
        return found

    model._output = timed  # type: ignore[assignment, method-assign]
    try:
        return model.generate(ids, max_new_tokens=tokens)
    finally:
        del model._output


def by_calls(model: RoFormerForCausalLM, ids: np.ndarray, tokens: int, steps: Times) -> np.ndarray:
    """The cache that one call returns is given to the next; logits are asked for at the last position."""
    cache, seen = None, ids
    for _ in range(tokens):
        before = time.perf_counter()
        last = np.full((len(ids), 1), seen.shape[1] - 1)
        output = model(seen, past_key_values=cache, use_cache=True, logits_at=last)
        cache, seen = output.past_key_values, output.logits[:, 0].argmax(axis=-1)[:, None]
        ids = np.concatenate([ids, seen], axis=1)
        steps.append(time.perf_counter() - before)
    return ids


if __name__ == "__main__":
    main()
