"""The gradient of the embeddings."""

from __future__ import annotations

import numpy as np

from ...weights import Array


def lookup_vjp(upstream: Array, table: Array, ids: Array) -> Array:
    """What moves the rows of a table that were looked up.

    y_t = T[id_t] gives ∂y_t/∂T[v] = 1 where id_t = v: a row's gradient is the sum over the places that name it, and
    exactly 0 for a row that nobody names.

    Args:
        upstream: (batch, seq_len, embedding_size).
        table: (rows, embedding_size); its shape counts, its values do not.
        ids: integers in [0, rows), (batch, seq_len).

    Returns:
        The shape of table.
    """
    gradient = np.zeros(table.shape, upstream.dtype)
    np.add.at(gradient, ids.reshape(-1), upstream.reshape(-1, table.shape[-1]))
    return gradient


def add_token_types_vjp(upstream: Array, table: Array, token_type_ids: Array) -> tuple[Array, Array]:
    """What moves words + T[types]: the words as they are, T as every table that is looked up.

    Args:
        upstream: (batch, seq_len, embedding_size).
        table: (type_vocab_size, embedding_size).
        token_type_ids: (batch, seq_len).

    Returns:
        by the words, (batch, seq_len, embedding_size); by the table, its shape.
    """
    return upstream, lookup_vjp(upstream, table, token_type_ids)
