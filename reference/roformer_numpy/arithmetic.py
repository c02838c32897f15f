"""The arithmetics by name; a faster engine will be named here too."""

from __future__ import annotations

from .components import EQUATIONS, Components
from .errors import InputError


def components_named(name: str | Components) -> Components:
    """The table called `name`, "equations" or "kernels"; a table of your own passes through.

    Raises:
        InputError: no table has that name.
    """
    if isinstance(name, Components):
        return name
    if name == "equations":
        return EQUATIONS
    if name == "kernels":
        from .kernels import KERNELS  # numba is imported by those who ask for it

        return KERNELS
    raise InputError(f"components={name!r} is not one of 'kernels', 'equations', or a Components table")
