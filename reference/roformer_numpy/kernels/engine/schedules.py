"""The compiled pass: one function for both schedules, because most of what they consist of is the same."""

from __future__ import annotations

from typing import Any

from ..jit import kernel
from .by_columns import by_columns
from .by_rows import by_rows
from .call import Call, laid_out
from .tasks import enter


@kernel
def compute(values: tuple[Any, ...]) -> None:
    """Compute all states of tuple(call); run by any number of threads at once."""
    call = Call(*values)
    thread = enter(call.counters)
    if thread >= call.threads:
        return
    p = laid_out(call)
    if call.few:
        by_columns(p, thread)
    else:
        by_rows(p, thread)
