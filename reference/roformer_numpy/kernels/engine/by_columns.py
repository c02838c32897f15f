"""The schedule for few tokens: threads share the panels of every product.

Few tokens make too few blocks of rows, and nearly all time goes into reading the weights once: each thread reads its
share. The threads meet after every product, which with few tokens costs less than idle cores.
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

PHASES = 5

# Panels of a task: enough work that taking it costs nothing, little enough that the threads end together.
QKV_SHARE, OUTPUT_SHARE, INTERMEDIATE_SHARE, SECOND_SHARE = 4, 2, 4, 1


@step
def by_columns(p: Pass, thread: int) -> None:
    """Compute all states; run by any number of threads at once. Counters: PHASES phases for each layer."""
    last = p.states.shape[0] - 1
    for number in range(p.layers.shape[0]):
        phase, layer = PHASES * number, p.layers[number]
        before, x = p.states[min(number, last)], p.states[min(number + 1, last)]
        width = layer[HEADS] * p.query.shape[2]
        _share_product(p, phase, thread, before, layer[QKV], 3 * width, QKV_SHARE, p.qkv[0])
        _share_heads(p, phase + 1, number, thread)
        norm = (OUTPUT_BIAS, GAMMA, BETA)
        _share_output(p, phase + 2, thread, layer, p.context[0], width, layer[OUTPUT], OUTPUT_SHARE, norm, before, x)
        _share_intermediate(p, phase + 3, thread, layer, x)
        norm = (SECOND_BIAS, SECOND_GAMMA, SECOND_BETA)
        _share_output(p, phase + 4, thread, layer, p.inner[0], p.inner_width, layer[SECOND], SECOND_SHARE, norm, x, x)


@step
def _share_product(p: Pass, phase: int, thread: int, x: Array, panels: int, width: int, share: int, c: Array) -> None:
    rows, tasks, given = x.shape[0], _tasks(width, share), rows_of(p, thread, x.shape[0], x, x.shape[1])
    while True:
        task = take(p.counters, phase)
        if task >= tasks:
            break
        multiply(p.kind, rows, given, panels, width, task * share, _end(task, share, width), c)
        finish(p.counters, phase)
    wait(p.counters, phase, tasks)


@step
def _share_heads(p: Pass, phase: int, number: int, thread: int) -> None:
    rows, layer = p.states.shape[1], p.layers[number]
    while True:
        head = take(p.counters, phase)
        if head >= layer[HEADS]:
            break
        if p.past.shape[1] > 0:
            lay_out_past(p, number, thread, 0, p.past.shape[1], head, head + 1)
        lay_out(p, number, thread, p.qkv[0], 0, rows, head, head + 1)
        attend_rows(p, number, thread, 0, rows, head, head + 1, p.context[0])
        finish(p.counters, phase)
    wait(p.counters, phase, layer[HEADS])


@step
def _share_output(
    p: Pass, phase: int, thread: int, layer: Array, a: Array, depth: int, panels: int, share: int,
    norm: tuple[int, int, int], residual: Array, x: Array,
) -> None:  # fmt: skip
    """x ← LayerNorm(a · panels + bias + residual); who ends the product normalizes, the others would only wait."""
    rows, tasks = x.shape[0], _tasks(x.shape[1], share)
    given = rows_of(p, thread, rows, a, depth)
    while True:
        task = take(p.counters, phase)
        if task >= tasks:
            break
        multiply(p.kind, rows, given, panels, x.shape[1], task * share, _end(task, share, x.shape[1]), p.y[0])
        if finish(p.counters, phase) == tasks:
            normalize(layer, norm[0], norm[1], norm[2], p.eps, rows, p.y[0], residual, x)
            finish(p.counters, phase)
    wait(p.counters, phase, tasks + 1)


@step
def _share_intermediate(p: Pass, phase: int, thread: int, layer: Array, x: Array) -> None:
    tasks, share = _tasks(p.inner_width, INTERMEDIATE_SHARE), INTERMEDIATE_SHARE
    rows, given = x.shape[0], rows_of(p, thread, x.shape[0], x, x.shape[1])
    while True:
        task = take(p.counters, phase)
        if task >= tasks:
            break
        feed_forward(p, layer, rows, given, p.inner[0], task * share, _end(task, share, p.inner_width))
        finish(p.counters, phase)
    wait(p.counters, phase, tasks)


@step
def _tasks(width: int, share: int) -> int:
    return (panels_of(width) + share - 1) // share


@step
def _end(task: int, share: int, width: int) -> int:
    return min((task + 1) * share, panels_of(width))
