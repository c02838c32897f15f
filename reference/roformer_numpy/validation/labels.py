"""Labels, in the shape that a loss reads (LOSS-1 to LOSS-8, ERR-9)."""

from __future__ import annotations

from typing import Any

from numpy.typing import DTypeLike

from ..config import RoFormerConfig
from ..equations.losses import IGNORED
from ..errors import InputError
from ..weights import Array
from .arrays import expect_shape, integers, reals
from .binding import Arguments


def labels_of(
    given: Arguments, config: RoFormerConfig, head: str, lead: tuple[int, ...], dtype: DTypeLike
) -> dict[str, Any]:
    """labels, or the positions of a span, in the shape that the loss reads (ERR-9)."""
    if head == "question_answering":
        return _span(given, lead[0])
    if "labels" not in given:
        return {}
    labels = given["labels"]
    if head in ("masked_lm", "causal_lm", "token_classification"):
        classes = config.num_labels if head == "token_classification" else config.vocab_size
        array: Array = integers("labels", labels, 0, classes - 1, also=IGNORED)
        expect_shape("labels", array, lead, ("batch", "seq_len"))
        return {"labels": array}
    if head == "multiple_choice":
        return {"labels": _one_per_row("labels", integers("labels", labels, 0, lead[1] - 1), lead[0])}
    return {"labels": _sequence_labels(labels, config, lead[0], dtype)}


def _sequence_labels(labels: Any, config: RoFormerConfig, batch: int, dtype: DTypeLike) -> Array:
    kind = config.task
    if kind == "single_label_classification":
        return _one_per_row("labels", integers("labels", labels, 0, config.num_labels - 1), batch)
    array = reals("labels", labels, dtype) if kind == "regression" else reals("labels", labels, dtype, 0, 1)
    if config.num_labels == 1 and array.shape != (batch, 1):
        array = _one_per_row("labels", array, batch)[:, None]
    expect_shape("labels", array, (batch, config.num_labels), ("batch", "num_labels"))
    return array


def _span(given: Arguments, batch: int) -> dict[str, Any]:
    present = [name for name in ("start_positions", "end_positions") if name in given]
    if len(present) == 1:
        missing = "end_positions" if present[0] == "start_positions" else "start_positions"
        raise InputError(f"{present[0]} was given without {missing}; the loss needs both")
    return {name: _one_per_row(name, integers(name, given[name], 0, None), batch) for name in present}


def _one_per_row(name: str, array: Array, batch: int) -> Array:
    """(batch,); rank 0 stands for a batch of one, as the documentation's example writes it."""
    if array.ndim == 0 and batch == 1:
        return array[None]
    expect_shape(name, array, (batch,), ("batch",))
    return array
