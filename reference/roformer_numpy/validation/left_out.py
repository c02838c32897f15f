"""What a caller can do without: logits elsewhere than at some positions, and whatever stands at padding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from ..config import RoFormerConfig
from ..equations.losses import IGNORED
from ..errors import InputError, shown
from ..inputs import Inputs
from ..weights import Array
from .arrays import as_array, expect_rank, expect_shape, integers
from .binding import Arguments

PADDING = ("compute", "skip")


def logits_at(given: Arguments, lead: tuple[int, ...]) -> Array | None:
    """The positions whose logits are wanted, int64 (batch, n), or a mask of them, bool (batch, seq_len)."""
    if "logits_at" not in given:
        return None
    if "labels" in given:
        raise InputError("labels and logits_at were both given: a loss needs the logits of all its labels")
    array = as_array("logits_at", given["logits_at"])
    if array.dtype.kind == "b":
        expect_shape("logits_at", array, lead, ("batch", "seq_len"))
        return array
    positions = integers("logits_at", given["logits_at"], 0, lead[1] - 1)
    expect_rank("logits_at", positions, ("batch", "positions"))
    expect_shape("logits_at", positions, (lead[0], positions.shape[1]), ("batch", "positions"))
    return positions


def computed_positions(given: Arguments, inputs: Inputs, config: RoFormerConfig, head: str) -> Array | None:
    """Which positions are computed, bool (batch, seq_len); None for all of them.

    With padding="skip" those that the mask shows, those that the head reads all the same, and every position of a
    sequence that shows none.
    """
    padding = given.get("padding", PADDING[0])
    if padding not in PADDING:
        raise InputError(f"padding={shown(padding)} is not one of {', '.join(map(repr, PADDING))}")
    if padding == "compute":
        return None
    mask = inputs.attention_mask
    computed = mask[:, inputs.past_length :] | ~mask.any(axis=1, keepdims=True)
    READ_BY[head](computed, inputs, config)
    return None if computed.all() else computed


def _first(computed: Array, _inputs: Inputs, _config: RoFormerConfig) -> None:
    computed[:, 0] = True


def _pooled(computed: Array, inputs: Inputs, config: RoFormerConfig) -> None:
    if config.add_pooling_layer:
        _first(computed, inputs, config)


def _summarized(computed: Array, _inputs: Inputs, config: RoFormerConfig) -> None:
    positions = {"first": slice(1), "last": slice(-1, None), "mean": slice(None)}
    computed[:, positions[config.summary_type]] = True


def _labelled(computed: Array, inputs: Inputs, _config: RoFormerConfig) -> None:
    if inputs.labels is not None:
        computed |= inputs.labels != IGNORED
    if inputs.logits_at is not None and inputs.logits_at.dtype == bool:
        computed |= inputs.logits_at
    elif inputs.logits_at is not None:
        np.put_along_axis(computed, inputs.logits_at, True, axis=1)


def _labelled_next(computed: Array, inputs: Inputs, config: RoFormerConfig) -> None:
    _labelled(computed, inputs, config)
    if inputs.labels is not None:
        computed[:, :-1] |= inputs.labels[:, 1:] != IGNORED


def _all_for_a_loss(computed: Array, inputs: Inputs, _config: RoFormerConfig) -> None:
    if inputs.start_positions is not None:  # its softmax goes over all positions
        computed[:] = True


READ_BY: Mapping[str, Callable[[Array, Inputs, RoFormerConfig], None]] = MappingProxyType(
    {
        "base": _pooled,
        "masked_lm": _labelled,
        "causal_lm": _labelled_next,
        "sequence_classification": _first,
        "token_classification": _labelled,
        "multiple_choice": _summarized,
        "question_answering": _all_for_a_loss,
    }
)
