"""Model folders as the transformers library writes them: config.json beside model.safetensors, in one file or many."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy, which safetensors looks up by name)
import numpy as np
from safetensors import SafetensorError, safe_open

from ..config import RoFormerConfig
from ..errors import CheckpointError, InputTypeError, shown
from ..json_files import parse_json_object, read_json_object
from ..weights import Array

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

# More tensors than any RoFormer has (twenty-odd a layer): a file that declares more is not one.
MAX_TENSORS = 100_000


def read_config(folder: str | os.PathLike[str], **overrides: Any) -> RoFormerConfig:
    """The configuration of a model folder, with fields replaced by `overrides`.

    Raises:
        CheckpointError: no such folder, or no config.json in it.
        ConfigError: the configuration, or an override, breaks a rule.
    """
    path = _folder(folder) / CONFIG_FILE
    if not path.is_file():
        raise CheckpointError(f"{folder} has no {CONFIG_FILE}; it holds {_listing(_folder(folder))}")
    return RoFormerConfig.from_json_file(path, **overrides)


def read_tensors(folder: str | os.PathLike[str]) -> dict[str, Array]:
    """Every tensor of a model folder by its foreign name.

    Raises:
        CheckpointError: no weights in the folder, a damaged or foreign file, values that are not finite.
    """
    root = _folder(folder)
    if (root / WEIGHTS_FILE).is_file():
        return dict(_tensors(root / WEIGHTS_FILE))
    if (root / INDEX_FILE).is_file():
        return _sharded_tensors(root)
    raise CheckpointError(
        f"{folder} has neither {WEIGHTS_FILE} nor {INDEX_FILE}, the weight files that are read; "
        f"it holds {_listing(root)}"
    )


def folder_path(folder: str | os.PathLike[str]) -> Path:
    """What a caller passed as a folder, as a path that may or may not exist.

    Raises:
        InputTypeError: it is no path.
        CheckpointError: it is empty or holds a NUL.
    """
    try:
        path, text = Path(folder), os.fspath(folder)
    except TypeError as error:
        raise InputTypeError(f"folder is {shown(folder)}, expected the path of a folder: {error}") from error
    if not text or "\0" in text:
        raise CheckpointError(f"folder is {shown(folder)}, which is no path; the current folder is '.'")
    return path


def _folder(folder: str | os.PathLike[str]) -> Path:
    path = folder_path(folder)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:
        raise CheckpointError(f"folder is {shown(folder)}, which is no path: {error.args[-1]}") from error
    if is_folder:
        return path
    if is_file:
        raise CheckpointError(f"{folder} is a file, expected the folder that holds it")
    raise CheckpointError(
        f"{folder} is no folder on this machine, and nothing is downloaded here. If it names a model on a hub, fetch "
        f"it first, for example with: hf download {folder} --local-dir {path.name or 'model'}"
    )


def _listing(root: Path) -> str:
    names = sorted(path.name for path in root.iterdir())
    return ", ".join(names[:20]) + (" …" if len(names) > 20 else "") if names else "nothing"


def _sharded_tensors(root: Path) -> dict[str, Array]:
    """The tensors of all shards; the index says which shard holds which."""
    try:
        weight_map = read_json_object(root / INDEX_FILE).get("weight_map")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{INDEX_FILE} cannot be read: {error}") from error
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise CheckpointError(f"{INDEX_FILE} has no weight_map of tensor names to file names")
    tensors: dict[str, Array] = {}
    for file in sorted(set(weight_map.values())):
        if Path(file).name != file or not (root / file).is_file():
            raise CheckpointError(f"{INDEX_FILE} names {file!r}, expected a file in the same folder")
        tensors.update(_tensors(root / file))
    lost = sorted(weight_map.keys() - tensors.keys())
    if lost:
        raise CheckpointError(f"{INDEX_FILE} names tensors that no shard holds: {', '.join(lost)}")
    return tensors


def _tensors(path: Path) -> Iterator[tuple[str, Array]]:
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            if len(names) > MAX_TENSORS:
                raise CheckpointError(f"{path.name} declares {len(names)} tensors, allowed are up to {MAX_TENSORS}")
            _refuse_repeated_names(path)
            for name in names:
                yield name, _checked(path, name, file.get_tensor(name))
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


def _checked(path: Path, name: str, array: Array) -> Array:
    if not np.isfinite(array).all():
        raise CheckpointError(f"{name} in {path.name} holds values that are not finite: the file is damaged")
    return array
