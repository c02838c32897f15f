"""Where a pass begins: the rows of embeddings that it reads, added and normalized one after the other."""

from __future__ import annotations

import numpy as np

from ...weights import Array
from ..announcing import announced
from ..arrays import FLOAT32, INT64, readable
from ..jit import kernel
from .machine import FLOAT_BYTES
from .rows import add, normalize_row


def embed(words: Array, ids: Array, types: Array, type_ids: Array, norm: tuple[Array, Array, float]) -> Array:
    """LayerNorm(words[ids] + types[type_ids]).

    Args:
        words: (number of rows, E) float32.
        ids: any shape; n in all.
        types: (type_vocab_size, E) float32.
        type_ids: n in all.
        norm: gamma and beta, (E,) float32, and eps.

    Returns:
        (n, E) float32.

    Raises:
        IndexError: an id beyond its table, which compiled code would not notice.
    """
    if not (words.flags.c_contiguous and words.flags.aligned):  # a copy of the rows, not of the vocabulary
        words, ids = words[ids.reshape(-1)], np.arange(ids.size)
    ids, type_ids = readable(ids, INT64).reshape(-1), readable(type_ids, INT64).reshape(-1)
    result = np.empty((ids.size, words.shape[1]), np.float32)
    gamma, beta, eps = norm
    tables = readable(words, FLOAT32), readable(types, FLOAT32)
    with announced(embed_rows):
        done = embed_rows(ids, type_ids, *tables, readable(gamma, FLOAT32), readable(beta, FLOAT32), eps, result)
    if done < len(ids):
        raise IndexError(
            f"id {ids[done]} or token type {type_ids[done]} lies beyond tables of {len(words)} and {len(types)} rows"
        )
    return result


@kernel
def embed_rows(
    ids: Array, type_ids: Array, words: Array, types: Array, gamma: Array, beta: Array, eps: float, result: Array
) -> int:
    """How many rows of `result` are done: all of them, or those before the first one whose id is in no table."""
    width, row_bytes, last = words.shape[1], FLOAT_BYTES * words.shape[1], ids.shape[0] - 1
    for row in range(ids.shape[0]):
        if not (0 <= ids[row] < words.shape[0] and 0 <= type_ids[row] < types.shape[0]):
            return row
        word = words.ctypes.data + row_bytes * ids[row]
        next_word = words.ctypes.data + row_bytes * ids[min(row + 1, last)]  # of whatever id: nothing is read
        x = result.ctypes.data + row_bytes * row
        add(word, types.ctypes.data + row_bytes * type_ids[row], x, width, next_word, x + row_bytes)
        normalize_row(x, gamma.ctypes.data, beta.ctypes.data, eps, x, width)
    return ids.shape[0]
