"""Memory that a call needs while it lasts, and from which compiled code cuts arrays."""

from __future__ import annotations

from ...weights import Array
from ..jit import part
from .machine import FLOAT_BYTES, LINE


@part
def line(memory: Array, start: int) -> int:
    """The first place of float32 memory, from `start` on, that begins a cache line."""
    return start + (-(memory.ctypes.data // FLOAT_BYTES + start)) % LINE
