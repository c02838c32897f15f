"""What one forward pass reads and writes, and its steps; the two schedules put them in order.

A layer is a row of `layers`: the addresses of its packed weights in the order of FIELDS, then its number of heads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...weights import Array
from ..jit import inlined, part, step
from .activating import Activation, activate
from .factors import PAIR, narrow
from .intrinsics import floats_at
from .machine import FLOAT_BYTES, LANES, PANEL
from .products import multiply_columns
from .rows import add, add_normalize, turn
from .transposing import transpose

FIELDS = (
    "qkv", "qkv_bias", "output", "output_bias", "gamma", "beta", "intermediate", "intermediate_bias", "second",
    "second_bias", "second_gamma", "second_beta", "heads",
)  # fmt: skip
(
    QKV, QKV_BIAS, OUTPUT, OUTPUT_BIAS, GAMMA, BETA, INTERMEDIATE, INTERMEDIATE_BIAS, SECOND, SECOND_BIAS, SECOND_GAMMA,
    SECOND_BETA, HEADS,
) = range(len(FIELDS))  # fmt: skip


class Pass(NamedTuple):
    """One forward pass. n tokens, d = head_dim, D = d in whole vectors; scratch has a first axis of threads."""

    counters: Array  # tasks.new_counters
    layers: Array  # (layers, FIELDS) int64
    inner_width: int  # of the feed-forward
    eps: float
    activation: Activation  # activating.ACTIVATIONS
    rotary_value: bool
    # (6, n) int64: position; where the token stands among all keys, −1 where it is hidden; its panel · PANEL + column;
    # how many keys of its sequence it sees, not falling within a sequence; whether it sees them all alike; its row
    tokens: Array
    sequence_of: Array  # (n,) int64
    keys_from: Array  # (sequences + 1,) where the keys of each sequence begin among all keys
    places_from: Array  # (sequences + 1,) the same among the columns of panels: where one begins, or within a vector
    cos: Array  # (positions, d / 2)
    sin: Array
    states: Array  # (layers + 1, n, H), or (1, n, H) where every layer overwrites the one before; states[0] is given
    query: Array  # (heads, n, d), rotated and scaled
    key: Array  # (copies, heads, panels, d, PANEL), rotated; layers take turns, or each has its own
    value: Array  # (copies, heads, keys, D)
    # (layers, 2, sequences, heads, positions, d): all keys and values in the order that callers know, those of earlier
    # calls given, those of this one to be filled in; no layers where nobody asks for them
    cache: Array
    past: Array  # (4, visible keys of earlier calls) int64: row, position, and KEY and PLACE as in `tokens`
    row_blocks: int  # how many blocks the rows are cut into, as `by_rows` does it
    qkv: Array  # (threads, rows of a block, ≥ 3 · heads · d)
    context: Array  # (threads, rows of a block, ≥ heads · d)
    inner: Array  # (threads, rows of a block, ≥ inner_width)
    y: Array  # (threads, rows of a block, ≥ H)
    scores: Array  # (threads, QUERIES, KEYS)
    mixed: Array  # (threads, QUERIES, D)
    highest: Array  # (threads, QUERIES)
    total: Array  # (threads, QUERIES)
    turned: Array  # (threads, d)
    kind: Any  # of the factors of dense products, see `factors`
    narrow: bool  # whether those are pairs
    words: Array  # (threads, rows of a block, words of the deepest product), or without rows where nothing is narrowed


POSITION, KEY, PLACE, VISIBLE, BLIND, ROW = range(6)
PAST_ROW, PAST_POSITION, PAST_KEY, PAST_PLACE = range(4)


@part
def panels_of(width: int) -> int:
    """Panels that hold `width` columns."""
    return (width + PANEL - 1) // PANEL


@step
def vector_at(address: int, width: int) -> Array:
    """The float32 vector that lies at an address."""
    return floats_at(address, (width,))


class Rows(NamedTuple):
    """Rows as products read them."""

    address: int
    leading: int  # words from row to row
    depth: int  # words of a row


@step
def rows_of(p: Pass, thread: int, rows: int, a: Array, depth: int) -> Rows:
    """a[:rows, :depth] where it lies, or narrowed to pairs, until the same thread asks for others."""
    if p.narrow:
        target, leading = p.words[thread].ctypes.data, p.words.shape[2]
        narrow(rows, a.ctypes.data, a.shape[1], depth, target, leading)
        found = Rows(target, leading, (depth + PAIR - 1) // PAIR)
    else:
        found = Rows(a.ctypes.data, a.shape[1], depth)
    return found


@part
def multiply(kind: Any, rows: int, a: Rows, panels: int, width: int, first: int, last: int, c: Array) -> None:
    """c[:rows] ← a · the panels first to last of weights `width` wide, of which the first is at address `panels`."""
    for number in range(first, last):
        panel = panels + FLOAT_BYTES * number * a.depth * PANEL
        target = c.ctypes.data + FLOAT_BYTES * number * PANEL
        columns = width - number * PANEL
        multiply_columns(kind, rows, a.address, a.leading, panel, target, c.shape[1], a.depth, columns)


@part
def lay_out(
    p: Pass, number: int, thread: int, qkv: Array, first: int, rows: int, first_head: int, last_head: int
) -> None:
    """Query, key and value of `rows` tokens from `first` on in layer `number` ← their products `qkv`, bias, rotation.

    In the products a head's even features stand before its odd ones (see model.pack_layers).
    """
    head_dim, layer, copy, row = p.query.shape[2], p.layers[number], number % p.key.shape[0], 0
    keys = qkv.ctypes.data + FLOAT_BYTES * layer[HEADS] * head_dim
    while row < rows:
        together = _stand_together(p.tokens, first + row, rows - row)
        for each in range(row, row + together):
            _lay_out_token(p, number, thread, qkv, each, first + each, first_head, last_head)
        if p.tokens[KEY, first + row] >= 0:
            for head in range(first_head, last_head):
                source = keys + FLOAT_BYTES * (row * qkv.shape[1] + head * head_dim)
                _place_keys(p.key[copy, head], p.tokens[PLACE, first + row], source, qkv.shape[1], together)
        row += together


@part
def _stand_together(tokens: Array, token: int, rest: int) -> int:
    """LANES if the keys of that many tokens from this one on fill a vector of each row of a panel, otherwise 1."""
    place = tokens[PLACE, token]
    if rest < LANES or place % LANES:
        return 1
    for i in range(LANES):
        if tokens[KEY, token + i] < 0 or tokens[PLACE, token + i] != place + i:
            return 1
    return LANES


@inlined
def _lay_out_token(
    p: Pass, number: int, thread: int, qkv: Array, row: int, token: int, first_head: int, last_head: int
) -> None:
    """One token's query and value to where they are read; its key is turned where it is."""
    layer, head_dim = p.layers[number], p.query.shape[2]
    position, key, caching = p.tokens[POSITION, token], p.tokens[KEY, token], len(p.cache) > 0
    cos, sin, half = p.cos[position].ctypes.data, p.sin[position].ctypes.data, head_dim // 2
    step = FLOAT_BYTES * layer[HEADS] * head_dim
    values = number % p.value.shape[0] * p.value.shape[1]  # matrices of the copies before this layer's
    for head in range(first_head, last_head):
        source = qkv.ctypes.data + FLOAT_BYTES * (row * qkv.shape[1] + head * head_dim)
        after = source + FLOAT_BYTES * qkv.shape[1]  # the next token's
        bias, target = layer[QKV_BIAS] + FLOAT_BYTES * head * head_dim, _address(p.query, head, token)
        turn(source, bias, cos, sin, target, half, after, target + FLOAT_BYTES * head_dim)
        if p.tokens[BLIND, token]:
            p.query[head, token, :] = np.float32(0.0)  # equal scores
        if key < 0 and not caching:
            continue
        turn(source + step, bias + step, cos, sin, source + step, half, after + step, after + step)
        target = _address(p.value, values + head, key) if key >= 0 else p.turned[thread].ctypes.data
        beyond = target + FLOAT_BYTES * p.value.shape[3]
        if p.rotary_value:
            turn(source + 2 * step, bias + 2 * step, cos, sin, target, half, after + 2 * step, beyond)
        else:
            add(source + 2 * step, bias + 2 * step, target, head_dim, after + 2 * step, beyond)
        if caching:
            entry = p.tokens[ROW, token]
            _keep(vector_at(source + step, head_dim), True, p.cache[number, 0, entry, head, position])
            _keep(vector_at(target, head_dim), p.rotary_value, p.cache[number, 1, entry, head, position])


