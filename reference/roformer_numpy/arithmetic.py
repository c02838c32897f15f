"""The arithmetics by name."""

from __future__ import annotations

import dataclasses

from .components import COMPILED, EQUATIONS, Components
from .errors import InputError


def components_named(name: str | Components) -> Components:
    """The table called `name`; one of your own passes through.

    | name | what |
    |---|---|
    | kernels | compiled components, and the engine for what it serves |
    | components | the same without the engine, in every call |
    | equations | the definition |

    Raises:
        InputError: no table has that name.
    """
    if isinstance(name, Components):
        return name
    if name == "equations":
        return EQUATIONS
    if name in COMPILED:
        from .kernels import KERNELS  # numba is imported by those who ask for it

        return KERNELS if name == KERNELS.name else dataclasses.replace(KERNELS, name=name)
    known = ", ".join(map(repr, (*COMPILED, EQUATIONS.name)))
    raise InputError(f"components={name!r} is not one of {known}, or a Components table")
