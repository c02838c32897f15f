"""Model folders of every format: the configuration, and the tensors under PyTorch's names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..config import RoFormerConfig
from ..errors import CheckpointError, InputTypeError, shown
from ..models_in_the_box import names, resolve
from ..weights import Array
from . import tensorflow1
from .formats import FORMATS, Format
from .tensors import collected

CONFIG_FILE = "config.json"


def read_config(folder: str | os.PathLike[str], **overrides: Any) -> RoFormerConfig:
    """The configuration of a model folder, with fields replaced by `overrides`.

    Raises:
        CheckpointError: no such folder, or neither config.json nor the originals' bert_config.json in it.
        ConfigError: the configuration, or an override, breaks a rule.
    """
    root = existing_folder(folder)
    for file in (CONFIG_FILE, tensorflow1.CONFIG_FILE):
        if (root / file).is_file():
            return RoFormerConfig.from_json_file(root / file, **overrides)
    raise CheckpointError(f"{folder} has no {CONFIG_FILE}; it holds {_listing(root)}")


def read_tensors(folder: str | os.PathLike[str], on_read: Callable[[int], object] | None = None) -> dict[str, Array]:
    """Every tensor of a model folder by its PyTorch name, in PyTorch's layout, whatever the format.

    Args:
        folder: on this machine.
        on_read: called with the bytes of each tensor when it was read, and with 0 after the last.

    Raises:
        CheckpointError: no weights in the folder, a damaged or foreign file, values that are not finite, or a format
            whose package is not installed.
    """
    root = existing_folder(folder)
    return collected(format_of(root).tensors(root), on_read)


def format_of(root: Path) -> Format:
    """The format that the folder `root` is read in: the first of `FORMATS` that it holds.

    Raises:
        CheckpointError: it holds none; the message lists what was looked for and what is there.
    """
    found = formats_in(root)
    if not found:
        looked_for = ", ".join(kind.looked_for for kind in FORMATS)
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
    """What a caller passed as a folder, which must be there; a model in the box may go by its name.

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
    if (boxed := resolve(path)).is_dir():
        return boxed
    raise CheckpointError(
        f"{folder} is no folder on this machine, and nothing is downloaded here. If it names a model on a hub, fetch "
        f"it first, for example with: hf download {folder} --local-dir {path.name or 'model'}. "
        f"In the box are {', '.join(names())}"
    )


def _listing(root: Path) -> str:
    held = sorted(path.name for path in root.iterdir())
    return ", ".join(held[:20]) + (" …" if len(held) > 20 else "") if held else "nothing"
