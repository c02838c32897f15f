"""Where the data that this package ships lies: inside it when installed, beside it in a source checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def spec_file() -> Path:
    """SPEC.md."""
    return _found(_PACKAGE / "SPEC.md", _PACKAGE.parent / "SPEC.md")


def fixtures_folder() -> Path:
    """The folder of golden vectors."""
    return _found(_PACKAGE / "fixtures", _PACKAGE.parent.parent / "fixtures")


def _found(*places: Path) -> Path:
    for place in places:
        if place.exists():
            return place
    raise FileNotFoundError(f"looked for {' and '.join(map(str, places))}; the installation is incomplete")
