"""What Python hands to a schedule, and how compiled code makes a pass of it.

All memory that a pass needs besides its results is two pieces, and compiled code cuts them into arrays: in Python the
dozen would take as long as a tenth of a small model.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...weights import Array
from ..jit import part, step
from .activating import Activation
from .attention import KEYS, QUERIES
from .forward import Pass
from .intrinsics import floats_at
from .machine import FLOAT_BYTES, PANEL
from .scratch import line

ARRAYS = 13


class Widths(NamedTuple):
    """What all passes through some layers have in common."""

    heads: int  # of the layer that has most
    head_dim: int
    value: int  # head_dim in whole vectors
    inner: int  # of the feed-forward
    # leading dimensions of scratch
    leading_qkv: int
    leading_context: int
    leading_inner: int
    leading_y: int
    leading_words: int  # 0 where products are float32


class Call(NamedTuple):
    """One forward pass as it is asked for; what is not explained here, `Pass` explains.

    Compiled code is handed `tuple(call)`: of a tuple with names, numba looks up each element's type in Python.
    """

    counters: Array
    layers: Array
    widths: tuple[int, ...]  # Widths
    eps: float
    activation: tuple[Any, ...]  # activating.Activation
    rotary_value: bool
    tokens: Array
    sequence_of: Array
    keys_from: Array
    places_from: Array
    cos: Array
    sin: Array
    states: Array
    cache: Array
    past: Array
    block_rows: int  # at most
    row_blocks: int
    few: bool  # tokens: threads share columns
    copies: int  # of key and value
    blocks: int  # of rows that have scratch
    threads: int  # that have
    zeros: Array  # a line and `floats` of key and value; 0, or what earlier calls left there
    kind: Any  # of the factors of dense products
    scratch: Array  # ARRAYS lines and `floats` of the others


@part
def floats(
    widths: Widths, tokens: int, keys: int, panels: int, copies: int, blocks: int, rows: int, threads: int
) -> tuple[int, ...]:
    """How many numbers there are of each array, in the order in which they lie in memory, key and value in `zeros`."""
    heads, head_dim = widths.heads, widths.head_dim
    return (
        copies * heads * panels * head_dim * PANEL, copies * heads * keys * widths.value,
        heads * tokens * head_dim,
        blocks * rows * widths.leading_qkv, blocks * rows * widths.leading_context,
        blocks * rows * widths.leading_inner, blocks * rows * widths.leading_y,
        threads * QUERIES * KEYS, threads * QUERIES * widths.value, threads * QUERIES, threads * QUERIES,
        threads * head_dim, threads * rows * widths.leading_words,
    )  # fmt: skip


@part
def laid_out(call: Call) -> Pass:
    """The pass with its arrays, each at the beginning of a line of the call's memory."""
    w, rows, threads, blocks = Widths(*call.widths), call.block_rows, call.threads, call.blocks
    copies, tokens, keys, panels = call.copies, call.states.shape[1], call.keys_from[-1], call.places_from[-1] // PANEL
    sizes = floats(w, tokens, keys, panels, copies, blocks, rows, threads)
    key, value = line(call.zeros, 0), line(call.zeros, line(call.zeros, 0) + sizes[0])
    query = line(call.scratch, 0)
    qkv = line(call.scratch, query + sizes[2])
    context = line(call.scratch, qkv + sizes[3])
    inner = line(call.scratch, context + sizes[4])
    y = line(call.scratch, inner + sizes[5])
    scores = line(call.scratch, y + sizes[6])
    mixed = line(call.scratch, scores + sizes[7])
    highest = line(call.scratch, mixed + sizes[8])
    total = line(call.scratch, highest + sizes[9])
    turned = line(call.scratch, total + sizes[10])
    words = line(call.scratch, turned + sizes[11])
    return Pass(
        counters=call.counters, layers=call.layers, inner_width=w.inner, eps=call.eps,
        activation=Activation(*call.activation), rotary_value=call.rotary_value,
        tokens=call.tokens, sequence_of=call.sequence_of, keys_from=call.keys_from,
        places_from=call.places_from, cos=call.cos, sin=call.sin, states=call.states,
        query=_cut(call.scratch, query, (w.heads, tokens, w.head_dim)),
        key=_cut(call.zeros, key, (copies, w.heads, panels, w.head_dim, PANEL)),
        value=_cut(call.zeros, value, (copies, w.heads, keys, w.value)),
        cache=call.cache, past=call.past, row_blocks=call.row_blocks,
        qkv=_cut(call.scratch, qkv, (blocks, rows, w.leading_qkv)),
        context=_cut(call.scratch, context, (blocks, rows, w.leading_context)),
        inner=_cut(call.scratch, inner, (blocks, rows, w.leading_inner)),
        y=_cut(call.scratch, y, (blocks, rows, w.leading_y)),
        scores=_cut(call.scratch, scores, (threads, QUERIES, KEYS)),
        mixed=_cut(call.scratch, mixed, (threads, QUERIES, w.value)),
        highest=_cut(call.scratch, highest, (threads, QUERIES)),
        total=_cut(call.scratch, total, (threads, QUERIES)),
        turned=_cut(call.scratch, turned, (threads, w.head_dim)),
        kind=call.kind, narrow=w.leading_words > 0, words=_cut(call.scratch, words, (threads, rows, w.leading_words)),
    )  # fmt: skip


@step
def _cut(memory: Array, start: int, shape: tuple[int, ...]) -> Array:
    return floats_at(memory.ctypes.data + FLOAT_BYTES * start, shape)
