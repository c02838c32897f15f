"""Packed weights on disk, made only when somebody asks (`roformer warm-up MODEL`), used wherever they are found.

They are mapped: nothing is packed, and all processes that use a model share one copy. A file holds what is packed
together, a layer or a product. Its name is a digest of the sources that pack, of the instruction set, of what products
multiply and of where each weight lies: device, inode, size and both times of its file, and its place in there. A file
that was replaced or written to has another time of change, which nobody can set; weights that lie in no file are never
looked for. A damaged file is not used. The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np

from .mapped import place
from .weights import Array

VARIABLE, OFF = "ROFORMER_PACKED", "off"
LIMIT = 4_000_000_000  # bytes of all files; those used longest ago are removed
MAGIC, ALIGNMENT, HEADER = b"RoFormer packed 1\n", 64, 4096
SAMPLE, SAMPLE_EVERY = 4096, 1 << 18  # reading all of a file would take as long as packing it
LEAST = 1_000_000  # bytes; less is packed sooner than found
ABANDONED = 3600.0  # seconds after which an unfinished file is nobody's

_making: ContextVar[bool] = ContextVar("making", default=False)


@contextmanager
def making() -> Iterator[None]:
    """What is packed inside is kept."""
    token = _making.set(True)
    try:
        yield
    finally:
        _making.reset(token)


def kept(sources: Sequence[Array], settings: tuple[Any, ...], pack: Callable[[], list[Array]]) -> list[Array]:
    """The float32 arrays that `pack` makes of `sources`: mapped and read-only where they are found, else its own."""
    path = _path_of(sources, settings)
    if path is None:
        return pack()
    found = _read(path)
    if found is None:
        found = pack()
        if _making.get():
            _keep(path, found)
    return found


def folder() -> Path | None:
    """Where they lie; None where no folder can be trusted."""
    from .kernels.cache import trusted_folder

    return trusted_folder("packed")


def bytes_kept() -> int:
    """How many bytes there are."""
    return sum(size for _, size, path in _files(folder()) if path.suffix == ".packed")


def clear() -> int:
    """Delete all; returns how many bytes there were."""
    before = bytes_kept()
    for _, _, path in _files(folder()):
        path.unlink(missing_ok=True)
    return before


def _path_of(sources: Sequence[Array], settings: tuple[Any, ...]) -> Path | None:
    if os.environ.get(VARIABLE) == OFF or sum(array.nbytes for array in sources) < LEAST:
        return None
    places = [place(array) for array in sources]
    if None in places:
        return None
    from .kernels.cache import source_stamp
    from .kernels.engine.machine import INSTRUCTION_SET

    home, stamp = folder(), source_stamp()
    if home is None or stamp is None:
        return None
    key = hashlib.sha256(repr((stamp, INSTRUCTION_SET, settings, places)).encode()).hexdigest()
    return home / f"{key}.packed"


def _read(path: Path) -> list[Array] | None:
    """The arrays of a sound file."""
    # whatever is wrong with it, the weights are packed instead
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError), path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, header = content[: len(MAGIC)], json.loads(content[len(MAGIC) : HEADER].rstrip(b"\0"))
        expected = (MAGIC, path.stem, len(content), _checksum(content, header["arrays"]))
        if expected == (magic, header["key"], header["size"], header["sum"]):
            os.utime(path)
            return [_array(content, shape, offset) for shape, offset in header["arrays"]]
    return None


def _array(content: mmap.mmap, shape: list[int], offset: int) -> Array:
    return np.frombuffer(content, np.float32, math.prod(shape), offset).reshape(shape)


def _checksum(content: Any, places: Any) -> int:
    """Of where the arrays lie, and of samples of them: what was cut off, never written or overwritten shows."""
    total = zlib.crc32(json.dumps(places).encode())
    for start in range(HEADER, len(content), SAMPLE_EVERY):
        total = zlib.crc32(content[start : start + SAMPLE], total)
    return zlib.crc32(content[max(HEADER, len(content) - SAMPLE) :], total)


def _keep(path: Path, arrays: list[Array]) -> None:
    """Write the whole file or nothing, and make room; a disk that is full or read-only costs one warning."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=".", dir=path.parent)
        try:
            with open(descriptor, "w+b") as file:
                _write(file, path.stem, arrays)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
        _make_room(path)
    except OSError as error:
        warnings.warn(f"packed weights cannot be kept in {path.parent} ({error})", RuntimeWarning, stacklevel=2)


def _write(file: Any, key: str, arrays: list[Array]) -> None:
    places, at = [], HEADER
    for array in arrays:
        places.append((array.shape, at))
        file.seek(at)
        file.write(np.ascontiguousarray(array, np.float32))
        at = -(-file.tell() // ALIGNMENT) * ALIGNMENT
    size = file.tell()
    file.flush()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        header = {"key": key, "size": size, "sum": _checksum(content, places), "arrays": places}
    file.seek(0)
    file.write((MAGIC + json.dumps(header).encode()).ljust(HEADER, b"\0"))
    file.flush()
    os.fsync(file.fileno())


def _make_room(newest: Path) -> None:
    """Remove what was used longest ago, and what somebody began and never ended."""
    now, total = time.time(), 0
    for used, size, path in sorted(_files(newest.parent), reverse=True):
        total += size
        abandoned = path.suffix != ".packed" and now - used > ABANDONED
        if path != newest and (abandoned or (total > LIMIT and path.suffix == ".packed")):
            path.unlink(missing_ok=True)


def _files(home: Path | None) -> list[tuple[float, int, Path]]:
    """When each file was last used, its bytes and its path; another process may delete them meanwhile."""
    found = []
    for path in home.iterdir() if home else ():
        with suppress(FileNotFoundError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    return found
