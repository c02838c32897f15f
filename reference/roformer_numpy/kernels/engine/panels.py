"""Weights as the micro-kernel reads them: panels of PANEL columns, each row after row.

    kernel (depth, width)  →  panels (⌈width / PANEL⌉, depth, PANEL)

A panel is one stream through memory, which a core fetches at its full rate; the columns that fill up the last panel are
zero. Packing happens once, when a model is first used.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...weights import Array
from .machine import PANEL

LINE_BYTES = 64


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


def packed(kernel: Array, let_go: Callable[[Array], object] | None = None) -> Array:
    """`kernel` (depth, width) as panels (panels, depth, PANEL); `let_go` gets the columns that are not needed again."""
    depth, width = kernel.shape
    panels = aligned(panels_for(width), depth, PANEL)
    for number in range(len(panels)):
        columns = kernel[:, number * PANEL : (number + 1) * PANEL]
        panels[number, :, : columns.shape[1]] = columns
        panels[number, :, columns.shape[1] :] = 0.0
        if let_go:
            let_go(columns)
    return panels


def lengthened(bias: Array) -> Array:
    """`bias` (width,) with zeros for the columns that fill up the last panel."""
    return np.concatenate([bias, np.zeros(padded(len(bias)) - len(bias), np.float32)], dtype=np.float32)
