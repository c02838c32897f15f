"""Memory that a call needs while it lasts, and from which compiled code cuts arrays."""

from __future__ import annotations

from ...weights import Array
from ..jit import part
from .products import FLOAT_BYTES

# Floats of a cache line: in an array that begins with one, no vector lies in two.
LINE = 64 // FLOAT_BYTES


@part
def line(memory: Array, start: int) -> int:
    """The first place of float32 memory, from `start` on, that begins a cache line."""
    return start + (-(memory.ctypes.data // FLOAT_BYTES + start)) % LINE
