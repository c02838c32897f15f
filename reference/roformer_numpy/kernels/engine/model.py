"""A model's layers as the engine reads them, and the passes of a call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ...weights import Array, Attention, Dense, FeedForward, Layer
from ..announcing import announced
from .activating import ACTIVATIONS
from .attention import KEYS, QUERIES
from .by_columns import PHASES, by_columns
from .by_rows import by_rows
from .forward import BLIND, FIELDS, KEY, PLACE, POSITION, ROW, VISIBLE, Pass
from .machine import LANES, PANEL
from .panels import aligned, lengthened, packed, padded, panels_for
from .tasks import new_counters
from .workers import WORKERS

# Up to this many tokens the threads share columns; more make enough blocks of rows.
COLUMN_TOKENS = 40
BLOCK_ROWS = 128
ROW_STEP = 8

# A leading dimension that is a multiple of 4 kB puts all rows of a column into the same cache sets.
SET_FLOATS, EXTRA_FLOATS = 1024, 16


_NO_CACHE = np.empty((0, 2, 0, 0, 0, 0), np.float32)


@dataclass(frozen=True)
class PackedLayers:
    """Packed weights of all layers: their addresses, and the arrays that keep those valid."""

    addresses: Array  # (layers, FIELDS) int64
    arrays: tuple[Array, ...]
    hidden: int
    inner: int
    heads: int  # of the layer that has most
    head_dim: int


@dataclass(frozen=True)
class Tokens:
    """The tokens to compute, without regard to rows of a batch; see `forward.Pass`."""

    table: Array  # (6, tokens) int64
    sequence_of: Array
    keys_from: Array
    panels_from: Array
    past: Array  # (4, keys of earlier calls) int64
    computed: Array | None = None  # which positions of a batch these are, bool (batch, seq_len); None: all

    @classmethod
    def of(cls, mask: Array, causal: bool, seq_len: int, computed: Array | None = None) -> Tokens:
        """The tokens of a batch, row after row.

        The positions of a row that see nothing are a sequence of their own, whose tokens are looked at evenly
        (MASK-6.1): a row that shows no token, or, when causal, what stands before the first token that it shows.

        Args:
            mask: which tokens may be looked at, bool (batch, keys), those of earlier calls first.
            causal: whether a token sees no later one.
            seq_len: how many positions of a row are computed, the last ones.
            computed: which of them are wanted, bool (batch, seq_len), at least those that the mask shows; all when
                left out. Of a beginning that sees nothing all are computed where one is.
        """
        batch, keys = mask.shape
        shown = mask.any(axis=1)
        hidden = np.where(shown, mask.argmax(axis=1) if causal else 0, keys)[:, None]
        blind = np.arange(keys) < hidden
        visible = mask | blind
        seen: Array = np.cumsum(visible, axis=1) - np.where(blind, 0, hidden)
        counts = np.concatenate([hidden, visible.sum(axis=1, keepdims=True) - hidden], axis=1).ravel()
        keys_from, panels_from = _starts(counts), _starts((counts + PANEL - 1) // PANEL)
        sequence = 2 * np.arange(batch)[:, None] + ~blind
        grid = np.empty((6, batch, keys), np.int64)
        grid[POSITION] = np.arange(keys)
        grid[KEY] = np.where(visible, keys_from[sequence] + seen - 1, -1)
        grid[PLACE] = panels_from[sequence] * PANEL + seen - 1
        grid[VISIBLE] = seen if causal else counts[sequence]
        grid[BLIND] = blind
        grid[ROW] = np.arange(batch)[:, None]
        first = keys - seq_len
        past = np.ascontiguousarray(grid[(ROW, POSITION, KEY, PLACE), :, :first][:, visible[:, :first]])
        table, sequence_of = grid[:, :, first:].reshape(6, -1), sequence[:, first:].ravel()
        if computed is not None:
            unseen = blind[:, first:]
            computed = computed | (unseen & (unseen & computed).any(axis=1, keepdims=True))
            table, sequence_of = table[:, computed.ravel()], sequence_of[computed.ravel()]
        return cls(np.ascontiguousarray(table), sequence_of, keys_from, panels_from, past, computed)

    @classmethod
    def of_lengths(cls, lengths: Array, causal: bool) -> Tokens:
        """The tokens of sequences that stand one after the other, all of them visible."""
        keys_from, panels_from = _starts(lengths), _starts((lengths + PANEL - 1) // PANEL)
        sequence_of = np.repeat(np.arange(len(lengths)), lengths)
        table = np.zeros((6, len(sequence_of)), np.int64)
        table[KEY] = np.arange(len(sequence_of))
        table[POSITION] = table[KEY] - keys_from[sequence_of]
        table[PLACE] = panels_from[sequence_of] * PANEL + table[POSITION]
        table[VISIBLE] = table[POSITION] + 1 if causal else lengths[sequence_of]
        table[ROW] = sequence_of
        return cls(table, sequence_of, keys_from, panels_from, np.empty((4, 0), np.int64))

    @property
    def count(self) -> int:
        """How many tokens there are."""
        return self.table.shape[1]


def _starts(counts: Array) -> Array:
    """Where each of several stretches begins when they follow each other, and where the last one ends."""
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts


def pack_layers(layers: Iterable[Layer[Array]], head_dim: int, rotary_value: bool) -> PackedLayers:
    """Pack the weights of all layers; the tree is not needed afterwards."""
    rows, arrays, widths = [], [], []
    for layer in layers:
        parts = [*_attention(layer.attention, head_dim, rotary_value), *_feed_forward(layer.feed_forward)]
        arrays += parts
        widths.append(layer.attention.query.kernel.shape[1])
        rows.append([*(part.ctypes.data for part in parts), widths[-1] // head_dim])
        hidden, inner = layer.feed_forward.intermediate.kernel.shape
    addresses = np.array(rows, np.int64)
    assert addresses.shape[1] == len(FIELDS)
    return PackedLayers(addresses, tuple(arrays), hidden, inner, max(widths) // head_dim, head_dim)


def _attention(weights: Attention[Array], head_dim: int, rotary_value: bool) -> list[Array]:
    """The fields qkv to beta; the order of features and the scale of the scores are folded into the weights."""
    order = _halves(weights.query.kernel.shape[1], head_dim)
    scale = np.float32(1.0 / np.sqrt(head_dim))
    query, key, value = (weights.query, weights.key, weights.value)
    value_order = order if rotary_value else slice(None)
    # transposed, because kernels lie in memory column by column
    kernel = np.concatenate([query.kernel.T[order] * scale, key.kernel.T[order], value.kernel.T[value_order]]).T
    bias = np.concatenate([query.bias[order] * scale, key.bias[order], value.bias[value_order]])
    output = Dense(weights.output.kernel[value_order], weights.output.bias)
    norm = weights.layer_norm
    return [
        packed(kernel), lengthened(bias), packed(output.kernel), lengthened(output.bias), *_row(norm.gamma, norm.beta),
    ]  # fmt: skip


def _feed_forward(weights: FeedForward[Array]) -> list[Array]:
    """The fields intermediate to second_beta."""
    first, second, norm = weights.intermediate, weights.output, weights.layer_norm
    return [
        packed(first.kernel), lengthened(first.bias), packed(second.kernel), lengthened(second.bias),
        *_row(norm.gamma, norm.beta),
    ]  # fmt: skip


def _row(*vectors: Array) -> list[Array]:
    return [np.array(vector, np.float32) for vector in vectors]


def _halves(width: int, head_dim: int) -> Array:
    """The features of every head, even ones first: a rotation then works on two contiguous halves."""
    return np.arange(width).reshape(-1, head_dim // 2, 2).transpose(0, 2, 1).ravel()


def run_layers(
    layers: PackedLayers, states: Array, tokens: Tokens, rotation: tuple[Array, Array], eps: float,
    rotary_value: bool, activation: str, threads: int, cache: Array | None = None,
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
    """
    few = tokens.count <= COLUMN_TOKENS
    threads = min(threads, _most_tasks(layers) if few else -(-tokens.count // ROW_STEP))
    block_rows = tokens.count if few else _block_rows(tokens.count, threads)
    number = len(layers.addresses)
    keys, panels, head_dim = int(tokens.keys_from[-1]), int(tokens.panels_from[-1]), layers.head_dim
    shape = (1 if few else 2, layers.heads)
    prepared = Pass(
        counters=new_counters(PHASES * number if few else number + 1),
        layers=layers.addresses, inner_width=layers.inner, eps=float(eps), activation=ACTIVATIONS[activation],
        rotary_value=rotary_value,
        tokens=tokens.table, sequence_of=tokens.sequence_of, keys_from=tokens.keys_from, panels_from=tokens.panels_from,
        cos=rotation[0], sin=rotation[1], states=states,
        # zeros: what fills up a panel or a vector is computed with, and rubbish could be slow numbers
        query=np.zeros((*shape, tokens.count, head_dim), np.float32),
        key=np.zeros((*shape, panels, head_dim, PANEL), np.float32),
        value=np.zeros((*shape, keys, _whole_vectors(head_dim)), np.float32),
        cache=_NO_CACHE if cache is None else cache, past=tokens.past,
        block_rows=block_rows, **_scratch(layers, block_rows, threads),
    )  # fmt: skip
    with announced():
        WORKERS.run(threads, by_columns if few else by_rows, (prepared,))


def _most_tasks(layers: PackedLayers) -> int:
    """Of a phase of `by_columns`, at the most: further threads would find nothing to do."""
    return max(layers.heads, panels_for(layers.hidden), panels_for(layers.inner))


def _block_rows(tokens: int, threads: int) -> int:
    """Rows of a block: at most BLOCK_ROWS, a multiple of ROW_STEP, and as many blocks for each thread."""
    blocks = max(threads, -(-tokens // BLOCK_ROWS))
    blocks = -(-blocks // threads) * threads
    return max(1, -(-tokens // (blocks * ROW_STEP))) * ROW_STEP


def _whole_vectors(width: int) -> int:
    return -(-width // LANES) * LANES


def _leading(width: int) -> int:
    """A leading dimension for rows of `width` columns in whole panels."""
    whole = padded(width)
    return whole + EXTRA_FLOATS if whole % SET_FLOATS == 0 else whole


def _scratch(layers: PackedLayers, rows: int, threads: int) -> dict[str, Array]:
    width, head_dim = layers.heads * layers.head_dim, layers.head_dim
    return {
        "qkv": aligned(threads, rows, _leading(3 * width)),
        "context": aligned(threads, rows, _leading(width)),
        "inner": aligned(threads, rows, _leading(layers.inner)),
        "y": aligned(threads, rows, _leading(layers.hidden)),
        "scores": aligned(threads, QUERIES, KEYS),
        "mixed": aligned(threads, QUERIES, _whole_vectors(head_dim)),
        "highest": aligned(threads, QUERIES),
        "total": aligned(threads, QUERIES),
        "turned": aligned(threads, head_dim),
    }
