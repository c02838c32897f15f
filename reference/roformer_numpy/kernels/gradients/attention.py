"""The twin of equations.gradients.attention where it makes passes: the softmax's gradient."""

from __future__ import annotations

import numpy as np

from ...equations.gradients.attention import rows_that_see
from ...weights import Array
from ..arrays import readable
from ..elementary import add
from ..jit import kernel


def attention_probs_vjp(upstream: Array, probs: Array, key_mask: Array, causal: bool) -> Array:
    """Twin of equations.gradients.attention.attention_probs_vjp."""
    gradient = np.empty(probs.shape, probs.dtype)
    sees = np.broadcast_to(rows_that_see(probs, key_mask, causal)[:, 0, :, 0], (probs.shape[0], probs.shape[2]))
    softmax_gradient(readable(upstream, probs.dtype), readable(probs, probs.dtype), readable(sees, np.bool_), gradient)
    return gradient


@kernel
def softmax_gradient(upstream: Array, probs: Array, sees: Array, gradient: Array) -> None:
    """Every row of gradient ← probs · (upstream − Σ upstream · probs), or 0 where the query sees nothing."""
    batch, heads, queries, keys = probs.shape
    for sequence in range(batch):
        for head in range(heads):
            for query in range(queries):
                weights, given = probs[sequence, head, query], upstream[sequence, head, query]
                row, total = gradient[sequence, head, query], 0.0
                for key in range(keys):
                    total = add(total, np.float64(weights[key]) * np.float64(given[key]))
                for key in range(keys):
                    row[key] = np.float64(weights[key]) * (np.float64(given[key]) - total)
                if not sees[sequence, query]:
                    row[:] = 0.0
