"""How long each kernel takes in relation to its equation, at the sizes of the base model, in float32.

Both run alternately in one process, so that what else the machine does meets both; only the ratio means anything.

    python benchmarks/kernels_against_equations.py [rounds]
"""

from __future__ import annotations

import datetime
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from roformer_numpy.components import EQUATIONS, Components
from roformer_numpy.kernels import KERNELS, warm_up
from roformer_numpy.weights import Array, Dense

BATCH, SEQ_LEN, HIDDEN, INNER, HEADS, HEAD_DIM, VOCAB = 8, 128, 768, 3072, 12, 64, 50000
# As many positions as masked language modelling asks for: the equations make several arrays of the logits' size.
PREDICTED = BATCH * SEQ_LEN // 7
ROUNDS = 9


def cases() -> dict[str, tuple[Any, ...]]:
    """A call of every component that has a kernel."""
    generator = np.random.default_rng(0)

    def draw(*shape: int) -> Array:
        return generator.standard_normal(shape, np.float32)

    x, row, heads = draw(BATCH, SEQ_LEN, HIDDEN), draw(HIDDEN), draw(BATCH, SEQ_LEN, HEADS, HEAD_DIM)
    first, second = Dense(draw(HIDDEN, INNER) / 30, draw(INNER)), Dense(draw(INNER, HIDDEN) / 60, row)
    split, scores = heads.transpose(0, 2, 1, 3), draw(BATCH, HEADS, SEQ_LEN, SEQ_LEN)
    mask, inner = generator.random((BATCH, SEQ_LEN)) < 0.8, draw(BATCH, SEQ_LEN, INNER)
    token_types = generator.integers(0, 2, (BATCH, SEQ_LEN))
    labels = generator.integers(0, VOCAB, (1, PREDICTED))
    return {
        "add_token_types": (x, draw(2, HIDDEN), token_types),
        "layer_norm": (x, row, row, 1e-12),
        "dense": (x, draw(HIDDEN, HIDDEN), row),
        "rotate": (split, *EQUATIONS.rotary_table(np.arange(SEQ_LEN), HEAD_DIM, np.float32)),
        "attention_scores": (split.copy(), split.copy()),
        "attention_probs": (scores, mask, False),
        "attention_probs causal": (scores, mask, True),
        "feed_forward gelu": (x, first, second, "gelu"),
        "feed_forward relu": (x, first, second, "relu"),
        **{f"activate {name}": (inner, name) for name in ("gelu", "gelu_new", "silu", "mish", "relu", "tanh")},
        "dropout": (x, 0.1, generator),
        "active_cross_entropy": (draw(1, PREDICTED, VOCAB), labels),
    }


def seconds(components: Components, case: str, arguments: tuple[Any, ...]) -> float:
    """The time of one call."""
    function = getattr(components, case.partition(" ")[0])
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def measure(case: str, arguments: tuple[Any, ...], rounds: int) -> list[str]:
    """A row of the table; the first round only warms the caches."""
    pairs = [[seconds(components, case, arguments) for components in (EQUATIONS, KERNELS)] for _ in range(rounds + 1)][
        1:
    ]
    ratios = sorted(kernel / equation for equation, kernel in pairs)
    medians = [statistics.median(times) * 1e3 for times in zip(*pairs, strict=True)]
    spread = f"{ratios[len(ratios) // 4]:.2f} to {ratios[-1 - len(ratios) // 4]:.2f}"
    return [case, f"{medians[0]:.2f}", f"{medians[1]:.2f}", f"{statistics.median(ratios):.2f}", spread]


def processor() -> str:
    """The processor's name, as the system has it."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    compiled = warm_up(["float32"])
    table = Table(title=f"kernel / equation, {BATCH}×{SEQ_LEN}, base, float32, {rounds} rounds")
    for heading in ("component", "equation ms", "kernel ms", "ratio", "middle half"):
        table.add_column(heading, justify="left" if heading == "component" else "right")
    for case, arguments in cases().items():
        table.add_row(*measure(case, arguments, rounds))
    console = Console()
    console.print(table)
    console.print(
        f"{datetime.date.today()}, {processor()}, NumPy {np.__version__}; kernels ready after {compiled:.2f} s"
    )


if __name__ == "__main__":
    main()
