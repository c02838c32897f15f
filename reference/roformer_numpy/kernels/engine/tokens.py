"""Which tokens a pass computes, where each stands and what it sees."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from ...weights import Array
from .forward import BLIND, KEY, PLACE, POSITION, ROW, VISIBLE
from .machine import LANES, PANEL

# What hides nothing depends on four numbers alone and is kept: for a small model, finding it out again takes as long
# as the model itself. So many shapes of at most so many tokens, 56 bytes each; with few tokens every length there is.
KEPT, KEPT_TOKENS = 16, 1024
KEPT_SHORT, SHORT_TOKENS = 256, 128

# That so many keys take, up to a vector of them.
_COLUMNS = np.array([0, *(1 << (keys - 1).bit_length() for keys in range(1, LANES + 1))])


@dataclass(frozen=True)
class Tokens:
    """The tokens to compute, without regard to rows of a batch; see `forward.Pass`."""

    table: Array  # (6, tokens) int64
    sequence_of: Array
    keys_from: Array
    places_from: Array
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
        if computed is None and batch * keys <= KEPT_TOKENS and np.count_nonzero(mask) == mask.size:
            kept = _of_short if batch * keys <= SHORT_TOKENS else _of_full
            return kept(batch, keys, causal, seq_len)
        return cls._of(mask, causal, seq_len, computed)

    @classmethod
    def _of(cls, mask: Array, causal: bool, seq_len: int, computed: Array | None = None) -> Tokens:
        batch, keys = mask.shape
        shown = mask.any(axis=1)
        hidden = np.where(shown, mask.argmax(axis=1) if causal else 0, keys)[:, None]
        blind = np.arange(keys) < hidden
        visible = mask | blind
        seen: Array = np.cumsum(visible, axis=1) - np.where(blind, 0, hidden)
        counts = np.concatenate([hidden, visible.sum(axis=1, keepdims=True) - hidden], axis=1).ravel()
        keys_from, places_from = _starts(counts), _places(counts)
        sequence = 2 * np.arange(batch)[:, None] + ~blind
        grid = np.empty((6, batch, keys), np.int64)
        grid[POSITION] = np.arange(keys)
        grid[KEY] = np.where(visible, keys_from[sequence] + seen - 1, -1)
        grid[PLACE] = places_from[sequence] + seen - 1
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
        return cls(np.ascontiguousarray(table), sequence_of, keys_from, places_from, past, computed)

    @classmethod
    def of_lengths(cls, lengths: Array, causal: bool) -> Tokens:
        """The tokens of sequences that stand one after the other, all of them visible."""
        keys_from, places_from = _starts(lengths), _places(lengths)
        sequence_of = np.repeat(np.arange(len(lengths)), lengths)
        table = np.zeros((6, len(sequence_of)), np.int64)
        table[KEY] = np.arange(len(sequence_of))
        table[POSITION] = table[KEY] - keys_from[sequence_of]
        table[PLACE] = places_from[sequence_of] + table[POSITION]
        table[VISIBLE] = table[POSITION] + 1 if causal else lengths[sequence_of]
        table[ROW] = sequence_of
        return cls(table, sequence_of, keys_from, places_from, np.empty((4, 0), np.int64))

    @classmethod
    def following(cls, mask: Array, first: int, room: int) -> Tokens:
        """The visible tokens of a causal batch from column `first` on, where what stands before them was computed.

        Args:
            mask: which tokens are visible, bool (batch, columns so far).
            first: the column.
            room: for how many tokens of a row there is memory, see `model.memory_for`.
        """
        place = np.cumsum(mask, axis=1) - 1
        row, column = np.nonzero(mask[:, first:])
        column += first
        table = np.zeros((6, len(row)), np.int64)
        table[POSITION], table[ROW] = column, row
        table[KEY] = row * room + place[row, column]
        starts, places = np.arange(len(mask) + 1), -(-room // PANEL) * PANEL
        table[PLACE] = row * places + place[row, column]
        table[VISIBLE] = place[row, column] + 1
        return cls(table, np.ascontiguousarray(row), starts * room, starts * places, np.empty((4, 0), np.int64))

    @property
    def count(self) -> int:
        """How many tokens there are."""
        return self.table.shape[1]


def _starts(counts: Array) -> Array:
    """Where each of several stretches begins when they follow each other, and where the last one ends."""
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts


def _places(counts: Array) -> Array:
    """Where the keys of each sequence begin among the columns of all panels, and the end of the last panel.

    More keys than a vector has begin a panel. Fewer take the next power of two of columns, the larger ones first, so
    that a sequence lies in one vector: panels of their own would be 48 times the memory of single keys.
    """
    columns = np.where(counts > LANES, (counts + PANEL - 1) // PANEL * PANEL, _COLUMNS[np.minimum(counts, LANES)])
    order = np.argsort(-columns, kind="stable")
    ends = np.cumsum(columns[order])
    places = np.empty(len(counts) + 1, np.int64)
    places[order] = ends - columns[order]
    places[-1] = -(-ends[-1] // PANEL) * PANEL
    return places


def _full(batch: int, keys: int, causal: bool, seq_len: int) -> Tokens:
    """The tokens of a batch whose mask hides nothing; nobody writes to them."""
    return Tokens._of(np.ones((batch, keys), bool), causal, seq_len)


_of_full = functools.lru_cache(maxsize=KEPT)(_full)
_of_short = functools.lru_cache(maxsize=KEPT_SHORT)(_full)
