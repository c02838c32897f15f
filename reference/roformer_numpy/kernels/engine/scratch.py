"""Memory that a call needs while it lasts, and from which compiled code cuts arrays."""

from __future__ import annotations

import weakref

import numpy as np

from ...weights import Array
from ..jit import part
from .machine import FLOAT_BYTES, LINE

# What a call has used is kept for the next one, between these sizes: the allocator keeps less by itself, and gives more
# back to the system, which fills it with zeros page by page when it is asked for again. Right after a call that costs
# little; on a virtual machine that rested for two seconds it took a tenth of a call of 4×512, a thirtieth of 1×1536.
LEAST_BYTES, MOST_BYTES = 2**22, 2**28


class Scratch:
    """One piece of memory that calls use one after the other; who comes while it is lent gets another."""

    def __init__(self) -> None:
        self._kept: list[Array] = []

    def lend(self, zeros: int, others: int) -> tuple[Array, Array]:
        """So many float32 numbers that are 0, and others of whatever value.

        Both are lent until nobody holds the second: helpers may look at them when a call is over.
        """
        count = zeros + others
        keeps = LEAST_BYTES <= FLOAT_BYTES * count <= MOST_BYTES
        piece = self._piece(count) if keeps else np.empty(count, np.float32)
        cleared, lent = piece[:zeros], piece[zeros:count]
        cleared[:] = 0.0
        if keeps:
            weakref.finalize(lent, self._take_back, piece).atexit = False
        return cleared, lent

    def _piece(self, count: int) -> Array:
        try:
            piece = self._kept.pop()
        except IndexError:
            return np.empty(count, np.float32)
        if piece.size < count:
            del piece  # before more is asked for
            piece = np.empty(count, np.float32)
        return piece

    def _take_back(self, piece: Array) -> None:
        if not self._kept or self._kept[0].size < piece.size:
            self._kept[:] = [piece]


SCRATCH = Scratch()


@part
def line(memory: Array, start: int) -> int:
    """The first place of float32 memory, from `start` on, that begins a cache line."""
    return start + (-(memory.ctypes.data // FLOAT_BYTES + start)) % LINE
