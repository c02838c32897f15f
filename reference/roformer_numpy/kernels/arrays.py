"""Arrays as the kernels take them: contiguous, aligned, of one type, and read-only.

numba compiles a kernel once for each kind of array. Making every input read-only leaves one kind for each
floating-point type, and lets the compiler refuse a kernel that writes to an input.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from ..weights import Array

# made once: of a type, NumPy would make them at every look
FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)


def readable(array: Array, dtype: DTypeLike) -> Array:
    """A read-only view, or a copy where the memory is not contiguous, aligned and of this type."""
    flags = array.flags
    if array.dtype != dtype or not (flags.c_contiguous and flags.aligned):
        array = np.require(array, dtype, ["C", "A"])
    elif not flags.writeable:
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def readable_rows(array: Array, dtype: DTypeLike) -> Array:
    """The same with all axes but the last made one: (rows, width)."""
    return readable(array, dtype).reshape(math.prod(array.shape[:-1]), array.shape[-1])


def checked_ids(ids: Array, size: int) -> Array:
    """Integers in [0, size) as a kernel takes them: compiled code does not notice an index out of range.

    Raises:
        IndexError: an integer is not in that range.
    """
    if ids.size and not 0 <= ids.min() <= ids.max() < size:
        raise IndexError(f"ids reach from {ids.min()} to {ids.max()}, expected them in [0, {size})")
    return readable(ids, np.int64)
