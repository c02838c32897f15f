"""The schedule for many tokens: blocks of rows go through a whole layer at once.

One phase is attention, output, LayerNorm, feed-forward, LayerNorm and the *next* layer's query, key and value. The
rows of a block stay in the cache of one core, and threads meet once a layer, where attention needs the keys of all
blocks. Two copies of query, key and value take turns, because other blocks still read those of this layer; where keys
and values are kept for later calls, each layer has its own.
"""

from __future__ import annotations

from ...weights import Array
from ..jit import step
from .attention import attend_rows
from .forward import (
    BETA,
    GAMMA,
    HEADS,
    OUTPUT,
    OUTPUT_BIAS,
    QKV,
    SECOND,
    SECOND_BETA,
    SECOND_BIAS,
    SECOND_GAMMA,
    Pass,
    feed_forward,
    lay_out,
    lay_out_past,
    multiply,
    normalize,
    panels_of,
    rows_of,
)  # fmt: skip
from .tasks import finish, take, wait

ROW_STEP = 8  # rows of a block are a multiple of it


@step
def by_rows(p: Pass, thread: int) -> None:
    """Compute all states; run by any number of threads at once. Counters: a phase for each layer and one more."""
    count = p.layers.shape[0]
    for phase in range(count + 1):
        while True:
            block = take(p.counters, phase)
            if block >= p.row_blocks:
                break
            first, last = _first_row(p, block), min(_first_row(p, block + 1), p.states.shape[1])
            if phase > 0:
                _finish_layer(p, phase - 1, thread, first, last)
            if phase < count:
                _begin_layer(p, phase, thread, first, last)
                past = p.past.shape[1]
                lay_out_past(
                    p, phase, thread, block * past // p.row_blocks, (block + 1) * past // p.row_blocks,
                    0, p.layers[phase, HEADS],
                )  # fmt: skip
            finish(p.counters, phase)
        wait(p.counters, phase, p.row_blocks)


@step
def _first_row(p: Pass, block: int) -> int:
    """Blocks differ by at most ROW_STEP rows: threads that take as many of them end together."""
    return block * ((p.states.shape[1] + ROW_STEP - 1) // ROW_STEP) // p.row_blocks * ROW_STEP


@step
def _begin_layer(p: Pass, number: int, thread: int, first: int, last: int) -> None:
    """Query, key and value of layer `number` for the tokens first to last."""
    layer, qkv = p.layers[number], p.qkv[thread]
    x = _state(p, number)[first:last]
    width = 3 * layer[HEADS] * p.query.shape[3]
    given = rows_of(p, thread, last - first, x, x.shape[1])
    multiply(p.kind, last - first, given, layer[QKV], width, 0, panels_of(width), qkv)
    lay_out(p, number, thread, qkv, first, last - first, 0, layer[HEADS])


@step
def _finish_layer(p: Pass, number: int, thread: int, first: int, last: int) -> None:
    """The rest of layer `number` for the same tokens, once the keys of all tokens are there."""
    layer, rows, y, inner = p.layers[number], last - first, p.y[thread], p.inner[thread]
    before, x = _state(p, number)[first:last], _state(p, number + 1)[first:last]
    context, width = p.context[thread], layer[HEADS] * p.query.shape[3]
    attend_rows(p, number, thread, first, last, 0, layer[HEADS], context)
    given = rows_of(p, thread, rows, context, width)
    multiply(p.kind, rows, given, layer[OUTPUT], x.shape[1], 0, panels_of(x.shape[1]), y)
    normalize(layer, OUTPUT_BIAS, GAMMA, BETA, p.eps, rows, y, before, x)
    feed_forward(p, layer, rows, rows_of(p, thread, rows, x, x.shape[1]), inner, 0, panels_of(p.inner_width))
    given = rows_of(p, thread, rows, inner, p.inner_width)
    multiply(p.kind, rows, given, layer[SECOND], x.shape[1], 0, panels_of(x.shape[1]), y)
    normalize(layer, SECOND_BIAS, SECOND_GAMMA, SECOND_BETA, p.eps, rows, y, x, x)


@step
def _state(p: Pass, number: int) -> Array:
    return p.states[min(number, p.states.shape[0] - 1)]
