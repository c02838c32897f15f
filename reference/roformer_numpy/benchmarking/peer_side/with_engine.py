"""Our own models, in a process like everybody's; the one file here that imports the package."""

from __future__ import annotations

from typing import Any

import numpy as np

KINDS = {"kernels": ("kernels", "float32"), "equations": ("equations", "float32"), "exact": ("equations", "float64")}


def load(kind: str, folder: str, head: str, threads: int) -> tuple[str, Any]:
    """The model with these components; how many threads, the variable ROFORMER_NUM_THREADS has said."""
    import roformer_numpy
    from roformer_numpy.models import MODELS

    components, dtype = KINDS[kind]
    model: Any = MODELS[head].from_pretrained(folder, components=components, dtype=dtype)

    def prepare(batches: Any, mode: str) -> Any:
        return lambda: [getattr(output, FIRST[head]) for output in MODES[mode](model, batches)]

    return f"NumPy {np.__version__}, {roformer_numpy.__name__}", prepare


FIRST = {"base": "last_hidden_state", "masked_lm": "logits"}


def _compute(model: Any, batches: Any) -> Any:
    return [model(ids, attention_mask=mask) for ids, mask in batches]


def _skip(model: Any, batches: Any) -> Any:
    return [model(ids, attention_mask=mask, padding="skip") for ids, mask in batches]


MODES = {"": _compute, "skip": _skip}
