"""Where the files lie that this package reads: inside it when installed, beside it in a source checkout."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_PACKAGE = Path(__file__).parent


def spec_file() -> Path:
    """SPEC.md, the statement of every clause.

    Raises:
        FileNotFoundError: it is in neither place; the message names both.
    """
    return _first_existing("SPEC.md", _PACKAGE / "SPEC.md", _PACKAGE.parent / "SPEC.md")


def fixtures_folder() -> Path:
    """The folder of the golden vectors.

    Raises:
        FileNotFoundError: it is in neither place; the message names both.
    """
    return _first_existing("the fixtures", _PACKAGE / "fixtures", _PACKAGE.parents[1] / "fixtures")


def kill_matrix_file() -> Path:
    """The recorded kill matrix, checks × seeded faults."""
    return _PACKAGE / "kill_matrix.jsonl"


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for a moment, in memory where the system has such a place: many checks save and load small models."""
    memory = "/dev/shm"
    return tempfile.TemporaryDirectory(prefix="roformer-", dir=memory if os.access(memory, os.W_OK) else None)


def _first_existing(what: str, *places: Path) -> Path:
    for place in places:
        if place.exists():
            return place
    looked = " and ".join(str(place) for place in places)
    raise FileNotFoundError(f"{what} cannot be found: looked for {looked}; the installation is incomplete")