@inlined
def _address(array: Array, matrix: int, row: int) -> int:
    """Where a row begins of one of the matrices that fill an array: its slice would cost more than what is done."""
    rows, width = array.shape[-2], array.shape[-1]
    return int(array.ctypes.data + FLOAT_BYTES * (matrix * rows + row) * width)


@part
def _place_keys(panels: Array, place: int, source: int, stride: int, count: int) -> None:
    """The keys of LANES tokens, or of one, as columns of a panel: whole lines are written, not a number in each."""
    panel, column, head_dim, feature = panels[place // PANEL], place % PANEL, panels.shape[1], 0
    while count == LANES and feature + LANES <= head_dim:
        target = panel.ctypes.data + FLOAT_BYTES * (feature * PANEL + column)
        transpose(source + FLOAT_BYTES * feature, stride, target, PANEL)
        feature += LANES
    for i in range(count):
        key = vector_at(source + FLOAT_BYTES * i * stride, head_dim)
        for rest in range(feature, head_dim):
            panel[rest, column + i] = key[rest]


@part
def _keep(vector: Array, halved: bool, kept: Array) -> None:
    """The order of features that callers know ← even ones first, where they are."""
    half = vector.shape[0] // 2
    for pair in range(half):
        kept[2 * pair] = vector[pair if halved else 2 * pair]
        kept[2 * pair + 1] = vector[half + pair if halved else 2 * pair + 1]


@part
def lay_out_past(p: Pass, number: int, thread: int, first: int, last: int, first_head: int, last_head: int) -> None:
    """The keys and values of earlier calls, those from first to last of `past`, where this call's attention reads."""
    half, vector, copy = p.query.shape[2] // 2, p.turned[thread], number % p.key.shape[0]
    for entry in range(first, last):
        row, position = p.past[PAST_ROW, entry], p.past[PAST_POSITION, entry]
        for head in range(first_head, last_head):
            key, value = p.cache[number, 0, row, head, position], p.cache[number, 1, row, head, position]
            for pair in range(half):
                vector[pair], vector[half + pair] = key[2 * pair], key[2 * pair + 1]
            _place_keys(p.key[copy, head], p.past[PAST_PLACE, entry], vector.ctypes.data, 0, 1)
            target = p.value[copy, head, p.past[PAST_KEY, entry]]
            for pair in range(half):
                target[pair if p.rotary_value else 2 * pair] = value[2 * pair]
                target[half + pair if p.rotary_value else 2 * pair + 1] = value[2 * pair + 1]


@part
def normalize(
    layer: Array, bias: int, gamma: int, beta: int, eps: float, rows: int, y: Array, residual: Array, x: Array
) -> None:
    """x[:rows] ← LayerNorm(y + bias + residual), by the numbers of the fields; residual and x may be one memory."""
    width = x.shape[1]
    for row in range(rows):
        source, kept, target = y[row].ctypes.data, residual[row].ctypes.data, x[row].ctypes.data
        add_normalize(source, layer[bias], kept, layer[gamma], layer[beta], eps, target, width)


@step
def feed_forward(p: Pass, layer: Array, rows: int, x: Rows, inner: Array, first: int, last: int) -> None:
    """inner[:rows] ← activation(x · intermediate + bias) in the panels first to last, each while it is in the cache."""
    bias = vector_at(layer[INTERMEDIATE_BIAS], panels_of(p.inner_width) * PANEL)
    for number in range(first, last):
        multiply(p.kind, rows, x, layer[INTERMEDIATE], p.inner_width, number, number + 1, inner)
        activate(p.activation, inner, rows, number * PANEL, bias)
