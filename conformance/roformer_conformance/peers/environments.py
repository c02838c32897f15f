"""The environments that peers run in: one that a variable names, or a virtual environment in the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs

from .. import kit
from ..process import ProcessAdapter
from ..protocol import AdapterError
from .manifests import Peer

_DONE = "roformer-requirements.sha256"  # written last: what a finished environment was made of


def environment_folder(peer: Peer) -> Path:
    """Where `set_up` puts the peer's environment."""
    return Path(platformdirs.user_cache_dir("roformer-peers")) / peer.name


def interpreter_of(peer: Peer) -> Path:
    """The Python that has the peer's packages.

    Raises:
        AdapterError: it was not set up, or the variable names no file.
    """
    named = os.environ.get(peer.variable)
    if named:
        if not Path(named).is_file():
            raise AdapterError(f"{peer.variable} is {named!r}, which is no file: expected a Python interpreter")
        return Path(named)
    if not is_set_up(peer):
        raise AdapterError(
            f"{peer.name} is not set up: `roformer-conformance peers setup {peer.name}` makes its environment, "
            f"or {peer.variable} names a Python that has the packages of {peer.requirements}"
        )
    return _python(environment_folder(peer))


def is_set_up(peer: Peer) -> bool:
    """Whether `set_up` has finished, with the requirements of today."""
    done = environment_folder(peer) / _DONE
    return done.is_file() and done.read_text() == _fingerprint(peer)


def start_peer(peer: Peer) -> ProcessAdapter:
    """The peer as an adapter, in its own environment.

    Raises:
        AdapterError: it was not set up.
        ImplementationDied: it does not start.
    """
    return ProcessAdapter(
        [str(interpreter_of(peer)), str(Path(kit.__file__)), str(peer.adapter)], environment=peer.environment
    )


def set_up(peer: Peer, tell: Callable[[str], None] = lambda line: None) -> Path:
    """Make the peer's environment anew and install its pinned packages; what pip says goes to `tell`, line by line.

    Returns:
        the environment's Python.

    Raises:
        AdapterError: no fitting Python is found, or pip fails; the message ends with pip's last lines.
    """
    folder = environment_folder(peer)
    base = _base_python(peer)
    shutil.rmtree(folder, ignore_errors=True)
    tell(f"making {folder} with {base}")
    if Path(base) == Path(sys.executable):
        venv.create(folder, with_pip=True)
    else:
        list(_lines([base, "-m", "venv", str(folder)]))
    install = [str(_python(folder)), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    for line in _lines([*install, "--requirement", str(peer.requirements)]):
        tell(line)
    (folder / _DONE).write_text(_fingerprint(peer))
    return _python(folder)


def _base_python(peer: Peer) -> str:
    """An interpreter of one of the peer's versions: this one if it fits, else the first on the path."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" in peer.python:
        return sys.executable
    for version in peer.python:
        found = shutil.which(f"python{version}")
        if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
            return found
    raise AdapterError(f"{peer.name} needs Python {' or '.join(peer.python)}: none of them is on the path")


def _lines(command: list[str]) -> Iterator[str]:
    """The lines that a command prints."""
    last: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        for line in running.stdout or ():
            last = [*last[-7:], line.rstrip()]
            yield line.rstrip()
    if running.returncode:
        raise AdapterError(f"{' '.join(command[:4])} … failed with code {running.returncode}:\n" + "\n".join(last))


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _fingerprint(peer: Peer) -> str:
    return hashlib.sha256(peer.requirements.read_bytes()).hexdigest()
