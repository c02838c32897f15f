"""One line for somebody who waits at a terminal while the engine is compiled for the first time on a machine."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from numba.core import event as _event

event: Any = _event  # untyped in numba

MESSAGE = "roformer: compiling the engine for this processor, once; `roformer warm-up` does it ahead"


class _Announcer(event.Listener):  # type: ignore[misc]  # untyped in numba
    """Listens to numba; speaks at the first compilation, and only then."""

    def __init__(self) -> None:
        self.silent = False

    def on_start(self, _occasion: Any) -> None:
        """A compilation starts."""
        if not self.silent:
            self.silent = True
            print(MESSAGE, file=sys.stderr, flush=True)

    def on_end(self, _occasion: Any) -> None:
        """A compilation ends, of which nobody needs to hear."""


_announcer: Any = _Announcer()


class _Announcing(AbstractContextManager[None]):
    """The announcer listens inside."""

    def __enter__(self) -> None:
        event.register("numba:compile", _announcer)

    def __exit__(self, *error: object) -> None:
        event.unregister("numba:compile", _announcer)


_NOT_ANNOUNCING = nullcontext()


def announced(kernel: Any = None) -> AbstractContextManager[None]:
    """Say on a terminal when something is compiled inside; a function found on disk is not.

    Args:
        kernel: what is called inside, and asks for no announcement once it is compiled; None: anything.
    """
    if kernel is not None and kernel.overloads:  # asking for a terminal takes longer
        return _NOT_ANNOUNCING
    return _NOT_ANNOUNCING if _announcer.silent or not sys.stderr.isatty() else _Announcing()
