"""The threads that help: they wait for work, run a compiled function without the interpreter's lock, and wait again.

Nobody ever waits for them (see `tasks`), so they may be busy with another call, or be lost in a forked child.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from typing import Any

Work = tuple[Callable[..., Any], tuple[Any, ...]]


class Workers:
    """A queue of work and the threads that take from it, started when they are first needed."""

    def __init__(self) -> None:
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Begin without threads: a forked child has none of its parent's."""
        self._lock, self._started = threading.Lock(), 0
        self._work: queue.SimpleQueue[Work] = queue.SimpleQueue()

    def run(self, threads: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Call function(*arguments) here and offer it to threads − 1 others."""
        self._start(threads - 1)
        for _ in range(threads - 1):
            self._work.put((function, arguments))
        function(*arguments)

    def _start(self, wanted: int) -> None:
        if self._started >= wanted:
            return
        with self._lock:
            while self._started < wanted:
                threading.Thread(target=_serve, args=(self._work,), name="roformer-worker", daemon=True).start()
                self._started += 1


def _serve(work: queue.SimpleQueue[Work]) -> None:
    while True:
        function, arguments = work.get()
        function(*arguments)
        del function, arguments  # the arrays of a call are not kept until the next one


WORKERS = Workers()
