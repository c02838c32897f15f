"""The arguments of a call on their way to another process: arrays in a safetensors file, plain values in the frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ..kit import gather, spread, write_tensors
from ..protocol import Outputs, Unsupported
from .frames import FrameError


def write_arguments(path: Path, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Write the arrays among inputs and options, as inputs/NAME and options/NAME; the rest of the frame is returned.

    Raises:
        Unsupported: an argument is neither an array, nor None, a number, a text, nor a tuple of these.
    """
    tensors: dict[str, Any] = {}
    values: dict[str, Any] = {}
    order: list[str] = []
    for side, named in (("inputs", inputs), ("options", options)):
        for name, value in named.items():
            before = {*tensors, *values}
            spread(f"{side}/{name}", value, tensors, values)
            order += [key for key in (*tensors, *values) if key not in before]
    write_tensors(path, {name: _array(name, value) for name, value in tensors.items()})
    return {"inputs": path.name, "values": values, "order": order}


def read_outputs(folder: Path, name: str) -> Outputs:
    """The outputs in a file that a process wrote, tuples put together; the file is removed.

    Raises:
        FrameError: it is not a plain file of the folder, or no safetensors file.
    """
    path = folder / name
    if Path(name).name != name or path.is_symlink() or not path.is_file():
        raise FrameError(f"named the outputs {name!r}, which is no file in the folder of this session")
    try:
        return gather(load_file(path))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FrameError(f"wrote outputs that cannot be read: {error}") from error
    finally:
        path.unlink()


def _array(name: str, value: Any) -> Any:
    if not isinstance(value, np.ndarray | np.generic) or np.asarray(value).dtype.kind not in "biuf":
        what = name.partition("/")[2]
        raise Unsupported(f"python_values: {what} as {type(value).__name__} is not passed to another process")
    return value
