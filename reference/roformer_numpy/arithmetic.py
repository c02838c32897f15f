"""The arithmetics by name, and what the products of the fastest multiply."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from .components import COMPILED, EQUATIONS, WITH_ENGINE, Components
from .errors import InputError, shown

# What products multiply: float32, or bfloat16 with sums in float32: two to three digits, 1.5 to 1.8 times as fast.
FULL = "float32"
COMPUTE = (FULL, "bfloat16")


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


def checked_compute(compute: Any, dtype: np.dtype[Any], components: Components) -> str:
    """How the engine multiplies: "float32", or "bfloat16" where processor, weights and components allow it.

    Raises:
        InputError: it is neither, or something speaks against bfloat16.
    """
    if not isinstance(compute, str) or compute not in COMPUTE:
        raise InputError(f"compute={shown(compute)} is not one of {', '.join(map(repr, COMPUTE))}")
    if compute != FULL:
        if dtype != np.float32 or components.name != WITH_ENGINE:
            given = f"dtype={dtype.name!r} and components={components.name!r}"
            raise InputError(f"compute={compute!r} needs dtype='float32' and components='kernels', not {given}")
        from .kernels.engine.machine import HAS_BFLOAT16

        if not HAS_BFLOAT16:
            raise InputError(
                f"compute={compute!r} needs a processor with AVX512-BF16 and the engine in its AVX-512 form; "
                f"this one, as it is used here, has not: leave compute='{FULL}'"
            )
    return compute
