"""Models that come with this package, by name."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The models in the box."""
    return sorted(path.name for path in FOLDER.iterdir() if (path / "config.json").is_file())


def resolve(model: str | os.PathLike[str]) -> Path:
    """The folder of a model: a folder of this machine where there is one of that name, else a model in the box.

    What is neither comes back as it is, for the loader to refuse; nothing is downloaded.
    """
    given = Path(model)
    return FOLDER / given.name if not given.exists() and os.fspath(model) in names() else given
