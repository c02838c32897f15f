"""How threads share one forward pass without waiting for each other to arrive.

A pass is cut into tasks, which are counted in groups. Whoever comes takes the next task of a group, and before it needs
what others compute, it waits until so many tasks of a group are finished. A thread that comes late, or never, costs
speed alone: the others do its share. So no call waits for a thread that is busy elsewhere, and a forked child, which
has no such threads, works.

    counters (groups + 1, 16) int64: [group, 0] tasks taken, [group, 8] tasks finished; the last row numbers threads
"""

from __future__ import annotations

import numpy as np

from ...weights import Array
from ..jit import part
from .intrinsics import atomic_add, atomic_load, let_others_run

# Looks at the counter before the core is offered to somebody else: a few microseconds, the length of a short task.
PATIENCE = 2000
INT64_BYTES = 8
FINISHED = 8  # on a cache line of its own


def new_counters(groups: int) -> Array:
    """Counters of one call; a late thread may still read them when the call is over, so they are never used again."""
    return np.zeros((groups + 1, 2 * FINISHED), np.int64)


@part
def enter(counters: Array) -> int:
    """The number of this thread among those that take part."""
    return atomic_add(counters.ctypes.data + INT64_BYTES * (counters.shape[0] - 1) * counters.shape[1], 1)


@part
def take(counters: Array, group: int) -> int:
    """The next task of the group; beyond the last one there is nothing left to do."""
    return atomic_add(counters.ctypes.data + INT64_BYTES * group * counters.shape[1], 1)


@part
def finish(counters: Array, group: int) -> int:
    """Say that a task is done; returns how many of the group are."""
    return atomic_add(counters.ctypes.data + INT64_BYTES * (group * counters.shape[1] + FINISHED), 1) + 1


@part
def wait(counters: Array, group: int, tasks: int) -> None:
    """Return when so many tasks of the group are finished."""
    address = counters.ctypes.data + INT64_BYTES * (group * counters.shape[1] + FINISHED)
    looks = 0
    while atomic_load(address) < tasks:
        looks += 1
        if looks > PATIENCE:
            let_others_run()
