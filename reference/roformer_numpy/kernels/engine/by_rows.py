"""The schedule for many tokens: blocks of rows go through a whole layer at once.

One task is attention, output, LayerNorm, feed-forward, LayerNorm and the *next* layer's query, key and value of a
block, whose rows stay in the cache of one core. Attention needs the keys of all blocks that hold tokens of the same
sequences, so it waits for those and for no others: where there are several, a thread that is behind is not waited for
at every layer. Two copies of key and value take turns, because other blocks still read those of this layer; where they
are kept for later calls, each layer has its own.
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
    """Compute all states; run by any number of threads at once.

    Counters: a group for each block, in which its tasks are finished one by one; all are taken from the first group.
    What a task waits for was taken before it, so somebody is at it.
    """
    count, blocks = p.layers.shape[0], p.row_blocks
    while True:
        task = take(p.counters, 0)
        phase, block = task // blocks, task % blocks
        if phase > count:
            break
        first, last = _first_row(p, block), _first_row(p, block + 1)
        if phase > 0:
            _wait_for_keys(p, block, phase)
            _finish_layer(p, phase - 1, thread, first, last)
        if phase < count:
            _begin_layer(p, phase, thread, first, last)
            past = p.past.shape[1]
            lay_out_past(
                p, phase, thread, block * past // blocks, (block + 1) * past // blocks, 0, p.layers[phase, HEADS]
            )
        finish(p.counters, block)
    for block in range(blocks):
        wait(p.counters, block, count + 1)


@step
def _wait_for_keys(p: Pass, block: int, phase: int) -> None:
    """Return when all blocks are done with earlier phases that hold tokens of this one's sequences, or lay out theirs.

    Then their keys are there, and nobody reads those of the layer before any more.
    """
    first, last, shared = block, block + 1, p.past.shape[1] > 0
    oldest, newest = p.sequence_of[_first_row(p, first)], p.sequence_of[_first_row(p, last) - 1]
    while first > 0 and (shared or p.sequence_of[_first_row(p, first) - 1] == oldest):
        first -= 1
    while last < p.row_blocks and (shared or p.sequence_of[_first_row(p, last)] == newest):
        last += 1
    for other in range(first, last):
        wait(p.counters, other, phase)


@step
def _first_row(p: Pass, block: int) -> int:
    """Blocks differ by at most ROW_STEP rows: threads that take as many of them end together."""
    rows = p.states.shape[1]
    return min(block * ((rows + ROW_STEP - 1) // ROW_STEP) // p.row_blocks * ROW_STEP, rows)


@step
def _begin_layer(p: Pass, number: int, thread: int, first: int, last: int) -> None:
    """Query, key and value of layer `number` for the tokens first to last."""
    layer, qkv = p.layers[number], p.qkv[thread]
    x = _state(p, number)[first:last]
    width = 3 * layer[HEADS] * p.query.shape[2]
    given = rows_of(p, thread, last - first, x, x.shape[1])
    multiply(p.kind, last - first, given, layer[QKV], width, 0, panels_of(width), qkv)
    lay_out(p, number, thread, qkv, first, last - first, 0, layer[HEADS])


@step
def _finish_layer(p: Pass, number: int, thread: int, first: int, last: int) -> None:
    """The rest of layer `number` for the same tokens, once the keys of all tokens are there."""
    layer, rows, y, inner = p.layers[number], last - first, p.y[thread], p.inner[thread]
    before, x = _state(p, number)[first:last], _state(p, number + 1)[first:last]
    context, width = p.context[thread], layer[HEADS] * p.query.shape[2]
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
