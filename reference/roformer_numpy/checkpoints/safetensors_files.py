"""Tensors of a safetensors file, of a PyTorch model or a TensorFlow one."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from ..errors import CheckpointError
from ..json_files import parse_json_object
from ..mapped import mapped_tensors, release
from .tensorflow_names import keras_tensor
from .tensors import Tensors, finite, refuse_many


def tensors(path: Path) -> Tensors:
    """Every tensor of the file `path`, under PyTorch's names and in PyTorch's layout, where possible still in the file.

    Raises:
        CheckpointError: the file is damaged or hostile, or holds values that are not finite.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            is_keras = (file.metadata() or {}).get("format") == "tf"
            refuse_many(path, len(names))
            _refuse_repeated_names(path)
            mapped = mapped_tensors(path)
            for name in names:
                tensor = mapped[name] if name in mapped else file.get_tensor(name)
                finite(path, name, tensor)
                release(tensor)
                yield keras_tensor(name, tensor) if is_keras else (name, tensor)
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
