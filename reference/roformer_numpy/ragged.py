"""Sequences of unequal lengths without padding: from lists of ids to groups that are computed at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config import RoFormerConfig
from .errors import InputError, InputTypeError, integer
from .inputs import Inputs
from .validation.arrays import expect_rank, expect_shape, integers
from .weights import Array

Ids = NDArray[np.int64]

# Tokens computed at once, unless a sequence alone has more: 25 kB each at the base size. More are not faster.
BATCH_TOKENS = 4096


def checked_sequences(sequences: Any, config: RoFormerConfig) -> list[Ids]:
    """Token ids as one array for each sequence.

    Raises:
        InputError, InputTypeError: no sequences, an empty or too long one, an id out of range; all by position.
    """
    checked = [
        integers(f"sequences[{number}]", sequence, 0, config.vocab_size - 1)
        for number, sequence in enumerate(_listed("sequences", sequences))
    ]
    if not checked:
        raise InputError("sequences is empty, allowed are 1 and more sequences of ids")
    for number, ids in enumerate(checked):
        expect_rank(f"sequences[{number}]", ids, ("seq_len",))
        if not 1 <= len(ids) <= config.max_position_embeddings:
            raise InputError(
                f"sequences[{number}] has {len(ids)} tokens, allowed are 1 to "
                f"max_position_embeddings={config.max_position_embeddings}"
            )
    return checked


def checked_types(token_type_ids: Any, sequences: list[Ids], config: RoFormerConfig) -> list[Ids]:
    """The segment of every token, 0 where none are given; as long as the sequences.

    Raises:
        InputError, InputTypeError: another number or length of sequences, a segment out of range.
    """
    if token_type_ids is None:
        nothing = np.zeros(max(map(len, sequences)), np.int64)
        return [nothing[: len(ids)] for ids in sequences]
    given = _listed("token_type_ids", token_type_ids)
    if len(given) != len(sequences):
        raise InputError(f"token_type_ids has {len(given)} sequences, expected {len(sequences)} as in sequences")
    checked = [
        integers(f"token_type_ids[{number}]", types, 0, config.type_vocab_size - 1)
        for number, types in enumerate(given)
    ]
    for number, (types, ids) in enumerate(zip(checked, sequences, strict=True)):
        expect_shape(f"token_type_ids[{number}]", types, ids.shape, ("seq_len",))
    return checked


def checked_budget(batch_tokens: Any) -> int:
    """How many tokens may be computed at once.

    Raises:
        InputError, InputTypeError: no integer of 1 or above.
    """
    budget = integer("batch_tokens", batch_tokens)
    if budget < 1:
        raise InputError(f"batch_tokens is {budget}, allowed are 1 and above")
    return budget


def groups(lengths: list[int], budget: int, *, alike: bool) -> Iterator[list[int]]:
    """The numbers of the sequences that are computed at once, the short ones first.

    Args:
        lengths: of the sequences.
        budget: tokens of a group; a longer sequence is a group by itself.
        alike: whether all sequences of a group must have one length.
    """
    group: list[int] = []
    tokens = 0
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[number]
        if group and (tokens + length > budget or (alike and lengths[group[0]] != length)):
            yield group
            group, tokens = [], 0
        group.append(number)
        tokens += length
    if group:
        yield group


def encode_alike(encode: Callable[[Inputs], Array], sequences: list[Ids], types: list[Ids]) -> list[Array]:
    """The last states of sequences of one length, by a function that takes batches."""
    ids = np.stack(sequences)
    return list(encode(Inputs(ids, None, np.ones(ids.shape, bool), np.stack(types))))


def _listed(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple | np.ndarray):
        raise InputTypeError(f"{name} is a {type(value).__name__}, expected a list of sequences of integers")
    if isinstance(value, np.ndarray) and value.ndim == 0:
        raise InputTypeError(f"{name} is an array of rank 0, expected a list of sequences of integers")
    return list(value)
