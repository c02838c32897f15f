"""How an implementation's error grows from layer to layer, measured on one model: what the report draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from .budget import FAILS_AT, judge
from .fixed import CHECKPOINT, FixedWeights, bound
from .oracle import Oracle, schema
from .partial import Seen, lacking, present, unasked
from .precision import carried
from .protocol import Adapter, Array, Capabilities, Outputs, flatten
from .records import AttentionDifference, Growth, TapError
from .trial import TRACES, tap_position
from .weights import draw_weights

CONFIG: Mapping[str, Any] = MappingProxyType(
    {
        "vocab_size": 97, "hidden_size": 96, "embedding_size": 96, "num_attention_heads": 4, "num_hidden_layers": 12,
        "intermediate_size": 201, "hidden_act": "gelu", "max_position_embeddings": 64, "type_vocab_size": 2,
    }
)  # fmt: skip
BATCH, SEQ_LEN = 2, 24


def measure_growth(adapter: Adapter, k: float = FAILS_AT, folder: Path | None = None) -> Growth:
    """The errors of every hidden state and of what stands on top, in the implementation's first type.

    An implementation that raises, or leaves an output out, gets a `problem` in place of numbers.

    Args:
        adapter: the implementation.
        k: the grade at which an output fails.
        folder: the checkpoint that an implementation with fixed weights was made from: then that is the model.
    """
    adapter = bound(adapter, folder)
    capabilities = Capabilities.of(adapter)
    missing = lacking(capabilities)
    head, dtype = capabilities.heads[0], capabilities.dtypes[0]
    config, weights = _model(adapter, head, dtype)
    length = min(SEQ_LEN, config["max_position_embeddings"])
    sizes = ", ".join(f"{short}={config[name]}" for short, name in _SIZES.items())
    whose = f", {CHECKPOINT}" if folder else ""
    described = f"{head} in {dtype}, {sizes}{whose}, batch {BATCH}, seq_len {length}"
    lead = (BATCH, 2, length) if head == "multiple_choice" else (BATCH, length)
    inputs = {"input_ids": np.random.default_rng(0).integers(0, config["vocab_size"], lead)}
    try:
        model = adapter.load(
            head, dict(config), {name: carried(array, dtype) for name, array in weights.items()}, dtype
        )
        got = flatten(model(inputs, style="keywords", options=unasked(TRACES, missing)))
        oracle = Oracle(head, config, weights)
        exact = present(oracle.run(inputs, TRACES), missing)
        runs = oracle.legitimate_runs(inputs, TRACES, dtype)
        return _compared(Growth(head, dtype, described), Seen(got, missing), exact, runs, k)
    except Exception as error:  # whatever an implementation throws is told, and the report goes on
        return Growth(head, dtype, described, problem=f"{type(error).__name__}: {error}")


def _model(adapter: Adapter, head: str, dtype: str) -> tuple[Mapping[str, Any], Mapping[str, Array]]:
    """Configuration and weights, representable in `dtype`: the same for all, or those of the one model there is."""
    if isinstance(adapter, FixedWeights):
        return adapter.checkpoint.config, adapter.own_weights(head, dtype)
    config = {**CONFIG, "is_decoder": head == "causal_lm"}
    return config, draw_weights(schema(config, head), "strong", 0, dtype)


_SIZES = {"L": "num_hidden_layers", "H": "hidden_size", "N": "num_attention_heads", "FFN": "intermediate_size"}


def _compared(empty: Growth, got: Outputs, exact: Outputs, runs: Sequence[Outputs], k: float) -> Growth:
    taps, attention = [], None
    for tap in sorted(exact, key=tap_position):
        values = [run[tap] for run in runs]
        grade = judge(tap, got[tap], exact[tap], values, empty.dtype, None, k).grade
        honest = float(np.quantile([_relative(value, exact[tap]) for value in values], 0.95))
        if tap.startswith("attentions"):
            attention = attention or _difference(tap, got[tap], exact[tap], grade, k)
        else:
            taps.append(TapError(tap, _relative(got[tap], exact[tap]), honest, grade))
    return Growth(empty.head, empty.dtype, empty.described, tuple(taps), attention)


def _difference(tap: str, got: Array, exact: Array, grade: float, k: float) -> AttentionDifference | None:
    if grade <= k:
        return None
    off = np.abs(got.astype(np.float64) - exact)
    row, head = np.unravel_index(int(np.nan_to_num(off, nan=np.inf).max(axis=(2, 3)).argmax()), off.shape[:2])
    matrix = tuple(tuple(round(float(value), 9) for value in line) for line in off[row, head])
    return AttentionDifference(tap, int(head), grade, matrix)


def _relative(got: Array, exact: Array) -> float:
    """The root mean square error in units of the exact values' root mean square."""
    return float(np.sqrt(np.mean((got.astype(np.float64) - exact) ** 2)) / (np.sqrt(np.mean(exact**2)) or 1.0))
