"""The components in numba: twins of `equations/`, file by file and name by name, for float32 and float64.

`KERNELS` takes the place of `EQUATIONS` in the encoder and the heads. Importing this package compiles nothing; a kernel
is compiled at its first use with a type and kept on disk (`cache`), `warm_up` compiles all of them. Kernels are serial,
release the interpreter lock and may be called from any thread. `engine` computes whole encoders with them in float32.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..components import EQUATIONS, Components
from ..weights import Array, Attention, Dense, FeedForward, Layer, LayerNorm
from . import activations, attention, dense, dropout, embedding, feed_forward, losses, normalization, rotary
from .engine.dense import PackedDense, run_dense
from .engine.embedding import embed
from .engine.factors import KINDS, is_narrow
from .engine.machine import HAS_BFLOAT16, INSTRUCTION_SET
from .engine.model import COLUMN_TOKENS, pack_layers, run_layers
from .engine.tokens import Tokens

KERNELS = Components(
    name="kernels",
    lookup=EQUATIONS.lookup,  # NumPy copies whole rows already
    add_token_types=embedding.add_token_types,
    layer_norm=normalization.layer_norm,
    dense=dense.dense,
    rotary_table=EQUATIONS.rotary_table,  # float64 whatever the type, and computed once a call
    rotate=rotary.rotate,
    attention_scores=attention.attention_scores,
    attention_probs=attention.attention_probs,
    attend=EQUATIONS.attend,  # one product, which is BLAS's
    feed_forward=feed_forward.feed_forward,
    activate=activations.activate,
    dropout=dropout.dropout,
    cross_entropy=losses.cross_entropy,
    active_cross_entropy=losses.active_cross_entropy,
    span_cross_entropy=losses.span_cross_entropy,
    squared_error=EQUATIONS.squared_error,  # a few numbers a sequence: compiling would cost more than it saves
    binary_cross_entropy=EQUATIONS.binary_cross_entropy,  # likewise
    reduce_loss=EQUATIONS.reduce_loss,  # one sum
)


def warm_up(dtypes: Sequence[DTypeLike] = ("float32", "float64")) -> float:
    """Compile every kernel for these types, or load it from disk; returns the seconds that took."""
    start = time.perf_counter()
    for dtype in dtypes:
        _touch_all(np.ones((1, 1, 2, 2), dtype))
    return time.perf_counter() - start


def warm_up_engine(compute: str = "float32") -> float:
    """Compile the engine for one of `arithmetic.COMPUTE`, or load it from disk; the seconds, 0 where there is none."""
    start = time.perf_counter()
    if INSTRUCTION_SET and (HAS_BFLOAT16 or not is_narrow(KINDS[compute])):
        _touch_engine(KINDS[compute])
    return time.perf_counter() - start


def _touch_engine(kind: Any) -> None:
    """Run one layer of one head in both schedules, and one product."""
    row, square = np.ones(2, np.float32), np.ones((2, 2), np.float32)
    product, norm = Dense(square, row), LayerNorm(row, row)
    layer = Layer(Attention(product, product, product, product, norm), None, FeedForward(product, product, norm))
    packed = pack_layers((layer,), 2, False, kind=kind)
    for tokens in (1, COLUMN_TOKENS + 1):
        angles, states = np.ones((tokens, 1), np.float32), np.ones((1, tokens, 2), np.float32)
        mask = Tokens.of(np.ones((1, tokens), bool), False, tokens)
        run_layers(packed, states, mask, (angles, angles), 1e-12, False, "gelu", 1)
    embed(square, np.zeros(2, np.int64), square, np.zeros(2, np.int64), (row, row, 1e-12))
    run_dense(square, PackedDense.of(square, row, kind=kind), 1)


def _touch_all(x: Array) -> None:
    row, ids, generator = x[0, 0, 0], np.zeros((1, 2), np.int64), np.random.default_rng(0)
    KERNELS.add_token_types(x[0], x[0, 0], ids)
    KERNELS.layer_norm(x, row, row, 1e-12)
    KERNELS.rotate(x, x[0, 0, :, :1], x[0, 0, :, :1])
    KERNELS.attention_probs(x, np.ones((1, 2), bool), True)
    KERNELS.dropout(x, 0.5, generator)
    KERNELS.cross_entropy(x[0, 0], ids[0])
    KERNELS.feed_forward(x, Dense(x[0, 0], row), Dense(x[0, 0], row), "gelu")
    for name in activations.ACTIVATIONS:
        KERNELS.activate(x, name)
