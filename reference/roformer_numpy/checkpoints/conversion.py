"""A model folder of any format written anew as a Hugging Face folder of safetensors."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import CheckpointError, InputError, WeightsError, shown
from ..weights import HEADS
from .fitting import expected_shapes, fit, refuse, refuse_second_version, stripped
from .folders import existing_folder, folder_path, format_of, read_config, read_tensors
from .inspection import guessed_head
from .names import WORD_EMBEDDINGS
from .saving import write_folder
from .trees import tree_from_mapping

DTYPES = ("float32", "float64", "float16", "bfloat16")
DEFAULT_SHARD_SIZE = 5_000_000_000

# Copied along as they are, where they exist: what a tokenizer is loaded from.
TOKENIZER_FILES = (
    "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
)  # fmt: skip


@dataclass(frozen=True)
class Conversion:
    """What was written, and what was not."""

    format: str
    head: str
    dtype: str
    files: dict[str, int]  # name to bytes
    left_out: list[str]  # tensors that the model has no place for
    remarks: list[str]  # what loading warned about


def convert_folder(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    head: str | None = None,
    dtype: str | None = None,
    max_shard_size: int = DEFAULT_SHARD_SIZE,
    force: bool = False,
    on_read: Callable[[int], object] | None = None,
) -> Conversion:
    """Read `source`, in whatever format, and write it to `target` with the tokenizer's files.

    Args:
        source: a model folder.
        target: a folder that does not exist yet, or is empty.
        head: which of the seven models; by default the one that the source says it is.
        dtype: float32, float64, float16 or bfloat16; by default that of the stored word embeddings.
        max_shard_size: bytes of one file.
        force: write into a folder that is not empty.
        on_read: called with the bytes of each tensor when it was read.

    Raises:
        CheckpointError, ConfigError: the source cannot be read, or the target is not empty.
        InputError: head or dtype is none that exists.
        WeightsError: the source lacks tensors of the model: a conversion draws nothing.
    """
    _check_choices(head, dtype)
    root, config = existing_folder(source), read_config(source)
    _refuse_full(folder_path(target), force)
    read_as, arrays = format_of(root).name, stripped(read_tensors(root, on_read), config)
    refuse_second_version(arrays)
    chosen = head or guessed_head(config, arrays)[0]
    found = fit(arrays, expected_shapes(config, chosen, arrays), chosen, False)
    if found.redrawn:
        raise WeightsError(
            f"{source} holds no {chosen} head, and a conversion draws none; missing: {', '.join(found.missing)}. "
            "The encoder alone is converted with head base"
        )
    refuse(found)
    written_as = np.dtype(dtype or arrays[WORD_EMBEDDINGS].dtype.name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tree = tree_from_mapping(arrays, config, chosen, written_as, seed=0)
    write_folder(target, tree, config, chosen, max_shard_size)
    _copy_tokenizer(root, Path(target))
    files = {path.name: path.stat().st_size for path in sorted(Path(target).iterdir()) if path.is_file()}
    remarks = [str(warning.message) for warning in caught]
    return Conversion(read_as, chosen, written_as.name, files, found.unused, remarks)


def _check_choices(head: str | None, dtype: str | None) -> None:
    for name, value, allowed in (("head", head, HEADS), ("dtype", dtype, DTYPES)):
        if value is not None and value not in allowed:
            raise InputError(f"{name}={shown(value)} is not one of {', '.join(allowed)}")


def _refuse_full(target: Path, force: bool) -> None:
    if target.is_dir() and any(target.iterdir()) and not force:
        raise CheckpointError(f"{target} is not empty; choose another folder, or --force (force=True) to write into it")


def _copy_tokenizer(source: Path, target: Path) -> None:
    for name in TOKENIZER_FILES:
        if (source / name).is_file() and source.resolve() != target.resolve():
            shutil.copyfile(source / name, target / name)
