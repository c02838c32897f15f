"""Numbers of bytes as people write and read them."""

from __future__ import annotations

import re

from ..errors import InputError

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def bytes_of(text: str) -> int:
    """The number of bytes that `5GB`, `200 MB` or `1000` says.

    Raises:
        InputError: it says none.
    """
    found = re.fullmatch(r"\s*(\d{1,15})\s*([A-Za-z]*)\s*", text, re.ASCII)
    if found is None or found[2].upper() not in _UNITS or int(found[1]) == 0:
        raise InputError(f"{text!r} is no size; write it like 5GB, 200MB or 1000000")
    return int(found[1]) * _UNITS[found[2].upper()]


def shown_bytes(count: float) -> str:
    """The same in the unit that leaves one to three digits before the point."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
