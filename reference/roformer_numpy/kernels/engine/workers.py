"""The threads that help: they wait for work, run a compiled function without the interpreter's lock, and wait again.

Nobody ever waits for them (see `tasks`), so they may be busy with another call, or be lost in a forked child.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from typing import Any

Work = tuple[Callable[..., Any], tuple[Any, ...]]

# One piece of work, or nothing any more once it is done: helpers that are busy must not keep a finished call's arrays.
Offer = list[Work]


class Workers:
    """A queue of work and the threads that take from it, started when they are first needed."""

    def __init__(self) -> None:
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Begin without threads: a forked child has none of its parent's."""
        self._lock, self._started = threading.Lock(), 0
        self._work: queue.SimpleQueue[Offer] = queue.SimpleQueue()

    def run(self, threads: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Call function(*arguments) here and offer it to threads − 1 others."""
        if threads == 1:
            function(*arguments)
            return
        self._start(threads - 1)
        offer = [(function, arguments)]
        for _ in range(threads - 1):
            self._work.put(offer)
        try:
            function(*arguments)
        finally:
            offer.clear()

    def _start(self, wanted: int) -> None:
        if self._started >= wanted:
            return
        # where no more threads can be had, or none any more because Python ends, the others do their share
        with self._lock, contextlib.suppress(RuntimeError):
            while self._started < wanted:
                threading.Thread(target=_serve, args=(self._work,), name="roformer-worker", daemon=True).start()
                self._started += 1


def _serve(work: queue.SimpleQueue[Offer]) -> None:
    while True:
        for function, arguments in tuple(work.get()):
            function(*arguments)
            del function, arguments  # the arrays of a call are not kept until the next one


WORKERS = Workers()
