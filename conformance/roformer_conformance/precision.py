"""The floating-point types that an implementation may compute in, as far as the judge has to know them.

Half-precision types are for storage: matrix products, softmax, LayerNorm and sums keep float32 inside, and what they
return is rounded. NumPy has no bfloat16; its values travel as float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from .protocol import Array


@dataclass(frozen=True)
class Precision:
    """One type, and what may be asked of who computes in it."""

    unit: float  # u, the largest relative error of rounding to it
    sums: str  # NumPy's type that has the digits of its sums
    carried: str  # NumPy's type that its arrays travel in
    huge: float = 1e6  # a number far beyond the others of a model, whose products with weights it holds
    underflows: bool = False  # whether a weight of attention may be too small for it, and is stored as 0
    telling: float = 2.0**-100  # what weights of attention must add up to for their proportions to have its digits
    query_gain: float = np.inf  # of query and key: what their scores, its square, may reach


PRECISIONS: Mapping[str, Precision] = MappingProxyType(
    {
        "float32": Precision(2.0**-24, "float32", "float32"),
        "float64": Precision(2.0**-53, "float64", "float64"),
        "bfloat16": Precision(2.0**-8, "float32", "float32"),
        "float16": Precision(
            2.0**-11, "float32", "float16", huge=256.0, underflows=True, telling=2.0**-6, query_gain=30.0
        ),
    }
)


def is_half(dtype: str) -> bool:
    """Whether what is computed is rounded to fewer digits than its sums have."""
    return dtype in ("bfloat16", "float16")


def recorded(dtypes: Sequence[str]) -> tuple[str, ...]:
    """The types among these in which golden vectors are asked for: half precision cannot hold the recorded weights."""
    return tuple(dtype for dtype in dtypes if not is_half(dtype))


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
