"""What can be seen of an argument before its values are known: its type, its rank, the lengths of its axes (ERR)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from roformer_numpy.config import RoFormerConfig
from roformer_numpy.errors import InputError, InputTypeError

from .inputs import INTEGERS, MASKS

Given = Mapping[str, Any]
Shape = tuple[int | None, ...]

TOKEN_LABELS = ("masked_lm", "causal_lm", "token_classification")

# What an argument may hold, as the beginnings of dtypes' names; labels depend on the task.
KINDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(INTEGERS, ("int", "uint")),
    **dict.fromkeys((*MASKS, "head_mask"), ("int", "uint", "bool", "float", "bfloat")),
    **dict.fromkeys(("inputs_embeds", "encoder_hidden_states"), ("float", "bfloat")),
}

WORDS: Mapping[tuple[str, ...], str] = {("float", "bfloat"): "floating-point numbers", ("int", "uint"): "integers"}


def check_types(tensors: Given, config: RoFormerConfig, head: str) -> None:
    """Refuse tensors of another type than the argument takes."""
    measured = head == "sequence_classification" and config.task != "single_label_classification"
    kinds = {**KINDS, "labels": KINDS["head_mask" if measured else "input_ids"]}
    for name in tensors.keys() & kinds.keys():
        dtype = keras.backend.standardize_dtype(tensors[name].dtype)
        if not dtype.startswith(kinds[name]):
            raise InputTypeError(f"{name} has dtype {dtype}, expected {WORDS.get(kinds[name], 'real numbers')}")


def check_shapes(tensors: Given, config: RoFormerConfig, head: str) -> None:
    """Refuse ranks and lengths that are known and do not fit; a graph would broadcast some of them."""
    lead = 3 if head == "multiple_choice" else 2
    ranks = {"input_ids": lead, "attention_mask": lead, "token_type_ids": lead, "inputs_embeds": lead + 1}
    for name in ranks.keys() & tensors.keys():
        shape = shape_of(tensors[name])
        if shape is not None and len(shape) != ranks[name]:
            raise InputError(f"{name} has shape {shape} of rank {len(shape)}, expected rank {ranks[name]}")
    name = "input_ids" if "input_ids" in tensors else "inputs_embeds"
    sequence = shape_of(tensors[name]) or (None,) * ranks[name]
    if name == "inputs_embeds" and sequence[-1] not in (None, config.embedding_size):
        raise InputError(f"{name} has shape {sequence}, expected the last axis to be {config.embedding_size}")
    _check_length(name, sequence[lead - 1], _cached_length(tensors), config)
    _check_alike(tensors, sequence[:lead], config, head)


def shape_of(tensor: Any) -> Shape | None:
    """What is known of a shape; a symbolic tensor of Keras has a plain tuple, one of TensorFlow perhaps no rank."""
    return None if getattr(tensor.shape, "rank", 0) is None else tuple(tensor.shape)


def _cached_length(tensors: Given) -> int | None:
    """How many positions are cached: 0 without a cache, None where it is not known."""
    if "past_key_values" not in tensors:
        return 0
    shape = shape_of(tensors["past_key_values"][0][0])
    return None if shape is None else shape[2]


def _check_length(name: str, seq_len: int | None, past: int | None, config: RoFormerConfig) -> None:
    if seq_len is not None and not 1 <= seq_len <= config.max_position_embeddings - (past or 0):
        cached = f" after {past} cached positions" if past else ""
        raise InputError(
            f"{name} has seq_len {seq_len}{cached}, allowed are 1 to "
            f"max_position_embeddings={config.max_position_embeddings} in all"
        )


def _check_alike(tensors: Given, lead: Shape, config: RoFormerConfig, head: str) -> None:
    """Refuse token types, masks and labels of other lengths than the sequence where both are known."""
    expected: dict[str, Shape] = {"token_type_ids": lead, "attention_mask": lead}
    if "past_key_values" in tensors:
        expected["attention_mask"] = (lead[0], None)
    if head in TOKEN_LABELS:
        expected["labels"] = lead
    for name in expected.keys() & tensors.keys():
        shape = shape_of(tensors[name])
        if shape is not None and not _fits(shape, expected[name]):
            raise InputError(f"{name} has shape {shape}, expected {expected[name]}")


def _fits(shape: Shape, expected: Shape) -> bool:
    pairs = zip(shape, expected, strict=False)
    return len(shape) == len(expected) and all(None in pair or pair[0] == pair[1] for pair in pairs)
