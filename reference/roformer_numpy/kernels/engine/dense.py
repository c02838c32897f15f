"""One product over packed weights with what follows it: bias, activation, LayerNorm.

Heads, and the projection of embeddings, are such products. Threads share them by groups of panels; with many rows also
by blocks of rows, the blocks of one group one after the other, so that its panels are read from memory once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...weights import Array
from ..announcing import announced
from ..arrays import FLOAT32 as FLOAT32_TYPE
from ..arrays import readable
from ..jit import kernel, step
from .activating import BY_NOTHING, PLAIN_ACTIVATIONS, Activation, activate
from .factors import FLOAT32, is_narrow, narrow, words_for
from .machine import FLOAT_BYTES, LINE, PANEL
from .panels import lengthened, packed, panels_for
from .products import multiply_columns
from .rows import add, copy, normalize_row
from .scratch import line
from .tasks import enter, finish, new_counters, take, wait
from .workers import WORKERS

# Of a task: enough panels that a row is written in long strips, few enough that they stay in the second-level cache.
SHARE, BLOCK_ROWS = 4, 128
# Products that are narrower than this many groups are shared panel by panel.
FEW_GROUPS = 16
NORM_ROWS = 16


@dataclass(frozen=True)
class PackedDense:
    """A packed matrix (depth, width) and its bias."""

    panels: Array
    bias: Array
    width: int
    kind: Any = FLOAT32  # of factors

    @functools.cached_property
    def address(self) -> int:
        """Of the panels."""
        return int(self.panels.ctypes.data)

    @classmethod
    def of(
        cls, matrix: Array, bias: Array, let_go: Callable[[Array], object] | None = None, threads: int = 1,
        kind: Any = FLOAT32,
    ) -> PackedDense:  # fmt: skip
        """Pack a matrix (depth, width), in whatever order it lies in memory, and its bias (width,); see `packed`."""
        return cls(packed(matrix, let_go, threads, kind), lengthened(bias), len(bias), kind)


class Product(NamedTuple):
    """One product and what follows; n rows."""

    counters: Array
    kind: Any  # of factors
    x: Array  # (n, words of the depth)
    panels: int  # their address
    bias: Array  # (width in whole panels,)
    activation: tuple[Any, ...]  # Activation
    gamma: Array  # (width,), or (0,) where nothing is normalized
    beta: Array
    eps: float
    share: int  # panels of a task
    scratch: Array  # a line and (threads, rows of a block, share · PANEL)
    block_rows: int
    threads: int
    result: Array  # (n, width)


def run_dense(
    x: Array, weights: PackedDense, threads: int, activation: str = "", norm: tuple[Array, Array, float] | None = None
) -> Array:
    """LayerNorm(activation(x · matrix + bias)), the last two where they are asked for.

    Args:
        x: (…, depth) float32.
        weights: the packed product.
        threads: how many may take part; the result does not depend on it.
        activation: hidden_act, or nothing.
        norm: gamma, beta and eps.

    Returns:
        (…, width) float32.
    """
    rows = readable(x, FLOAT32_TYPE).reshape(-1, x.shape[-1])
    result = np.empty((len(rows), weights.width), np.float32)
    if len(rows):
        share = SHARE if panels_for(weights.width) >= FEW_GROUPS * SHARE else 1
        block = min(BLOCK_ROWS, len(rows))
        threads = min(threads, -(-panels_for(weights.width) // share) * -(-len(rows) // block))
        gamma, beta, eps = (
            (readable(norm[0], FLOAT32_TYPE), readable(norm[1], FLOAT32_TYPE), norm[2]) if norm else _NO_NORM
        )
        product = Product(
            new_counters(2), weights.kind, _words(rows, weights.kind), weights.address, weights.bias,
            PLAIN_ACTIVATIONS[activation], gamma, beta, float(eps), share,
            np.empty(threads * block * share * PANEL + LINE, np.float32), block, threads, result,
        )  # fmt: skip
        with announced(multiply_all):
            WORKERS.run(threads, multiply_all, (tuple(product),))
    return result.reshape(*x.shape[:-1], weights.width)


def _words(x: Array, kind: Any) -> Array:
    """Rows as products read them."""
    if not is_narrow(kind):
        return x
    words = np.empty((len(x), words_for(x.shape[1], kind)), np.float32)
    with announced(_narrow_rows):
        _narrow_rows(x, words)
    return readable(words, FLOAT32_TYPE)


@kernel
def _narrow_rows(x: Array, words: Array) -> None:
    narrow(x.shape[0], x.ctypes.data, x.shape[1], x.shape[1], words.ctypes.data, words.shape[1])


_NOTHING = readable(np.empty(0, np.float32), np.float32)
_NO_NORM = (_NOTHING, _NOTHING, 0.0)


@kernel
def multiply_all(values: tuple[Any, ...]) -> None:
    """Compute `result` of tuple(product), run by any number of threads at once. Counters: the product, LayerNorm."""
    p = Product(*values)
    thread = enter(p.counters)
    if thread >= p.threads:
        return
    rows, width = p.result.shape
    blocks = (rows + p.block_rows - 1) // p.block_rows
    size = p.block_rows * p.share * PANEL
    start = line(p.scratch, 0) + thread * size
    scratch = p.scratch[start : start + size].reshape(p.block_rows, p.share * PANEL)
    tasks = blocks * ((width + p.share * PANEL - 1) // (p.share * PANEL))
    while True:
        task = take(p.counters, 0)
        if task >= tasks:
            break
        _multiply_group(p, scratch, task // blocks * p.share, task % blocks * p.block_rows)
        finish(p.counters, 0)
    wait(p.counters, 0, tasks)
    if p.gamma.shape[0]:
        _normalize_all(p)


@step
def _multiply_group(p: Product, scratch: Array, panel: int, first: int) -> None:
    """The panels from `panel` on for the rows from `first` on; a block of scratch is copied to where it belongs.

    A bias that nothing follows is added on the way.
    """
    depth, width = p.x.shape[1], p.result.shape[1]
    rows, start = min(scratch.shape[0], p.x.shape[0] - first), panel * PANEL
    columns = min(p.share * PANEL, width - start)
    for number in range((columns + PANEL - 1) // PANEL):
        weights = p.panels + FLOAT_BYTES * (panel + number) * depth * PANEL
        target = scratch.ctypes.data + FLOAT_BYTES * number * PANEL
        rest = columns - number * PANEL
        multiply_columns(p.kind, rows, p.x[first:].ctypes.data, depth, weights, target, scratch.shape[1], depth, rest)
        if p.activation[0] != BY_NOTHING:
            activate(Activation(*p.activation), scratch, rows, number * PANEL, p.bias[start:])
    bias, scratch_row, row_bytes = (
        p.bias.ctypes.data + FLOAT_BYTES * start,
        FLOAT_BYTES * scratch.shape[1],
        FLOAT_BYTES * width,
    )
    for row in range(rows):
        source = scratch.ctypes.data + scratch_row * row
        result = p.result.ctypes.data + row_bytes * (first + row) + FLOAT_BYTES * start
        if p.activation[0] != BY_NOTHING:
            copy(source, result, columns)
        else:
            add(source, bias, result, columns, source + scratch_row, result + row_bytes)


@step
def _normalize_all(p: Product) -> None:
    rows = p.result.shape[0]
    tasks = (rows + NORM_ROWS - 1) // NORM_ROWS
    while True:
        task = take(p.counters, 1)
        if task >= tasks:
            break
        for row in range(task * NORM_ROWS, min((task + 1) * NORM_ROWS, rows)):
            x = p.result[row].ctypes.data
            normalize_row(x, p.gamma.ctypes.data, p.beta.ctypes.data, p.eps, x, p.result.shape[1])
        finish(p.counters, 1)
    wait(p.counters, 1, tasks)
