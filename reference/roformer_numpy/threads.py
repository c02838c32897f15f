"""How many threads compute: the user's wish, or as many as this process may use cores.

Two hardware threads of a core share its multipliers, which one thread of ours keeps busy, so a core counts once. A
container's quota of time counts too: a thread beyond it is stopped while the others wait for it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .errors import InputError

VARIABLE = "ROFORMER_NUM_THREADS"
SYSTEM = Path("/")


def thread_count() -> int:
    """ROFORMER_NUM_THREADS, or as many cores as this process may run on.

    Raises:
        InputError: the variable is no positive integer.
    """
    wish = os.environ.get(VARIABLE)
    if not wish:
        return usable_cores()
    if not wish.isdecimal() or not 1 <= int(wish) <= 1024:
        raise InputError(f"{VARIABLE}={wish!r} is no number of threads from 1 to 1024")
    return int(wish)


def usable_cores() -> int:
    """Physical cores among the processors that this process may run on now, no more than its quota of time.

    Where the system does not say which processors those are (it is not Linux), as many as it has hardware threads.
    """
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    return _usable_cores(frozenset(os.sched_getaffinity(0)))


@functools.cache
def _usable_cores(processors: frozenset[int]) -> int:
    return cores_of(processors, time_quota())


def cores_of(processors: frozenset[int], quota: float | None, system: Path = SYSTEM) -> int:
    """Cores that the processors belong to, each counted once, and no more than a quota of whole ones, but one."""
    cores = {_siblings(number, system) for number in processors}
    return max(1, min(len(cores), int(len(cores) if quota is None else quota)))


def _siblings(number: int, system: Path) -> str:
    """The processors of the same core as the system writes them; the number alone where it does not."""
    with suppress(OSError):
        return (system / f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list").read_text().strip()
    return str(number)


def time_quota(system: Path = SYSTEM) -> float | None:
    """How many processors' time the control groups of this process allow it, of version 1 or 2; None: all there is."""
    return min(_quotas(system), default=None)


def _quotas(system: Path) -> Iterator[float]:
    for folder in _group_folders(system):
        with suppress(OSError, ValueError):  # "max" is no number
            quota, period = (folder / "cpu.max").read_text().split()
            yield int(quota) / int(period)
        with suppress(OSError, ValueError):
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            if int(quota) > 0:
                yield int(quota) / int(period)


def _group_folders(system: Path) -> Iterator[Path]:
    """Folders of the groups that the process is in, each with those above it; a container may see the last alone."""
    with suppress(OSError):
        for line in (system / "proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if not controllers or "cpu" in controllers.split(","):
                home = system / "sys/fs/cgroup" / ("cpu" if controllers else "")
                inside = home / group.lstrip("/")
                yield from (inside, *(above for above in inside.parents if above.is_relative_to(home)))
