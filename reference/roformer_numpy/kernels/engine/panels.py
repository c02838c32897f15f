"""Weights as the micro-kernel reads them: panels of PANEL columns, each row after row.

    matrix (depth, width)  →  panels (⌈width / PANEL⌉, depth, PANEL)

A panel is one stream through memory, which a core fetches at its full rate; the columns that fill up the last panel are
zero. Packing happens once, when a model is first used. Of bfloat16 (see `factors`) a row of a panel is PANEL pairs, so
that there are half as many rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...weights import Array
from ..announcing import announced
from ..jit import kernel, step
from .factors import FLOAT32, PAIR, bfloat16, is_narrow, words_for
from .forward import vector_at
from .intrinsics import halves_at
from .machine import FLOAT_BYTES, LINE, LINE_BYTES, PANEL
from .tasks import finish, new_counters, take, wait
from .workers import WORKERS

NOTHING = np.float32(0.0)

# Of a source that is let go of while it is packed, so many numbers at a time.
STRETCH = 4_000_000
# Fewer numbers than these are packed before another thread would have woken.
SERIAL = 200_000


def panels_for(width: int) -> int:
    """How many panels hold `width` columns."""
    return -(-width // PANEL)


def padded(width: int) -> int:
    """`width` filled up to whole panels."""
    return panels_for(width) * PANEL


def aligned(*shape: int) -> Array:
    """An uninitialised float32 array that begins on a cache line: no vector of it lies in two lines."""
    size = int(np.prod(shape)) * np.dtype(np.float32).itemsize
    room = np.empty(size + LINE_BYTES, np.uint8)
    start = -room.ctypes.data % LINE_BYTES
    return room[start : start + size].view(np.float32).reshape(shape)


def packed(
    matrix: Array, let_go: Callable[[Array], object] | None = None, threads: int = 1, kind: Any = FLOAT32
) -> Array:
    """`matrix` (depth, width) as panels of a kind of factors.

    Args:
        matrix: float32, in whatever order it lies in memory.
        let_go: gets the columns that are not needed again.
        threads: how many may take part.
        kind: of factors.

    Returns:
        (panels, words of the depth, PANEL) float32; pairs of bfloat16 are such by their size alone.
    """
    depth, width = matrix.shape
    panels = aligned(panels_for(width), words_for(depth, kind), PANEL)
    step = max(1, STRETCH // (depth * PANEL)) * PANEL
    for start in range(0, width, step):
        columns = matrix[:, start : start + step]
        some = panels[start // PANEL : panels_for(start + columns.shape[1])]
        wide = empty_panels(depth, columns.shape[1]) if is_narrow(kind) else _cleared(some, columns.shape[1])
        pack_columns(columns, np.arange(columns.shape[1]), 1.0, wide, 0, threads)
        if is_narrow(kind):
            _narrow(wide, some)
        if let_go:
            let_go(columns)
    return panels


def narrowed(panels: Array, kind: Any) -> Array:
    """Panels (panels, depth, PANEL) as they are, or with their columns' numbers in pairs of bfloat16."""
    if not is_narrow(kind):
        return panels
    result = aligned(len(panels), words_for(panels.shape[1], kind), PANEL)
    _narrow(panels, result)
    return result


def _narrow(panels: Array, words: Array) -> None:
    with announced(_narrow_panels):
        _narrow_panels(panels, words)


def empty_panels(depth: int, width: int) -> Array:
    """Room for a matrix (depth, width), with zeros in the columns that fill up the last panel."""
    return _cleared(aligned(panels_for(width), depth, PANEL), width)


def _cleared(panels: Array, width: int) -> Array:
    panels[-1, :, PANEL - (padded(width) - width) :] = 0.0
    return panels


def pack_columns(source: Array, order: Array, scale: Any, panels: Array, at: int, threads: int) -> None:
    """Columns `at` and following of `panels` ← scale · source[:, order].

    Args:
        source: (depth, width) float32, in whatever order it lies in memory.
        order: which columns of it, one after the other, (n,) int64.
        scale: a number of float32.
        panels: `empty_panels` for at least at + n columns.
        at: where the first of them goes.
        threads: how many may take part.
    """
    if min(source.strides) < 0:
        source = source.copy()
    rows, columns = (step // FLOAT_BYTES for step in source.strides)
    arguments = (source.ctypes.data, rows, columns, order, np.float32(scale), panels, at)
    with announced():
        if len(order) * len(source) < SERIAL:
            _pack_columns(new_counters(1), *arguments)
        else:
            WORKERS.run(min(threads, panels_for(len(order))), _pack_columns, (new_counters(1), *arguments))


@kernel
def _pack_columns(
    counters: Array, source: int, row_step: int, column_step: int, order: Array, scale: Any, panels: Array, at: int
) -> None:
    """Run by any number of threads at once. The address of the source, and how far its elements are apart."""
    first, last = at // PANEL, (at + order.shape[0] + PANEL - 1) // PANEL
    while True:
        number = first + take(counters, 0)
        if number >= last:
            break
        start = max(number * PANEL - at, 0)
        stop = min((number + 1) * PANEL - at, order.shape[0])
        _pack_panel(
            source, row_step, column_step, order[start:stop], scale, panels[number], at + start - number * PANEL
        )
        finish(counters, 0)
    wait(counters, 0, last - first)


@step
def _pack_panel(source: int, row_step: int, column_step: int, order: Array, scale: Any, panel: Array, at: int) -> None:
    depth = panel.shape[0]
    for top in range(0, depth, LINE):
        bottom = min(top + LINE, depth)
        for number in range(order.shape[0]):
            column = vector_at(source + FLOAT_BYTES * column_step * order[number], (depth - 1) * row_step + 1)
            for row in range(top, bottom):
                panel[row, at + number] = column[row * row_step] * scale


@kernel
def _narrow_panels(panels: Array, words: Array) -> None:
    """Two rows of `panels` (panels, depth, PANEL) become a row of `words`, (panels, ⌈depth / 2⌉, PANEL)."""
    depth = panels.shape[1]
    for number in range(panels.shape[0]):
        for row in range(words.shape[1]):
            pairs = halves_at(words[number, row].ctypes.data, (PANEL, PAIR))
            for column in range(PANEL):
                pairs[column, 0] = bfloat16(panels[number, PAIR * row, column])
                second = panels[number, PAIR * row + 1, column] if PAIR * row + 1 < depth else NOTHING
                pairs[column, 1] = bfloat16(second)


def lengthened(bias: Array) -> Array:
    """`bias` (width,) with zeros for the columns that fill up the last panel."""
    return np.concatenate([bias, np.zeros(padded(len(bias)) - len(bias), np.float32)], dtype=np.float32)
