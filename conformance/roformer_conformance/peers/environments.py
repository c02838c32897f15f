"""The environments that peers run in: one that a variable names, or one of their own in the user's cache."""

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

Tell = Callable[[str], None]

_DONE = "roformer-requirements.sha256"  # written last: what a finished environment was made of


def silent(line: str) -> None:
    """Tell nobody."""


def cache_folder() -> Path:
    """Where environments and exported files lie."""
    return Path(platformdirs.user_cache_dir("roformer-peers"))


def environment_folder(peer: Peer) -> Path:
    """Where `set_up` puts the peer's environment."""
    return cache_folder() / peer.name


def interpreter_of(peer: Peer) -> Path:
    """What has the peer's packages: a Python, or for Node the folder that holds node_modules.

    Raises:
        AdapterError: it was not set up, or the variable names nothing of the kind.
    """
    named = os.environ.get(peer.variable)
    what = "folder with node_modules" if peer.runtime == "node" else "Python interpreter"
    if named:
        if not (Path(named) / "node_modules").is_dir() if peer.runtime == "node" else not Path(named).is_file():
            raise AdapterError(f"{peer.variable} is {named!r}, which is no file: expected a {what}")
        return Path(named)
    if not is_set_up(peer):
        raise AdapterError(
            f"{peer.name} is not set up: `roformer-conformance peers setup {peer.name}` makes its environment, "
            f"or {peer.variable} names a {what} that has the packages of {peer.requirements}"
        )
    return _place(peer)


def is_set_up(peer: Peer) -> bool:
    """Whether `set_up` has finished, with the requirements of today."""
    done = environment_folder(peer) / _DONE
    return done.is_file() and done.read_text() == fingerprint(peer.requirements)


def start_peer(peer: Peer, export: Path | None = None) -> ProcessAdapter:
    """The peer as an adapter, in its own environment; `export` is the folder of the files that it runs, if it does.

    Raises:
        AdapterError: it was not set up.
        ImplementationDied: it does not start.
    """
    place, environment = interpreter_of(peer), dict(peer.environment)
    if peer.exported_by:
        from .exports import exported  # which asks this module for the exporting peer's environment

        environment["ROFORMER_PEER_EXPORT"] = str(export or exported(peer))
    if peer.runtime == "node":
        environment["NODE_PATH"] = str(place / "node_modules")
        return ProcessAdapter([_base(peer), str(peer.adapter)], environment=environment)
    return ProcessAdapter([str(place), str(Path(kit.__file__)), str(peer.adapter)], environment=environment)


def set_up(peer: Peer, tell: Tell = silent) -> Path:
    """Make the peer's environment anew and install its pinned packages; what pip or npm says goes to `tell`, by line.

    Returns:
        the environment's Python, or for Node the folder that holds node_modules.

    Raises:
        AdapterError: no fitting interpreter is found, or installing fails; the message ends with its last lines.
    """
    folder, base = environment_folder(peer), _base(peer)
    shutil.rmtree(folder, ignore_errors=True)
    tell(f"making {folder} with {base}")
    make = _make_node if peer.runtime == "node" else _make_python
    for line in make(peer, folder, base):
        tell(line)
    (folder / _DONE).write_text(fingerprint(peer.requirements))
    return _place(peer)


def lines_of(
    command: list[str], environment: dict[str, str] | None = None, folder: Path | None = None
) -> Iterator[str]:
    """The lines that a command prints.

    Raises:
        AdapterError: it fails; the message ends with the last of them.
    """
    last: list[str] = []
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    given = {**os.environ, **(environment or {})}
    with subprocess.Popen(command, stdout=pipe, stderr=both, text=True, env=given, cwd=folder) as running:
        for line in running.stdout or ():
            last = [*last[-7:], line.rstrip()]
            yield line.rstrip()
    if running.returncode:
        raise AdapterError(f"{' '.join(command[:4])} … failed with code {running.returncode}:\n" + "\n".join(last))


def fingerprint(*files: Path) -> str:
    """What tells these files' contents from all others."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def _make_python(peer: Peer, folder: Path, base: str) -> Iterator[str]:
    if Path(base) == Path(sys.executable):
        venv.create(folder, with_pip=True)
    else:
        yield from lines_of([base, "-m", "venv", str(folder)])
    install = [str(_place(peer)), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    yield from lines_of([*install, "--requirement", str(peer.requirements)])


def _make_node(peer: Peer, folder: Path, base: str) -> Iterator[str]:
    """The binaries are in the packages: an install script, which would download more, is not run."""
    npm = shutil.which("npm")
    if npm is None:
        raise AdapterError(f"{peer.name} needs npm, which is not on the path")
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(peer.folder / name, folder / name)
    yield from lines_of([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder=folder)


def _base(peer: Peer) -> str:
    """An interpreter of one of the peer's versions: for Python this one if it fits, else the first on the path."""
    if peer.runtime == "node":
        return _node(peer)
    if f"{sys.version_info.major}.{sys.version_info.minor}" in peer.versions:
        return sys.executable
    for version in peer.versions:
        found = shutil.which(f"python{version}")
        if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
            return found
    raise AdapterError(f"{peer.name} needs Python {' or '.join(peer.versions)}: none of them is on the path")


def _node(peer: Peer) -> str:
    found = shutil.which("node")
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout if found else ""
    if found is None or told.strip().removeprefix("v").partition(".")[0] not in peer.versions:
        there = f"there is {told.strip()}" if told else "there is none"
        raise AdapterError(f"{peer.name} needs Node {' or '.join(peer.versions)} on the path: {there}")
    return found


def _place(peer: Peer) -> Path:
    folder = environment_folder(peer)
    if peer.runtime == "node":
        return folder
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
