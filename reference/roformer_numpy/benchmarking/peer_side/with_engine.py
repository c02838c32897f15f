"""Our own models, in a process like everybody's; the one file here that imports the package."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

KINDS = {
    "kernels": {},
    "bfloat16": {"compute": "bfloat16"},
    "equations": {"components": "equations"},
    "exact": {"components": "equations", "dtype": "float64"},
}


FIRST = {"base": "last_hidden_state", "masked_lm": "logits"}
ASKED = 7  # of so many positions one is asked for, as masked language modelling does


def imports() -> None:
    """The package with its kernels."""
    import roformer_numpy.kernels  # noqa: F401


def load(kind: str, folder: str, head: str, threads: int) -> tuple[str, Any]:
    """The model of a kind of KINDS; how many threads, the variable ROFORMER_NUM_THREADS has said."""
    from roformer_numpy.models import MODELS

    warnings.simplefilter("ignore")  # a head that the folder lacks is drawn, one that it has too many is left
    named: dict[str, Any] = dict(KINDS[kind])
    if head == "base":  # a RoFormer elsewhere has no pooler
        named["add_pooling_layer"] = False
    model: Any = MODELS[head].from_pretrained(folder, **named)

    def prepare(batches: Any, mode: str) -> Any:
        return lambda: MODES[mode](model, FIRST[head], batches)

    return f"NumPy {np.__version__}", prepare


def _compute(model: Any, first: str, batches: Any) -> Any:
    return [model(ids, attention_mask=mask)[first] for ids, mask in batches]


def _skip(model: Any, first: str, batches: Any) -> Any:
    return [model(ids, attention_mask=mask, padding="skip")[first] for ids, mask in batches]


def _encode(model: Any, first: str, batches: Any) -> Any:
    sequences = [row[real > 0] for ids, mask in batches for row, real in zip(ids, mask, strict=True)]
    return [states[None] for states in model.encode(sequences)]


def _logits_at(model: Any, first: str, batches: Any) -> Any:
    at = [np.tile(np.arange(0, ids.shape[1], ASKED), (len(ids), 1)) for ids, _ in batches]
    return [model(ids, attention_mask=mask, logits_at=n)[first] for (ids, mask), n in zip(batches, at, strict=True)]


MODES = {"": _compute, "skip": _skip, "encode": _encode, "logits_at": _logits_at}
