"""How long one training step's gradients take, by the equations and with the kernels: python benchmarks/gradients.py"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from roformer_numpy import RoFormerConfig, RoFormerForMaskedLM

BATCH, SEQ_LEN, ROUNDS = 4, 128, 3
CONFIG = RoFormerConfig(
    vocab_size=8000, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
)


def seconds(function: Callable[[], object]) -> float:
    """The shortest of a few rounds, after one that compiles and loads."""
    function()
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        function()
        rounds.append(time.perf_counter() - start)
    return min(rounds)


def main() -> None:
    """Print seconds for the call and for its gradients."""
    generator = np.random.default_rng(0)
    ids = generator.integers(0, CONFIG.vocab_size, (BATCH, SEQ_LEN))
    labels = np.where(generator.random(ids.shape) < 0.15, ids, -100)
    print(f"masked_lm, float32, batch {BATCH} x {SEQ_LEN}, 4 layers of 256: seconds")
    for components in ("equations", "kernels"):
        model = RoFormerForMaskedLM(CONFIG, components=components)
        call = seconds(lambda model=model: model(ids, labels=labels))
        gradients = seconds(lambda model=model: model.gradients(ids, labels=labels))
        print(f"{components:10} call {call:6.3f}   gradients, call included {gradients:6.3f}")


if __name__ == "__main__":
    main()
