"""Compiled kernels on disk, for one user alone.

Compiled code is executed, so it is only read from a folder that nobody else can write to. Whatever goes wrong with the
disk, the kernels are compiled instead: a cache can cost time, never an answer.

One file holds one compiled function. Its name is a digest of everything that it depends on: the source of all kernels
(numba's own cache watches only the file that defines a function, not those it calls into), the versions, the argument
types and the processor. So nothing is ever looked up in a shared index, which two processes could overwrite for each
other, and files of another version are simply not found. The folder may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import stat
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numba
import numpy as np
import platformdirs

from .engine.machine import INSTRUCTION_SET

VARIABLE = "ROFORMER_CACHE_DIR"
DIGEST_SIZE = hashlib.sha256().digest_size
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

_warned: set[str] = set()


class KernelCache:
    """What a numba dispatcher asks for compiled code, in place of numba's own FunctionCache."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
        self._bytecode = function.__code__.co_code
        self._enabled = True

    @property
    def cache_path(self) -> str | None:
        """The folder, for numba's statistics."""
        folder = cache_folder()
        return None if folder is None else str(folder)

    def enable(self) -> None:
        """Read and write files again."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write files."""
        self._enabled = False

    def flush(self) -> None:
        """Delete the files of this function."""
        folder = cache_folder()
        for path in folder.glob(f"{self._name}-*.bin") if folder else ():
            path.unlink(missing_ok=True)

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The compiled function for these argument types, or None where there is no sound file."""
        path = self._path(signature, target_context.codegen())
        if path is None:
            return None
        # any damage that the digest does not show, and any change in numba's insides, means: compile
        with contextlib.suppress(Exception):
            payload = _read(path)
            return None if payload is None else _rebuild(target_context, payload)
        return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep the compiled function, where that is possible."""
        path = self._path(signature, compiled.codegen)
        if path is None or compiled.library.has_dynamic_globals:
            return
        try:
            _write(path, _reduce(compiled))
        except OSError as error:
            _warn_once(f"compiled kernels cannot be kept in {path.parent} ({error})")
        except Exception as error:
            _warn_once(f"this numba's compiled kernels cannot be kept ({error!r})")

    def _path(self, signature: Any, codegen: Any) -> Path | None:
        folder, source = cache_folder(), source_stamp()
        if folder is None or source is None or not self._enabled:
            return None
        parts = (source, _versions(), self._bytecode.hex(), repr(signature), repr(codegen.magic_tuple()))
        return folder / f"{self._name}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:40]}.bin"


def cache_folder() -> Path | None:
    """ROFORMER_CACHE_DIR or the folder of the user's caches; None where that cannot be trusted."""
    return trusted_folder(f"numba-{numba.__version__}-numpy-{np.__version__}")


def trusted_folder(name: str) -> Path | None:
    """A folder in there that only this user can write to."""
    root = os.environ.get(VARIABLE) or platformdirs.user_cache_dir("roformer-reference", appauthor=False)
    return _prepared(root, name)


@functools.cache
def source_stamp() -> str | None:
    """A digest of every source file that ends up in compiled code; None where the sources cannot be read."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    try:
        # kernels freeze constants of the equations
        for path in sorted([*package.rglob("*.py"), *(package.parent / "equations").glob("*.py")]):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    except OSError:
        return None
    return digest.hexdigest()


@functools.cache
def _prepared(root: str, name: str) -> Path | None:
    folder = Path(root) / name
    try:
        for path in (folder.parent, folder):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            reason = _distrust(path)
            if reason:
                _warn_once(f"{path} is not used for compiled kernels, because {reason}")
                return None
    except (OSError, RuntimeError) as error:
        _warn_once(f"there is no folder for compiled kernels ({error})")
        return None
    return folder


def _distrust(path: Path) -> str | None:
    """Why code in this folder must not be executed, or None."""
    if not hasattr(os, "getuid"):  # Windows keeps a user's folders to the user
        return None
    status = path.stat()
    if status.st_uid != os.getuid():
        return f"it belongs to user {status.st_uid}"
    return "others can write to it" if status.st_mode & OTHERS_WRITE else None


def _warn_once(problem: str) -> None:
    if not _warned:
        _warned.add(problem)
        warnings.warn(
            f"{problem}; every process compiles them anew. {VARIABLE} names another folder",
            RuntimeWarning,
            stacklevel=3,
        )


@functools.cache
def _versions() -> tuple[str, ...]:
    return (
        numba.__version__,
        metadata.version("llvmlite"),
        np.__version__,
        platform.python_version(),
        platform.machine(),
        # sizes of blocks are frozen into compiled code
        INSTRUCTION_SET.name if INSTRUCTION_SET else "",
    )


def _read(path: Path) -> bytes | None:
    content = path.read_bytes()
    digest, payload = content[:DIGEST_SIZE], content[DIGEST_SIZE:]
    return payload if hashlib.sha256(payload).digest() == digest else None


def _write(path: Path, payload: bytes) -> None:
    """Write the whole file or nothing: others may read it, or write it too, at the same time."""
    with _temporary(path) as (descriptor, name):
        with open(descriptor, "wb") as file:
            file.write(hashlib.sha256(payload).digest() + payload)
        os.replace(name, path)


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[tuple[int, str]]:
    descriptor, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    try:
        yield descriptor, name
    finally:
        Path(name).unlink(missing_ok=True)


def _reduce(compiled: Any) -> bytes:
    from numba.core import serialize

    pickler: Any = serialize
    return pickler.dumps(compiled._reduce())


def _rebuild(target_context: Any, payload: bytes) -> Any:
    import pickle

    from numba.core import compiler
    from numba.core.runtime.nrt import rtsys

    # what compiled code calls; numba's refresh() would also read all that is needed for compiling, twice as slow as
    # everything else here, and whoever compiles does it then
    runtime: Any = rtsys
    runtime.initialize(target_context)
    result_type: Any = compiler.CompileResult
    return result_type._rebuild(target_context, *pickle.loads(payload))
