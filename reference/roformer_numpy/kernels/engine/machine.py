"""Which vector instructions the engine is written for on this machine, and the block of a product that fits them.

| instruction set | lanes | registers | block | why |
|---|---|---|---|---|
| AVX-512 | 16 | 32 | 8 × 48 | 24 sums, 3 vectors of B and the spread number of A fill 28 of the registers |
| AVX2 and FMA | 8 | 16 | 6 × 16 | 12 sums, 2 of B, 1 of A; a block of 8 rows would spill |

Anything else is served by the components, whose products are NumPy's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numba
from llvmlite import binding

VARIABLE = "ROFORMER_INSTRUCTION_SET"
NONE = "none"


@dataclass(frozen=True)
class InstructionSet:
    """What a processor can do and how the micro-kernel uses it."""

    name: str
    features: tuple[str, ...]  # LLVM's names
    lanes: int  # float32 numbers in a vector
    rows: int  # of A in a block
    vectors: int  # of B in a block


KNOWN = (
    InstructionSet("avx512", ("avx512f", "avx512vl", "avx512dq", "avx512bw"), lanes=16, rows=8, vectors=3),
    InstructionSet("avx2", ("avx2", "fma"), lanes=8, rows=6, vectors=2),
)


def chosen_instruction_set() -> InstructionSet | None:
    """The best one that this processor has, or the one that ROFORMER_INSTRUCTION_SET names; None for none.

    Raises:
        ValueError: the variable names something else than avx512, avx2 or none, or what the processor lacks.
    """
    features = _features()
    if getattr(numba.config, "DISABLE_JIT", False):
        return None
    usable = [known for known in KNOWN if all(features.get(feature) for feature in known.features)]
    wish = os.environ.get(VARIABLE)
    if not wish:
        return usable[0] if usable else None
    named = {known.name: known for known in usable}
    if wish != NONE and wish not in named:
        raise ValueError(f"{VARIABLE}={wish!r} is not one of {', '.join([*named, NONE])}, which this processor allows")
    return named.get(wish)


def _features() -> dict[str, bool]:
    """What the code that numba makes may use: the processor's, unless numba is told otherwise.

    NUMBA_CPU_NAME asks for another one's, NUMBA_ENABLE_AVX=0 leaves some out, NUMBA_CPU_FEATURES adds and takes away.
    """
    other = getattr(numba.config, "CPU_NAME", None)
    if other:
        return dict.fromkeys(("avx2", "fma"), other == "haswell")
    without_avx = not getattr(numba.config, "ENABLE_AVX", True)
    found = {
        name: has and not (without_avx and name.startswith("avx"))
        for name, has in binding.get_host_cpu_features().items()
    }
    wishes = (getattr(numba.config, "CPU_FEATURES", None) or "").split(",")
    return {**found, **{wish[1:]: wish[0] == "+" for wish in wishes if wish}}


INSTRUCTION_SET = chosen_instruction_set()
_BLOCK = INSTRUCTION_SET or KNOWN[-1]  # sizes for code that is then never called
LANES, ROWS, VECTORS = _BLOCK.lanes, _BLOCK.rows, _BLOCK.vectors
PANEL = LANES * VECTORS

# Bytes of a float32 and of a cache line, and how many of the first the second holds.
FLOAT_BYTES, LINE_BYTES = 4, 64
LINE = LINE_BYTES // FLOAT_BYTES

# Products of pairs of bfloat16 numbers, twice as many in the same time.
HAS_BFLOAT16 = bool(INSTRUCTION_SET) and LANES == 16 and bool(_features().get("avx512bf16"))
