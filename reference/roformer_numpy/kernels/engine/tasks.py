"""How threads share one forward pass without waiting for each other to arrive.

A pass is a row of phases, a phase a number of tasks. Whoever comes takes the next task of the phase, and goes on to the
next phase when all tasks of this one are finished. A thread that comes late, or never, costs speed alone: the others do
its share. So no call waits for a thread that is busy elsewhere, and a forked child, which has no such threads, works.

    counters (phases + 1, 16) int64: [phase, 0] tasks taken, [phase, 8] tasks finished; the last row numbers threads
"""

from __future__ import annotations

import numpy as np

from ...weights import Array
from ..jit import part
from .intrinsics import atomic_add, atomic_load, let_others_run

# Looks at the counter before the core is offered to somebody else: a few microseconds, the length of a short phase.
PATIENCE = 2000
INT64_BYTES = 8
FINISHED = 8  # on a cache line of its own


def new_counters(phases: int) -> Array:
    """Counters of one call; a late thread may still read them when the call is over, so they are never used again."""
    return np.zeros((phases + 1, 2 * FINISHED), np.int64)


@part
def enter(counters: Array) -> int:
    """The number of this thread among those that take part."""
    return atomic_add(counters.ctypes.data + INT64_BYTES * (counters.shape[0] - 1) * counters.shape[1], 1)


@part
def take(counters: Array, phase: int) -> int:
    """The next task of the phase; beyond the last one there is nothing left to do."""
    return atomic_add(counters.ctypes.data + INT64_BYTES * phase * counters.shape[1], 1)


@part
def finish(counters: Array, phase: int) -> int:
    """Say that a task is done; returns how many of the phase are."""
    return atomic_add(counters.ctypes.data + INT64_BYTES * (phase * counters.shape[1] + FINISHED), 1) + 1


@part
def wait(counters: Array, phase: int, tasks: int) -> None:
    """Return when all tasks of the phase are finished."""
    address = counters.ctypes.data + INT64_BYTES * (phase * counters.shape[1] + FINISHED)
    looks = 0
    while atomic_load(address) < tasks:
        looks += 1
        if looks > PATIENCE:
            let_others_run()
