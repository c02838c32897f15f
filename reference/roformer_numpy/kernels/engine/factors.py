"""What the factors of a product are: float32, or bfloat16 where a model asks for `compute="bfloat16"`.

Either is read a word of four bytes at a time, along the depth of the product:

| kind | a word | a step of the micro-kernel |
|---|---|---|
| FLOAT32 | one number | multiply and add, rounded once |
| BFLOAT16 | two numbers that follow each other | two multiplications added in float32, by AVX512-BF16 |

Sums are float32 in both. A kind is a number of which the type alone counts: what is called with it is compiled for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jit import inlined, part
from .intrinsics import bits_of, floats_at, halves_at
from .machine import FLOAT_BYTES

FLOAT32, BFLOAT16 = np.float32(0.0), np.uint16(0)
KINDS = {"float32": FLOAT32, "bfloat16": BFLOAT16}
PAIR = 2

HALF, ODD, KEPT_BITS = np.int32(0x7FFF), np.int32(1), np.int32(16)
NOT_A_NUMBER = np.int32(0x7FC0)


def is_narrow(kind: Any) -> bool:
    """Whether words hold pairs."""
    return isinstance(kind, np.uint16)


def words_for(width: int, kind: Any) -> int:
    """How many words hold `width` numbers."""
    return -(-width // PAIR) if is_narrow(kind) else width


@inlined
def bfloat16(x: Any) -> Any:
    """The bits of float32 rounded to bfloat16, to nearest and to even; NaN stays one, whatever its other bits are."""
    bits = bits_of(x)
    rounded = (bits + HALF + ((bits >> KEPT_BITS) & ODD)) >> KEPT_BITS
    return np.uint16(rounded if x == x else NOT_A_NUMBER)


@part
def narrow(rows: int, source: int, source_words: int, width: int, target: int, target_words: int) -> None:
    """Rows of `width` float32 numbers → pairs, with a 0 after an odd number; addresses, and words of a row."""
    for row in range(rows):
        numbers = floats_at(source + FLOAT_BYTES * row * source_words, (width,))
        halves = halves_at(target + FLOAT_BYTES * row * target_words, (width + width % PAIR,))
        for column in range(width):
            halves[column] = bfloat16(numbers[column])
        if width % PAIR:
            halves[width] = np.uint16(0)
