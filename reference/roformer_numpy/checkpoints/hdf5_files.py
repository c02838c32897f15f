"""Tensors of a tf_model.h5 as transformers 4.37 writes it, walked by hand.

HDF5 is a file system in a file: it links to other files, assembles datasets out of them and declares sizes that it does
not store. Nothing but plain datasets within the file is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CheckpointError
from .tensorflow_names import keras_tensor
from .tensors import Tensors, finite, refuse_many

if TYPE_CHECKING:
    import h5py

PIP_COMMAND = 'pip install "roformer-reference[tensorflow-files]"'

MAX_BYTES = 4 * 2**30  # of one tensor
MAX_COMPRESSION = 1000  # times what is stored
MAX_DEPTH = 16  # of groups in groups
_FILTERS = (1, 2, 3)  # gzip, shuffle, checksum: what HDF5 itself has; others are code loaded from elsewhere


def tensors(path: Path) -> Tensors:
    """Every tensor of the file `path`, under PyTorch's names and in PyTorch's layout.

    Raises:
        CheckpointError: the file is damaged or hostile, holds values that are not finite, or h5py is not installed.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise CheckpointError(f"{path.name} needs the package h5py to be read: {PIP_COMMAND}") from error
    try:
        with h5py.File(path, "r") as file:
            datasets = _Walk(h5py, path).datasets(file, "", 0)
            for name, dataset in datasets:
                yield keras_tensor(name, finite(path, name, np.asarray(dataset[()])))
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path.name} cannot be read as HDF5: {error}") from error


class _Walk:
    """One pass over a file, which counts what it meets: links may lead in circles."""

    def __init__(self, package: Any, path: Path) -> None:
        self.h5py, self.path, self.met = package, path, 0
        self.left = max(MAX_COMPRESSION * path.stat().st_size, 1)

    def datasets(self, group: h5py.Group, prefix: str, depth: int) -> Iterator[tuple[str, h5py.Dataset]]:
        """Every dataset below `group` by its path."""
        if depth > MAX_DEPTH:
            raise CheckpointError(f"{self.path.name} nests its groups more than {MAX_DEPTH} deep at {prefix[:200]}")
        for key in group:
            name = f"{prefix}/{key}" if prefix else key
            self.met += 1
            refuse_many(self.path, self.met)
            if not isinstance(group.get(key, getlink=True), self.h5py.HardLink):
                raise CheckpointError(f"{self.path.name} links elsewhere at {name}, which is not followed")
            item = group[key]
            if isinstance(item, self.h5py.Group):
                yield from self.datasets(item, name, depth + 1)
            elif isinstance(item, self.h5py.Dataset):
                self._refuse_unusual(name, item)
                yield name, item

    def _refuse_unusual(self, name: str, dataset: h5py.Dataset) -> None:
        """Refuse a dataset that is no plain tensor within this file."""
        declared = dataset.size * dataset.dtype.itemsize if dataset.size else 0
        stored = dataset.id.get_storage_size()
        self.left -= declared
        creation = dataset.id.get_create_plist()
        filters = [creation.get_filter(index)[0] for index in range(creation.get_nfilters())]
        for broken, why in (
            (dataset.external or dataset.is_virtual, "takes its numbers from elsewhere"),
            (dataset.dtype.kind != "f" or dataset.shape is None, f"holds {dataset.dtype}, expected numbers"),
            (set(filters) - set(_FILTERS), f"is packed with the filters {filters}, allowed are {_FILTERS}"),
            (declared > MAX_BYTES, f"declares {declared} bytes, allowed are up to {MAX_BYTES}"),
            (declared > MAX_COMPRESSION * stored, f"declares {declared} bytes and stores {stored}"),
            (self.left < 0, f"declares, with those before, more than {MAX_COMPRESSION} times the file"),
        ):
            if broken:
                raise CheckpointError(f"{name} in {self.path.name} {why}")
