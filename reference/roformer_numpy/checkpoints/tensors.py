"""What every reader promises of the tensors that it gives: numbers, finite, one array a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy, which several formats look up by name)
import numpy as np

from ..errors import CheckpointError
from ..weights import Array

Tensors = Iterator[tuple[str, Array]]

# More tensors than any RoFormer has (twenty-odd a layer): a file that declares more is not one.
MAX_TENSORS = 100_000


def refuse_many(path: Path, count: int) -> None:
    """Refuse a file that declares more tensors than any model has."""
    if count > MAX_TENSORS:
        raise CheckpointError(f"{path.name} declares {count} tensors, allowed are up to {MAX_TENSORS}")


def finite(path: Path, name: str, array: Array) -> Array:
    """The array, unless it holds NaN or infinity.

    Raises:
        CheckpointError: it does.
    """
    if not np.isfinite(array).all():
        raise CheckpointError(f"{name} in {path.name} holds values that are not finite: the file is damaged")
    return array


def collected(tensors: Tensors, on_read: Callable[[int], object] | None = None) -> dict[str, Array]:
    """Every tensor by its name; one that is stored twice, as some writers do, must be the same both times.

    Raises:
        CheckpointError: two tensors of one name differ.
    """
    found: dict[str, Array] = {}
    report = on_read or (lambda count: None)
    for name, array in tensors:
        if name in found and not np.array_equal(found[name], array):
            raise CheckpointError(f"the checkpoint holds two different tensors that are both {name}")
        found[name] = array
        report(array.nbytes)
    report(0)
    return found
