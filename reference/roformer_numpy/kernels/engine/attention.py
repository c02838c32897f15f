"""Attention in tiles: QUERIES rows of scores against KEYS keys at a time, so memory grows with the length alone.

The softmax is taken as it goes: a row's highest score and its sum so far are kept, and when a later tile brings a
higher score, what was summed before is scaled down. Keys that the mask hides were left out when the keys were laid
out, so a row sees the first keys of its sequence: all of them or, when causal, those up to its own position.
"""

from __future__ import annotations

import math

import numpy as np

from ...weights import Array
from ..jit import part, step
from .factors import FLOAT32
from .forward import VISIBLE, Pass
from .machine import FLOAT_BYTES, LANES, PANEL, VECTORS
from .products import multiply_columns, multiply_rows, multiply_rows_thin, rows_in_blocks
from .softening import soften
from .sums import sum_of

QUERIES, KEYS = 24, 384

# A head's 64 features are one block of four vectors; a panel and a vector would take an eighth longer.
WIDE_ROWS, WIDE_VECTORS = 6, 4
_multiply_rows_wide = rows_in_blocks(WIDE_ROWS, WIDE_VECTORS)


@part
def attend_rows(
    p: Pass, number: int, thread: int, first: int, last: int, first_head: int, last_head: int, context: Array
) -> None:
    """context[:last − first] ← softmax(query · keyᵀ) · value for the tokens first to last and some of the heads.

    Args:
        p: the forward pass.
        number: of the layer.
        thread: whose scratch is used.
        first, last, first_head, last_head: whose context is wanted.
        context: (≥ last − first, ≥ heads · d).
    """
    for head in range(first_head, last_head):
        row = first
        while row < last:
            rows = _tile_rows(p.sequence_of, row, last)
            _attend_tile(p, number, thread, head, row, rows, context[row - first :])
            row += rows


@step
def _attend_tile(p: Pass, number: int, thread: int, head: int, row: int, rows: int, context: Array) -> None:
    """The rows of one tile, which belong to one sequence; its keys and values stay in the cache for the next tile."""
    scores, mixed, total, sequence = p.scores[thread], p.mixed[thread], p.total[thread], p.sequence_of[row]
    copy = number % p.key.shape[0]
    query, visible = p.query[head, row : row + rows], p.tokens[VISIBLE, row : row + rows]
    place, value = p.places_from[sequence], p.value[copy, head, p.keys_from[sequence] :]
    before = place % LANES  # keys of others in the vector that this sequence shares
    key = p.key[copy, head, place // PANEL :].ctypes.data + FLOAT_BYTES * (place % PANEL - before)
    keys = visible[rows - 1]
    for start in range(0, keys, KEYS):
        count = min(KEYS, keys - start)
        _score(query, key + FLOAT_BYTES * start * query.shape[1], before + count, scores)
        soften(visible, start, count, scores, before, p.highest[thread], total, mixed)
        _mix_seen(visible, start, count, scores, before, value, mixed)
    _write_context(rows, mixed, total, context, head * query.shape[1], query.shape[1])


@step
def _tile_rows(sequence_of: Array, row: int, last: int) -> int:
    """How many tokens from `row` on make a tile: they belong to one sequence."""
    rows = 1
    while rows < QUERIES and row + rows < last and sequence_of[row + rows] == sequence_of[row]:
        rows += 1
    return rows


@step
def _write_context(rows: int, mixed: Array, total: Array, context: Array, at: int, head_dim: int) -> None:
    for i in range(rows):
        share, target = np.float32(1.0) / total[i], context[i, at : at + head_dim]
        for column in range(head_dim):
            target[column] = mixed[i, column] * share


@step
def _score(query: Array, key: int, count: int, scores: Array) -> None:
    """Scores of the first `count` columns of the panels at the address `key`."""
    rows, head_dim = query.shape
    for panel in range((count + PANEL - 1) // PANEL):
        target = scores.ctypes.data + FLOAT_BYTES * panel * PANEL
        source, columns = key + FLOAT_BYTES * panel * head_dim * PANEL, count - panel * PANEL
        multiply_columns(FLOAT32, rows, query.ctypes.data, head_dim, source, target, scores.shape[1], head_dim, columns)


@step
def _mix_seen(visible: Array, start: int, count: int, scores: Array, before: int, value: Array, mixed: Array) -> None:
    """mixed (+)= exponentials · value; what a row does not see must not reach it, not even as 0 · NaN."""
    first, last = max(visible[0], start), start + count
    first -= (last - first) % 2  # a sum takes two vectors at once, and what every row sees does no harm
    unseen = value[first : max(first, last)]
    together = math.isfinite(sum_of(unseen.ctypes.data, unseen.size))
    rows = visible.shape[0] if together else 1
    for row in range(0, visible.shape[0], rows):
        seen = count if together else min(count, visible[row] - start)
        if seen > 0:
            _mix(rows, seen, scores[row:], before, value[start:], mixed[row:], start > 0)


@step
def _mix(rows: int, count: int, scores: Array, before: int, value: Array, mixed: Array, add_to: bool) -> None:
    """mixed (+)= exponentials · value, in strips of PANEL columns and then of one vector."""
    width, weights, add_flag = value.shape[1], scores.ctypes.data + FLOAT_BYTES * before, 1 if add_to else 0
    column = 0
    while column < width:
        source = value.ctypes.data + FLOAT_BYTES * column
        target = mixed.ctypes.data + FLOAT_BYTES * column
        if column + PANEL + LANES == width and VECTORS == WIDE_VECTORS - 1:
            _multiply_rows_wide(FLOAT32, rows, weights, scores.shape[1], source, width, target, width, count, add_flag)
            column += PANEL + LANES
        elif column + PANEL <= width:
            multiply_rows(FLOAT32, rows, weights, scores.shape[1], source, width, target, width, count, add_flag)
            column += PANEL
        else:
            multiply_rows_thin(FLOAT32, rows, weights, scores.shape[1], source, width, target, width, count, add_flag)
            column += LANES
