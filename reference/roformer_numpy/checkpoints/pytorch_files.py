"""Tensors of a pytorch_model.bin, which is a pickle among its numbers: read without ever unpickling an object.

ptloader reads the zip format without PyTorch; where it is not installed, or the file has the older format, PyTorch
itself reads it with `weights_only`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from ..errors import CheckpointError
from ..weights import Array
from .pickles import refuse_unusual
from .tensors import Tensors, finite, refuse_many

PIP_COMMAND = 'pip install "roformer-reference[pytorch-files]"'

# `weights_only` had a hole before: CVE-2025-32434 and its successors.
SAFE_TORCH = (2, 10)

# A tensor of a file may repeat its storage (expanded or tied weights), but no model does so at large.
MAX_REPETITION = 8


def tensors(path: Path) -> Tensors:
    """Every tensor of the file `path`, transposed and strided ones as they are meant.

    Raises:
        CheckpointError: the file is damaged or hostile, it is no mapping of names to tensors, values are not finite,
            or neither ptloader nor a safe PyTorch is installed.
    """
    is_zip = zipfile.is_zipfile(path)
    try:
        if is_zip:
            _refuse_odd_archive(path)
        loaded = _loaded(path, is_zip)
    except CheckpointError:
        raise
    except Exception as error:  # both readers let through whatever a damaged file makes them raise
        raise CheckpointError(f"{path.name} cannot be read as weights of PyTorch: {_first_line(error)}") from error
    yield from _checked(path, loaded)


def _loaded(path: Path, is_zip: bool) -> Any:
    """What the file holds, read by the package that can."""
    try:
        if not is_zip:
            raise ModuleNotFoundError
        import ptloader
    except ModuleNotFoundError:
        return _loaded_by_torch(path, is_zip)
    storages = {"BFloat16Storage": np.dtype(ml_dtypes.bfloat16)}
    return ptloader.load(path, torchscript_mode="strict", payload="data", storage_registry=storages)


def _loaded_by_torch(path: Path, is_zip: bool) -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        with path.open("rb") as file:
            start = file.read(2)
        if is_zip:
            raise CheckpointError(f"{path.name} needs the package ptloader to be read: {PIP_COMMAND}") from error
        if start[:1] != b"\x80":
            raise CheckpointError(f"{path.name} is no file of PyTorch's: it begins with {start!r}") from error
        raise CheckpointError(
            f"{path.name} is in PyTorch's format of before 2020, which PyTorch alone reads: pip install torch"
        ) from error
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < SAFE_TORCH:
        needed = ".".join(map(str, SAFE_TORCH))
        raise CheckpointError(
            f"{path.name} is not read with PyTorch {torch.__version__}, whose loading has known holes: "
            f'{PIP_COMMAND}, or pip install "torch>={needed}"'
        )
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(loaded, Mapping):
        return loaded
    return {name: _as_numpy(value, torch) for name, value in loaded.items()}


def _as_numpy(value: Any, torch: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    plain = value.detach()
    if plain.dtype == torch.bfloat16:
        return plain.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return plain.numpy()


def _refuse_odd_archive(path: Path) -> None:
    """Refuse an archive that no `torch.save` writes: compressed, with a name twice, larger inside than outside."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        pickles = [name for name in names if name.rpartition("/")[2] == "data.pkl"]
        refuse_many(path, len(entries))
        if len(set(names)) < len(names):
            raise ValueError("its archive names a file twice")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("its archive is compressed")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError("its archive declares more bytes than the file has")
        if len(pickles) != 1:
            raise ValueError(f"its archive holds {len(pickles)} files data.pkl, expected one")
        refuse_unusual(archive.read(pickles[0]))


def _checked(path: Path, loaded: Any) -> Tensors:
    """The tensors of what was loaded, copied into one order of bytes."""
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{path.name} holds a {type(loaded).__name__}, expected a mapping of names to tensors")
    refuse_many(path, len(loaded))
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, np.ndarray):
            raise CheckpointError(
                f"{path.name} holds a {type(value).__name__} under {name!r}, expected names of tensors alone "
                "(a training checkpoint? save the model's state_dict)"
            )
    if sum(array.nbytes for array in loaded.values()) > MAX_REPETITION * path.stat().st_size:
        raise CheckpointError(f"{path.name} declares more than {MAX_REPETITION} times the numbers that it holds")
    for name, array in loaded.items():
        yield name, finite(path, name, _own(array))


def _own(array: Array) -> Array:
    """The array without its holes and in this machine's order of bytes."""
    return np.ascontiguousarray(array).reshape(array.shape)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
