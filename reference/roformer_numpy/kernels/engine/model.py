"""A model's layers as the engine reads them, and the passes of a call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...weights import Array, Attention, FeedForward, Layer
from ..announcing import announced
from .activating import PLAIN_ACTIVATIONS
from .by_columns import PHASES
from .by_rows import ROW_STEP
from .call import ARRAYS, Call, Widths, floats
from .factors import FLOAT32, is_narrow, words_for
from .forward import FIELDS
from .machine import LANES, LINE, PANEL
from .panels import empty_panels, lengthened, narrowed, pack_columns, packed, padded, panels_for
from .schedules import compute
from .scratch import SCRATCH
from .tasks import new_counters
from .tokens import Tokens
from .workers import WORKERS

_floats: Any = getattr(floats, "py_func")  # noqa: B009

# Up to this many tokens the threads share columns; more make enough blocks of rows.
COLUMN_TOKENS = 40
# Up to so many where a model is wide and there are several threads: two blocks of rows of 41 tokens are 24 and 17.
WIDE, WIDE_COLUMN_TOKENS = 384, 80
BLOCK_ROWS = 128

# A leading dimension that is a multiple of 4 kB puts all rows of a column into the same cache sets.
SET_FLOATS, EXTRA_FLOATS = 1024, 16

_NO_CACHE = np.empty((0, 2, 0, 0, 0, 0), np.float32)


# Has the packed arrays of a layer, or packs them.
Keeper = Callable[[Layer[Array], Callable[[], list[Array]]], list[Array]]


@dataclass(frozen=True)
class PackedLayers:
    """Packed weights of all layers: their addresses, and the arrays that keep those valid."""

    addresses: Array  # (layers, FIELDS) int64
    arrays: tuple[Array, ...]
    hidden: int
    inner: int
    widths: Widths
    kind: Any  # of the factors of products

    @functools.cached_property
    def plain_widths(self) -> tuple[int, ...]:
        """As compiled code is handed them, see `Call`."""
        return tuple(self.widths)


def pack_layers(
    layers: Iterable[Layer[Array]], head_dim: int, rotary_value: bool, threads: int = 1, kept: Keeper | None = None,
    kind: Any = FLOAT32,
) -> PackedLayers:  # fmt: skip
    """Pack the weights of all layers; the tree is not needed afterwards. `kept` may have the arrays of a layer."""
    rows, arrays, widths = [], [], []
    for layer in layers:
        pack = partial(_parts, layer, head_dim, rotary_value, threads, kind)
        parts = kept(layer, pack) if kept else pack()
        arrays += parts
        widths.append(layer.attention.query.kernel.shape[1])
        rows.append([*(part.ctypes.data for part in parts), widths[-1] // head_dim])
        hidden, inner = layer.feed_forward.intermediate.kernel.shape
    addresses = np.array(rows, np.int64)
    assert addresses.shape[1] == len(FIELDS)
    sizes = _widths(max(widths), head_dim, hidden, inner, kind)
    return PackedLayers(addresses, tuple(arrays), hidden, inner, sizes, kind)


def _parts(layer: Layer[Array], head_dim: int, rotary_value: bool, threads: int, kind: Any) -> list[Array]:
    """All fields but the last."""
    attention = _attention(layer.attention, head_dim, rotary_value, threads, kind)
    return [*attention, *_feed_forward(layer.feed_forward, threads, kind)]


def _widths(width: int, head_dim: int, hidden: int, inner: int, kind: Any) -> Widths:
    words = words_for(max(width, hidden, inner), kind) if is_narrow(kind) else 0
    qkv, context, inside, y = map(_leading, (3 * width, width, inner, hidden))
    heads, leading_words = width // head_dim, _leading(words) if words else 0
    return Widths(heads, head_dim, _whole_vectors(head_dim), inner, qkv, context, inside, y, leading_words)


def _attention(weights: Attention[Array], head_dim: int, rotary_value: bool, threads: int, kind: Any) -> list[Array]:
    """The fields qkv to beta; the order of features and the scale of the scores are folded into the weights."""
    hidden, width = weights.query.kernel.shape
    order, scale, one = _halves(width, head_dim), np.float32(1.0 / np.sqrt(head_dim)), np.float32(1.0)
    value_order = order if rotary_value else np.arange(width)
    panels, bias = empty_panels(hidden, 3 * width), []
    folded = zip(
        (weights.query, weights.key, weights.value), (order, order, value_order), (scale, one, one), strict=True
    )
    for number, (product, columns, factor) in enumerate(folded):
        pack_columns(product.kernel, columns, factor, panels, number * width, threads)
        bias.append(product.bias[columns] * factor)
    output = weights.output.kernel[value_order] if rotary_value else weights.output.kernel
    norm = weights.layer_norm
    return [
        narrowed(panels, kind), lengthened(np.concatenate(bias)),
        packed(output, None, threads, kind), lengthened(weights.output.bias), *_row(norm.gamma, norm.beta),
    ]  # fmt: skip


def _feed_forward(weights: FeedForward[Array], threads: int, kind: Any) -> list[Array]:
    """The fields intermediate to second_beta."""
    first, second, norm = weights.intermediate, weights.output, weights.layer_norm
    return [
        packed(first.kernel, None, threads, kind), lengthened(first.bias),
        packed(second.kernel, None, threads, kind), lengthened(second.bias), *_row(norm.gamma, norm.beta),
    ]  # fmt: skip


def _row(*vectors: Array) -> list[Array]:
    return [np.array(vector, np.float32) for vector in vectors]


def _halves(width: int, head_dim: int) -> Array:
    """The features of every head, even ones first: a rotation then works on two contiguous halves."""
    return np.arange(width).reshape(-1, head_dim // 2, 2).transpose(0, 2, 1).ravel()


def run_layers(
    layers: PackedLayers, states: Array, tokens: Tokens, rotation: tuple[Array, Array], eps: float,
    rotary_value: bool, activation: str, threads: int, cache: Array | None = None, memory: Array | None = None,
) -> None:  # fmt: skip
    """Fill states[1:] from states[0], or states[0] itself with the last layer's output where it stands alone.

    Args:
        layers: the packed weights.
        states: (layers + 1, tokens, H) or (1, tokens, H) float32; the first is given.
        tokens: where each token stands and what it sees.
        rotation: cos and sin of the positions, (positions, d / 2) float32.
        eps: of the layer normalizations.
        rotary_value: whether values are turned too.
        activation: hidden_act.
        threads: how many may take part, this one among them; the result does not depend on it.
        cache: (layers, 2, batch, heads, positions, d) float32, keys and values of earlier calls given; the others are
            filled in.
        memory: of `memory_for`, for tokens of `Tokens.following`.
    """
    size = _size(
        layers.widths, len(layers.addresses), layers.hidden, tokens.count, int(tokens.keys_from[-1]),
        int(tokens.places_from[-1]) // PANEL, threads, memory is None,
    )  # fmt: skip
    call = Call(
        new_counters(size.groups), layers.addresses, layers.plain_widths, float(eps), PLAIN_ACTIVATIONS[activation],
        rotary_value, tokens.table, tokens.sequence_of, tokens.keys_from, tokens.places_from, *rotation, states,
        _NO_CACHE if cache is None else cache, tokens.past,
        size.block_rows, size.row_blocks, size.few, size.copies, size.blocks, size.threads,
        *_pieces(size, memory, layers.kind),
    )  # fmt: skip
    with announced(compute):
        WORKERS.run(size.threads, compute, (tuple(call),))


def _pieces(size: Size, memory: Array | None, kind: Any) -> tuple[Array, Any, Array]:
    """`zeros`, `kind` and `scratch` of a call."""
    if memory is not None:
        return memory, kind, SCRATCH.lend(0, size.scratch)[1]
    zeros, scratch = SCRATCH.lend(size.zeros, size.scratch)
    return zeros, kind, scratch


class Size(NamedTuple):
    """What the numbers of tokens, keys and threads decide; see `Call`."""

    groups: int  # of counters
    block_rows: int
    row_blocks: int
    few: bool
    copies: int
    blocks: int
    threads: int
    zeros: int
    scratch: int


@functools.lru_cache(maxsize=256)
def _size(
    widths: Widths, layers: int, hidden: int, tokens: int, keys: int, panels: int, threads: int, takes_turns: bool
) -> Size:
    """Kept: in Python it takes as long as a sixth of a layer of a small model."""
    few = tokens <= (WIDE_COLUMN_TOKENS if hidden >= WIDE and threads > 1 else COLUMN_TOKENS)
    threads = min(threads, _most_tasks(widths, hidden) if few else -(-tokens // ROW_STEP))
    row_blocks = 1 if few else _row_blocks(tokens, threads)
    block_rows = tokens if few else -(-tokens // (row_blocks * ROW_STEP)) * ROW_STEP
    blocks = 1 if few else threads
    copies = (1 if few else 2) if takes_turns else layers
    key, value, *others = _floats(widths, tokens, keys, panels, copies, blocks, block_rows, threads)
    groups = PHASES * layers if few else row_blocks
    scratch = sum(others) + ARRAYS * LINE
    return Size(groups, block_rows, row_blocks, few, copies, blocks, threads, _padded(key, value), scratch)


def memory_for(layers: PackedLayers, rows: int, room: int) -> Array:
    """Memory that keeps the keys and values of `rows` sequences of up to `room` tokens, in every layer."""
    key, value, *_ = _floats(layers.widths, 0, rows * room, rows * panels_for(room), len(layers.addresses), 0, 0, 0)
    return np.zeros(_padded(key, value), np.float32)


def _padded(key: int, value: int) -> int:
    """Of memory that begins as zeros: what fills up a panel is computed with, and rubbish could be slow numbers."""
    return key + value + 2 * LINE


def _most_tasks(widths: Widths, hidden: int) -> int:
    """Of a phase of `by_columns`, at the most: further threads would find nothing to do."""
    return max(widths.heads, panels_for(hidden), panels_for(widths.inner))


def _row_blocks(tokens: int, threads: int) -> int:
    """Blocks of at most BLOCK_ROWS rows, as many for each thread."""
    return -(-tokens // (BLOCK_ROWS * threads)) * threads


def _whole_vectors(width: int) -> int:
    return -(-width // LANES) * LANES


def _leading(width: int) -> int:
    """A leading dimension for rows of `width` columns in whole panels."""
    whole = padded(width)
    return whole + EXTRA_FLOATS if whole % SET_FLOATS == 0 else whole
