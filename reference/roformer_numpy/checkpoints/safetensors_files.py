"""Tensors of a safetensors file."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from ..errors import CheckpointError
from ..json_files import parse_json_object
from .tensors import Tensors, finite, refuse_many


def tensors(path: Path) -> Tensors:
    """Every tensor of the file `path`.

    Raises:
        CheckpointError: the file is damaged or hostile, or holds values that are not finite.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            refuse_many(path, len(names))
            _refuse_repeated_names(path)
            for name in names:
                yield name, finite(path, name, file.get_tensor(name))
    except (SafetensorError, OSError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{path.name} cannot be read as safetensors: {error}") from error


def _refuse_repeated_names(path: Path) -> None:
    """Refuse a header that names a tensor twice, which safetensors reads as one of the two."""
    with path.open("rb") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
    try:
        parse_json_object(header)
    except ValueError as error:
        raise CheckpointError(f"{path.name} has a damaged header: {error}") from error
