"""The floating-point types that an implementation may compute in, as far as the judge has to know them.

Half-precision types are for storage: matrix products, softmax, LayerNorm and sums keep float32 inside, and what they
return is rounded. NumPy has no bfloat16; its values travel as float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from .protocol import Array


@dataclass(frozen=True)
class Precision:
    """One type: u, the largest relative error of rounding to it, and the NumPy types of its sums and of its arrays."""

    unit: float
    sums: str
    carried: str


PRECISIONS: Mapping[str, Precision] = MappingProxyType(
    {
        "float32": Precision(2.0**-24, "float32", "float32"),
        "float64": Precision(2.0**-53, "float64", "float64"),
        "bfloat16": Precision(2.0**-8, "float32", "float32"),
        "float16": Precision(2.0**-11, "float32", "float16"),
    }
)


def is_half(dtype: str) -> bool:
    """Whether what is computed is rounded to fewer digits than its sums have."""
    return dtype in ("bfloat16", "float16")


def rounded(array: Array, dtype: str) -> Array:
    """The nearest values that `dtype` holds, ties to even, in the array's own type; beyond the largest, infinity."""
    if dtype != "bfloat16":
        return array.astype(dtype).astype(array.dtype)
    single = np.ascontiguousarray(array, np.float32)
    bits = single.view(np.uint32)
    nearest = ((bits + (0x7FFF + ((bits >> 16) & 1))) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    return np.where(np.isnan(single), single, nearest).reshape(array.shape).astype(array.dtype)


def carried(array: Array, dtype: str) -> Array:
    """The array, rounded to `dtype`, as an implementation is given it and returns it."""
    array = rounded(array, dtype) if dtype == "bfloat16" else array
    return array.astype(PRECISIONS[dtype].carried)
