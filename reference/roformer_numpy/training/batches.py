"""From rows of tokens to the arguments of a call: order, padding, masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..equations.losses import IGNORED
from ..weights import Array
from .masking import Masking
from .randomness import Purpose, generator_for

UNLABELLED = ("masked_lm", "causal_lm")  # the heads whose answers are the tokens themselves
Batch = dict[str, Array]  # input_ids, attention_mask (batch, seq_len), labels (batch,) or (batch, seq_len)


@dataclass(frozen=True)
class Example:
    """One row: its tokens, and what is known of it.

    `labels` is a class for the whole row, one class a token (−100 where none is asked for), or None where the tokens
    themselves will be asked for.
    """

    input_ids: tuple[int, ...]
    labels: int | tuple[int, ...] | None = None


def rows_of_step(step: int, rows: int, batch_size: int, seed: int) -> Array:
    """Which rows make the batch of a step: every epoch is one permutation, drawn from seed and epoch alone."""
    epoch, place = divmod(step, -(-rows // batch_size))
    order = generator_for(seed, Purpose.ORDER, epoch).permutation(rows)
    return order[place * batch_size : (place + 1) * batch_size]


def collate(
    examples: Sequence[Example], pad_token_id: int, masking: Masking | None, generator: np.random.Generator
) -> Batch:
    """The arguments of a call for `examples`, padded on the right to the longest (MASK-3: it changes nothing).

    Args:
        examples: at least one.
        pad_token_id: what stands in the padding.
        masking: for a masked language model; None where the examples bring labels, and for a causal language model,
            which is asked for every token but the first (LOSS-3).
        generator: for the masks.
    """
    ids = _padded([example.input_ids for example in examples], pad_token_id)
    real = _padded([(1,) * len(example.input_ids) for example in examples], 0)
    if masking is not None:
        ids, labels = masking(ids, real.astype(bool), generator)
    else:
        labels = _labels(examples)
    return {"input_ids": ids, "attention_mask": real, "labels": labels}


def predictions_in(batch: Batch) -> int:
    """How many things are asked for."""
    return int(np.count_nonzero(batch["labels"] != IGNORED))


def parts_of(batch: Batch, parts: int) -> list[Batch]:
    """The batch in at most `parts` parts of rows."""
    rows = len(batch["input_ids"])
    size = -(-rows // parts)
    return [{name: array[at : at + size] for name, array in batch.items()} for at in range(0, rows, size)]


def _labels(examples: Sequence[Example]) -> Array:
    labels = [example.labels for example in examples]
    if labels[0] is None:
        return _padded([(IGNORED, *example.input_ids[1:]) for example in examples], IGNORED)
    if isinstance(labels[0], tuple):
        return _padded([row for row in labels if isinstance(row, tuple)], IGNORED)
    return np.array(labels, np.int64)


def _padded(rows: Sequence[tuple[int, ...]], fill: int) -> Array:
    result = np.full((len(rows), max(map(len, rows))), fill, np.int64)
    for number, row in enumerate(rows):
        result[number, : len(row)] = row
    return result
