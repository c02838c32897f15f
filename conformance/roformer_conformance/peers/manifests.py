"""What is known of a peer: its folder in `roformer_peers`, described by peer.toml."""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..protocol import AdapterError

_NEEDED = ("title", "version", "link", "variable")
_RUNTIMES = ("python", "node")  # one of them, with the versions of the interpreter
_OPTIONAL = ("environment", "exported_by", "profile")


@dataclass(frozen=True)
class Peer:
    """Somebody else's implementation."""

    name: str
    title: str
    version: str
    link: str
    runtime: str  # python or node
    versions: tuple[str, ...]  # of the interpreter, that its packages exist for
    variable: str  # of the environment: a Python that has the packages already, or for Node a folder with node_modules
    folder: Path
    environment: Mapping[str, str]
    exported_by: str = ""  # the peer that makes the files which this one runs; its weights are fixed then
    profile: str = "documented"  # whose behaviours it has at contested points

    @property
    def adapter(self) -> Path:
        """The file that its own interpreter runs."""
        return self.folder / ("adapter.js" if self.runtime == "node" else "adapter.py")

    @property
    def requirements(self) -> Path:
        """The pinned packages of its environment."""
        return self.folder / ("package-lock.json" if self.runtime == "node" else "requirements.txt")

    @property
    def interpreter(self) -> str:
        """What runs it, for people: "Python 3.11, 3.12"."""
        return f"{self.runtime.capitalize()} {', '.join(self.versions)}"

    @property
    def expected(self) -> Path | None:
        """The file of differences that are known, if there is one."""
        path = self.folder / "expected.toml"
        return path if path.exists() else None


@cache
def all_peers() -> Mapping[str, Peer]:
    """Every peer by its name.

    Raises:
        AdapterError: a peer.toml cannot be read, or lacks a field.
    """
    spec = importlib.util.find_spec("roformer_peers")
    folders = spec.submodule_search_locations if spec is not None else None
    paths = [path for folder in folders or () for path in sorted(Path(folder).glob("*/peer.toml"))]
    return MappingProxyType({path.parent.name: read_peer(path) for path in paths})


def read_peer(path: Path) -> Peer:
    """The peer that a peer.toml describes; its name is the folder's.

    Raises:
        AdapterError: the file cannot be read, lacks a field, or has one that is not known.
    """
    try:
        described: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AdapterError(f"{path} cannot be read: {error}") from error
    runtimes = [name for name in _RUNTIMES if name in described]
    if len(runtimes) != 1 or set(described) - {*_OPTIONAL, *runtimes} != set(_NEEDED):
        wanted = f"{', '.join(_NEEDED)}, and {' or '.join(_RUNTIMES)}"
        raise AdapterError(f"{path} has the fields {', '.join(described)}, expected {wanted}")
    versions = tuple(map(str, described.pop(runtimes[0])))
    environment = described.pop("environment", {})
    return Peer(
        path.parent.name,
        folder=path.parent,
        environment=environment,
        runtime=runtimes[0],
        versions=versions,
        **described,
    )


def peer_named(name: str) -> Peer:
    """The peer called `name`.

    Raises:
        AdapterError: there is none.
    """
    if name not in all_peers():
        raise AdapterError(f"no peer is called {name!r}; known are {', '.join(all_peers())}")
    return all_peers()[name]
