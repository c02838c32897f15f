"""The one place that says how kernels are compiled and where compiled code is kept.

Kernels are serial and release the interpreter lock: numba's parallel loops abort when two threads enter them
(workqueue) or when a process forks after them (omp), while threads of our own over serial kernels survive both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba import types

from .cache import KernelCache

# What would let Python call a piece by itself: taking a whole pass apart is more code than the piece.
UNREACHABLE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# NumPy's error model returns inf and nan where Python would raise, and only so do loops with divisions vectorise.
# Nobody counts who holds an array (`_nrt`): no kernel makes one, and Python keeps what it handed over. Counting was 40%
# of the compiled time of a tiny model, and threads met at the counts: 3% at 1536 tokens. So what stays a function of
# its own returns no array; a `step` may.
EVERYWHERE = {"nogil": True, "error_model": "numpy", "_nrt": False}

F = TypeVar("F", bound=Callable[..., Any])

# A fused multiply-add rounds once instead of twice and leaves NaN and infinity alone. Of the other fast-math flags,
# nnan and ninf would make them undefined, and reassoc would cancel the (x + c) − c that `elementary` rounds with.
FASTMATH = frozenset({"contract"})

# A sum may be taken in any order; without the permission it is not vectorised.
FASTMATH_SUM = frozenset({"contract", "reassoc", "nsz"})


def kernel(function: F) -> F:
    """A loop over arrays: compiled at its first call with a type, kept on disk, `.py_func` is the loop itself."""
    compiled = _compiled(function, FASTMATH, forceinline=False)
    if hasattr(compiled, "_cache"):
        compiled._cache = KernelCache(function)
    return compiled


def inlined(function: F) -> F:
    """A function of scalars that kernels call; compiled into them, so it is not kept on disk by itself."""
    return _compiled(function, FASTMATH, forceinline=True)


def summation(function: F) -> F:
    """An `inlined` function that adds: sums made with it may be taken in any order."""
    return _compiled(function, FASTMATH_SUM, forceinline=True)


def part(function: F) -> F:
    """A piece of a kernel that stays a function of its own in the compiled code; kept on disk with its kernel.

    Only compiled code may call it: there is nothing in it for the interpreter to enter by.
    """
    compiled = _compiled(function, FASTMATH, forceinline=False, **UNREACHABLE)
    if hasattr(compiled, "get_call_template"):
        _compile_numbers_alike(compiled)
    return compiled


def step(function: F) -> F:
    """A piece of a kernel that is written into whoever calls it before anything is compiled.

    A `part` costs compiling twice, by itself and again inside of everything above it: what is called from one place
    and is mostly calls is a step.
    """
    return _compiled(function, FASTMATH, forceinline=False, inline="always", **UNREACHABLE)


def _compile_numbers_alike(compiled: Any) -> None:
    """Keep numba from compiling a piece anew for every number that a call spells out."""
    template_for, unliteral = compiled.get_call_template, cast(Any, types.unliteral)

    def for_any_number(args: tuple[Any, ...], kws: Any) -> Any:
        kinds = (unliteral(kind) for kind in args)
        return template_for(tuple(types.int64 if kind == types.uint64 else kind for kind in kinds), kws)

    compiled.get_call_template = for_any_number


def _compiled(function: F, fastmath: frozenset[str], forceinline: bool, **options: Any) -> F:
    # a loop that calls a function does not vectorise, and without being forced LLVM would call erf
    loop: Any = function
    njit: Any = numba.njit
    compiled = njit(fastmath=set(fastmath), forceinline=forceinline, **EVERYWHERE, **options)(loop)
    if compiled is loop:  # NUMBA_DISABLE_JIT: there is nothing but the loop
        loop.py_func = loop
    return compiled
