"""A pytorch_model.bin made by hand, byte by byte, and the same with something in it that should not be there."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

STORAGES = {"float64": "Double", "float32": "Float", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long"}
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"  # OrderedDict()


def text(value: str) -> bytes:
    """A string."""
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def integer(value: int) -> bytes:
    """An integer of 32 bits, or a longer one."""
    if abs(value) < 2**31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def tensor(key: str, kind: str, count: int, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    """The call that makes a tensor out of a storage; `count` and strides in elements."""
    storage = b"(" + text("storage") + f"ctorch\n{kind}Storage\n".encode() + text(key) + text("cpu") + integer(count)
    sizes, steps = (b"(" + b"".join(map(integer, values)) + b"t" for values in (shape, strides))
    arguments = storage + b"tQ" + integer(offset) + sizes + steps + b"\x89" + ORDERED_DICT
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def state_dict(items: Mapping[str, bytes]) -> bytes:
    """The pickle of an ordered mapping."""
    body = b"".join(text(name) + value for name, value in items.items())
    return b"\x80\x02" + ORDERED_DICT + b"(" + body + b"u."


def archive(path: Path, content: bytes, storages: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    """A zip archive as `torch.save` writes it, around any pickle."""
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", content)
        file.writestr("archive/byteorder", "little")
        for key, values in storages.items():
            file.writestr(f"archive/data/{key}", values)
        file.writestr("archive/version", "3\n")


def write_pytorch(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """The tensors, each in the memory layout that it has here: transposed ones stay transposed views."""
    items, storages = {}, {}
    for number, (name, array) in enumerate(tensors.items()):
        memory = array.T if array.flags.f_contiguous else np.ascontiguousarray(array)
        storages[str(number)] = memory.tobytes()
        strides = tuple(step // array.itemsize for step in (array if array.flags.f_contiguous else memory).strides)
        kind = STORAGES[array.dtype.name]
        items[name] = tensor(str(number), kind, array.size, array.shape, strides)
    archive(path, state_dict(items), storages)


def zipped_twice(path: Path) -> None:
    """The archive of `path` with its pickle in it a second time."""
    content = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(content, "a") as file:
        file.writestr("archive/data.pkl", state_dict({}))
    path.write_bytes(content.getvalue())
