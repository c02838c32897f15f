"""Original checkpoints, as bert4keras and its published models have them: bert_model.ckpt.* beside bert_config.json.

This is the one module of the package that may import TensorFlow, and it does so only when such a folder is read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError
from .tensorflow_names import original_tensor
from .tensors import Tensors, finite, refuse_many

CONFIG_FILE = "bert_config.json"
POINTER = "checkpoint"  # TensorFlow's own note of which checkpoint is the latest
PIP_COMMAND = 'pip install "roformer-reference[tensorflow-cpu]"'

# What an optimizer left behind.
_SLOTS = re.compile(r"(^|/)(adam_[mv]|Adam(_\d+)?|[A-Za-z]*Optimizer(_\d+)?|beta[12]_power|global_step)(/|$)")


def indices(root: Path) -> list[Path]:
    """The files *.index that have numbers beside them."""
    return sorted(path for path in root.glob("*.index") if any(root.glob(f"{_escaped(path.stem)}.data-*")))


def files(root: Path) -> list[Path]:
    """The files of the checkpoint in the folder `root`, its index first.

    Raises:
        CheckpointError: it holds several checkpoints and does not say which one counts.
    """
    index = _latest(root)
    return [index, *sorted(root.glob(f"{_escaped(index.stem)}.data-*"))]


def tensors(root: Path) -> Tensors:
    """Every floating-point variable of the checkpoint, without an optimizer's, under PyTorch's names and layout.

    Raises:
        CheckpointError: it is damaged, holds values that are not finite, or TensorFlow is not installed.
    """
    index, *data = files(root)
    try:
        import tensorflow as tf
    except ImportError as error:
        raise CheckpointError(f"{index.name} needs TensorFlow to be read: {PIP_COMMAND}") from error
    try:
        reader = tf.train.load_checkpoint(str(index.with_suffix("")))
        for name in _variables(index, reader, sum(path.stat().st_size for path in data)):
            yield original_tensor(name, finite(index, name, np.asarray(reader.get_tensor(name))))
    except CheckpointError:
        raise
    except Exception as error:  # TensorFlow raises bare IndexError, RuntimeError and OpError on damaged files
        raise CheckpointError(f"{index.name} cannot be read as a TensorFlow checkpoint: {error}") from error


def _variables(index: Path, reader: Any, stored: int) -> list[str]:
    """The names to read, if all of them fit into the bytes that are stored."""
    shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    refuse_many(index, len(shapes))
    names = [name for name in sorted(shapes) if types[name].is_floating and not _SLOTS.search(name)]
    declared = sum(int(np.prod(shapes[name], dtype=object)) * types[name].size for name in names)
    if declared > stored:
        raise CheckpointError(f"{index.name} declares {declared} bytes, its data has {stored}")
    return names


def _latest(root: Path) -> Path:
    """The index of the checkpoint that counts: the only one, or the one that the file `checkpoint` names."""
    found = indices(root)
    if len(found) == 1:
        return found[0]
    note = root / POINTER
    text = note.read_text(encoding="utf-8", errors="replace")[:10_000] if note.is_file() else ""
    named = re.search(r'^model_checkpoint_path: "([^"]*)"', text, re.MULTILINE)
    for path in found:
        if named and path.stem == named[1].replace("\\", "/").rpartition("/")[2]:
            return path
    raise CheckpointError(
        f"{root} holds several checkpoints ({', '.join(path.name for path in found)}) and no file {POINTER!r} that "
        "says which one counts"
    )


def _escaped(stem: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", stem)
