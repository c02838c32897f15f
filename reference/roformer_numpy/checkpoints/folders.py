"""Model folders of every format that is read: which file counts, and its tensors under PyTorch's names."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import RoFormerConfig
from ..errors import CheckpointError, InputTypeError, shown
from ..json_files import read_json_object
from ..weights import Array
from . import pytorch_files, safetensors_files
from .tensors import Tensors, collected

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"


@dataclass(frozen=True)
class Format:
    """One way to store weights: a whole file, or an index beside the shards that it names."""

    name: str
    whole: str
    index: str
    read: Callable[[Path], Tensors]
    translated: Callable[[str], str] = str  # a name in the index as `read` gives it

    def is_in(self, root: Path) -> bool:
        """Whether the folder `root` holds weights in this format."""
        return (root / self.whole).is_file() or (root / self.index).is_file()

    def files(self, root: Path) -> list[Path]:
        """The files with weights, in the order in which they are read."""
        if (root / self.whole).is_file():
            return [root / self.whole]
        return [root / file for file in sorted(set(_weight_map(root, self.index).values()))]

    def tensors(self, root: Path) -> Tensors:
        """Every tensor of the folder, with the names that the index promises looked for."""
        names = set()
        for path in self.files(root):
            for name, array in self.read(path):
                names.add(name)
                yield name, array
        if not (root / self.whole).is_file():
            lost = sorted({self.translated(name) for name in _weight_map(root, self.index)} - names)
            if lost:
                raise CheckpointError(f"{self.index} names tensors that no shard holds: {', '.join(lost)}")


# In the order of precedence: a folder that holds several is read in the first.
FORMATS = (
    Format("safetensors", WEIGHTS_FILE, INDEX_FILE, safetensors_files.tensors),
    Format("pytorch", "pytorch_model.bin", "pytorch_model.bin.index.json", pytorch_files.tensors),
)


def read_config(folder: str | os.PathLike[str], **overrides: Any) -> RoFormerConfig:
    """The configuration of a model folder, with fields replaced by `overrides`.

    Raises:
        CheckpointError: no such folder, or no config.json in it.
        ConfigError: the configuration, or an override, breaks a rule.
    """
    path = existing_folder(folder) / CONFIG_FILE
    if not path.is_file():
        raise CheckpointError(f"{folder} has no {CONFIG_FILE}; it holds {_listing(path.parent)}")
    return RoFormerConfig.from_json_file(path, **overrides)


def read_tensors(folder: str | os.PathLike[str]) -> dict[str, Array]:
    """Every tensor of a model folder by its PyTorch name, in PyTorch's layout, whatever the format.

    Raises:
        CheckpointError: no weights in the folder, a damaged or foreign file, values that are not finite, or a format
            whose package is not installed.
    """
    root = existing_folder(folder)
    return collected(format_of(root).tensors(root))


def format_of(root: Path) -> Format:
    """The format that the folder `root` is read in: the first of `FORMATS` that it holds.

    Raises:
        CheckpointError: it holds none; the message lists what was looked for and what is there.
    """
    found = formats_in(root)
    if not found:
        looked_for = ", ".join(f"{kind.whole}, {kind.index}" for kind in FORMATS)
        raise CheckpointError(f"{root} has no weights that are read ({looked_for}); it holds {_listing(root)}")
    return found[0]


def formats_in(root: Path) -> list[Format]:
    """Every format that the folder `root` holds weights in, by precedence."""
    return [kind for kind in FORMATS if kind.is_in(root)]


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


def existing_folder(folder: str | os.PathLike[str]) -> Path:
    """What a caller passed as a folder, which must be there.

    Raises:
        InputTypeError: it is no path.
        CheckpointError: there is no such folder; a name of a hub is answered with how to fetch it.
    """
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


def _weight_map(root: Path, index: str) -> dict[str, str]:
    """What an index says: tensor names to names of files in the same folder."""
    try:
        weight_map = read_json_object(root / index).get("weight_map")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{index} cannot be read: {error}") from error
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise CheckpointError(f"{index} has no weight_map of tensor names to file names")
    for file in sorted(set(weight_map.values())):
        if Path(file).name != file or not (root / file).is_file():
            raise CheckpointError(f"{index} names {file!r}, expected a file in the same folder")
    return weight_map
