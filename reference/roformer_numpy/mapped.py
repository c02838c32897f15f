"""Arrays that lie in a file: what is not read takes no memory, and what was read can be let go.

A mapped file must not be written to; replacing it, as `files.replacing` does, is harmless.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .weights import Array

# What NumPy reads as it lies in a safetensors file.
KINDS = {"F32": np.float32, "F64": np.float64, "F16": np.float16}
HEADER_SIZE = 8

# A mapped file cannot be replaced on Windows, and numbers are stored little end first.
POSSIBLE = os.name != "nt" and sys.byteorder == "little"


class _File(mmap.mmap):
    """A mapped file that says which one it is: device, inode, size, when it was written to and when changed at all."""

    identity: tuple[int, ...]


def mapped_tensors(path: Path) -> dict[str, Array]:
    """The tensors of a sound safetensors file that can be used as they lie in it, read-only.

    Args:
        path: a file whose header was checked.

    Returns:
        by name; a tensor of another type, without elements, or beginning at an odd place is left out.
    """
    if not POSSIBLE:
        return {}
    with path.open("rb") as file:
        length = int.from_bytes(file.read(HEADER_SIZE), "little")
        header: dict[str, Any] = json.loads(file.read(length))
        content = _File(file.fileno(), 0, access=mmap.ACCESS_READ)
        status = os.fstat(file.fileno())
    content.identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    found = {}
    for name, entry in header.items():
        kind = KINDS.get(entry.get("dtype", ""))
        start, end = entry.get("data_offsets", (0, 0))
        offset, size = HEADER_SIZE + length + start, end - start
        if kind is not None and size and offset % np.dtype(kind).itemsize == 0:
            count = size // np.dtype(kind).itemsize
            found[name] = np.frombuffer(content, kind, count, offset).reshape(entry["shape"])
    return found


def is_mapped(array: Array) -> bool:
    """Whether the array lies in a file."""
    return _content(array) is not None


def place(array: Array) -> tuple[Any, ...] | None:
    """Which file the array lies in and where; None where it lies in memory."""
    content = _content(array)
    if not isinstance(content, _File):
        return None
    start = array.ctypes.data - np.frombuffer(content, np.uint8).ctypes.data
    return (*content.identity, start, array.shape, array.strides)


def release(array: Array) -> None:
    """Let go of the memory that holds an array of a file; whoever reads it again reads the file."""
    content = _content(array)
    if content is None or not hasattr(mmap, "MADV_DONTNEED"):
        return
    whole = np.frombuffer(content, np.uint8)
    start = array.ctypes.data - whole.ctypes.data
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    size = start + array.nbytes - first
    if size > 0:
        content.madvise(mmap.MADV_DONTNEED, first, size)


def _content(array: Any) -> mmap.mmap | None:
    while isinstance(array, np.ndarray):
        array = array.base
    array = array.obj if isinstance(array, memoryview) else array
    return array if isinstance(array, mmap.mmap) else None
