"""The twin of equations.embedding."""

from __future__ import annotations

import numpy as np

from ..weights import Array
from .arrays import checked_ids, readable, readable_rows
from .jit import kernel


def add_token_types(inputs_embeds: Array, table: Array, token_type_ids: Array) -> Array:
    """Twin of equations.embedding.add_token_types."""
    dtype = np.result_type(inputs_embeds, table)
    result = np.empty(inputs_embeds.shape, dtype)
    ids = checked_ids(token_type_ids, table.shape[0]).reshape(-1)
    add_rows(readable_rows(inputs_embeds, dtype), readable(table, dtype), ids, result.reshape(ids.size, table.shape[1]))
    return result


@kernel
def add_rows(rows: Array, table: Array, ids: Array, result: Array) -> None:
    """result[n] ← rows[n] + table[ids[n]]."""
    for row in range(rows.shape[0]):
        added = table[ids[row]]
        for column in range(rows.shape[1]):
            result[row, column] = rows[row, column] + added[column]
