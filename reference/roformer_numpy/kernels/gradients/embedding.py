"""The twin of equations.gradients.embedding: rows added where they were looked up."""

from __future__ import annotations

import numpy as np

from ...weights import Array
from ..arrays import checked_ids, readable_rows
from ..jit import kernel


def lookup_vjp(upstream: Array, table: Array, ids: Array) -> Array:
    """Twin of equations.gradients.embedding.lookup_vjp."""
    gradient = np.zeros(table.shape, upstream.dtype)
    scatter_rows(readable_rows(upstream, upstream.dtype), checked_ids(ids, table.shape[0]).reshape(-1), gradient)
    return gradient


def add_token_types_vjp(upstream: Array, table: Array, token_type_ids: Array) -> tuple[Array, Array]:
    """Twin of equations.gradients.embedding.add_token_types_vjp."""
    return upstream, lookup_vjp(upstream, table, token_type_ids)


@kernel
def scatter_rows(rows: Array, ids: Array, table: Array) -> None:
    """table[ids[n]] += rows[n], one after the other."""
    for row in range(rows.shape[0]):
        place = table[ids[row]]
        for column in range(rows.shape[1]):
            place[column] += rows[row, column]
